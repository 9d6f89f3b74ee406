"""TorchScript without torch: what is compiled, recorded, saved and loaded here."""

from __future__ import annotations

import copy
import io
import pickle
import threading
import zipfile
from typing import TYPE_CHECKING

import pytest

import libtorch_ffi as lt
from libtorch_ffi import jit
from libtorch_ffi.errors import ProgramError

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
def counted(x: Tensor, names: List[Tuple[str, int]], limit: Optional[int] = None) -> Dict[str, Tensor]:
    result: Dict[str, Tensor] = {}
    for name, times in names:
        result[name] = x * times
    if limit is not None and len(result) > limit:
        raise ValueError("too many: ", len(result))
    return result

def forked(x):
    return fork(plus_one, x)

def plus_one(x):
    return x + 1

def anything(x: Any) -> Any:
    return x

def maybe(x: Optional[Dict[str, List[int]]]) -> int:
    if x is None:
        return -1
    return sum(x["a"])

def wide(x: complex, d: Device, on: bool) -> Tuple[complex, Device, bool]:
    return x, d, on
"""


def module() -> jit.ScriptModule:
    """Return a module with a parameter, a buffer that `forward` changes, an attribute and a submodule."""
    inner = jit.ScriptModule("Inner")
    inner.register_parameter("weight", lt.full((2,), 3.0))
    inner.define("def forward(self, x): return x * self.weight")
    made = jit.ScriptModule("Outer")
    made.register_attribute("inner", inner)
    made.register_buffer("calls", lt.zeros((), dtype=lt.int64))
    made.register_attribute("shift", 1.5)
    made.define("""
        def forward(self, x):
            self.calls.add_(1)
            return self.inner.forward(x) + self.shift
        def twice(self, x, times: int = 2):
            return x * times
    """)
    return made


def test_a_function_takes_and_returns_nested_values() -> None:
    unit = jit.CompilationUnit(SOURCE)
    result = unit.counted(lt.ones(2), [("a", 1), ("b", 3)])
    assert {name: value.tolist() for name, value in result.items()} == {"a": [1, 1], "b": [3, 3]}
    assert unit.anything((1, "a", [2.5], {"k": None})) == (1, "a", [2.5], {"k": None})
    assert unit.maybe(None) == -1
    assert unit.maybe({"a": [1, 2]}) == 3
    assert unit.wide(2j, lt.device("cpu"), True) == (2j, lt.device("cpu"), True)


def test_a_fork_is_a_future() -> None:
    future = jit.CompilationUnit(SOURCE).forked(lt.ones(2))
    assert isinstance(future, jit.Future)
    assert future.wait().tolist() == [2, 2]
    assert future.done()
    assert future.value().tolist() == [2, 2]


def test_what_a_script_raises_is_an_error_with_its_kind() -> None:
    unit = jit.CompilationUnit(SOURCE)
    with pytest.raises(jit.Error, match="ValueError: too many"):
        unit.counted(lt.ones(1), [("a", 1)], limit=0)
    with pytest.raises(RuntimeError, match="must match the size"):
        jit.CompilationUnit("def f(x, y): return x + y").f(lt.ones(2), lt.ones(3))


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        ((3, []), {}, "argument 'x' takes Tensor, not int"),
        ((), {"names": []}, "argument 'x' is missing"),
        ((None, [], None, 1), {}, "takes 3 arguments, not 4"),
        (("here", [("a", 1)]), {}, "takes Tensor, not str"),
    ],
)
def test_arguments_that_do_not_fit_are_named(
    arguments: tuple[object, ...], named: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        jit.CompilationUnit(SOURCE).counted(*arguments, **named)


def test_an_argument_of_another_name_or_given_twice_is_refused() -> None:
    unit = jit.CompilationUnit(SOURCE)
    for named in ({"y": 1}, {"x": lt.ones(1)}):
        with pytest.raises(TypeError, match="given twice, or has no such name"):
            unit.plus_one(lt.ones(1), **named)


def test_source_that_does_not_compile_shows_the_place() -> None:
    with pytest.raises(RuntimeError, match="undefined value nothing"):
        jit.CompilationUnit("def f(x): return nothing(x)")
    with pytest.raises(AttributeError, match="nothing was defined under the name 'f'"):
        jit.CompilationUnit("").f  # noqa: B018 - the look-up is what is tested


def test_a_value_that_holds_itself_raises() -> None:
    holding: list[object] = []
    holding.append(holding)
    with pytest.raises(RecursionError):
        jit.CompilationUnit(SOURCE).anything(holding)


def test_a_named_tuple_keeps_its_names() -> None:
    made = jit.ScriptModule("Named")
    made.define("def forward(self, x): return torch.max(x, 0)")
    assert made(lt.tensor([1.0, 5.0]))[1].item() == 1


def test_a_module_runs_and_keeps_what_it_changed() -> None:
    made = module()
    assert made(lt.ones(2)).tolist() == [4.5, 4.5]
    assert made.calls.item() == 1
    made.shift = 0.5
    assert made(x=lt.ones(2)).tolist() == [3.5, 3.5]
    assert made.twice(lt.ones(1), times=5).item() == 5
    with pytest.raises(TypeError, match="attribute 'shift' is a float, not str"):
        made.shift = "far"
    with pytest.raises(AttributeError, match="has no attribute 'other' that could be set"):
        made.other = 1
    with pytest.raises(AttributeError, match="has no attribute or method 'missing'"):
        made.missing  # noqa: B018 - likewise


def test_what_a_module_holds_is_listed_by_name() -> None:
    made = module()
    assert [name for name, _ in made.named_parameters()] == ["inner.weight"]
    assert [name for name, _ in made.named_buffers()] == ["calls"]
    assert [name for name, _ in made.named_modules()] == ["", "inner"]
    assert [one.original_name for one in made.children()] == ["Inner"]
    assert made.inner == made.inner
    assert len({made.inner, made.inner, made}) == 2
    assert {"forward", "twice", "shift", "inner", "train"} <= set(dir(made))
    assert repr(made) == "Outer(\n  (inner): Inner()\n)"


def test_state_goes_out_and_in() -> None:
    made, other = module(), module()
    made.inner.weight = lt.tensor([5.0, 6.0])
    other.load_state_dict(made.state_dict())
    assert other.inner.weight.tolist() == [5, 6]
    with pytest.raises(RuntimeError, match=r"missing inner\.weight; unknown nothing"):
        other.load_state_dict({"calls": lt.zeros((), dtype=lt.int64), "nothing": lt.ones(1)})
    with pytest.raises(RuntimeError, match=r"inner\.weight has the shape \(2,\), not \(3,\)"):
        other.load_state_dict({"inner.weight": lt.ones(3)}, strict=False)
    assert other.inner.weight.tolist() == [5, 6]


def test_conversion_leaves_integers_alone() -> None:
    made = module().to(lt.float64)
    assert (made.inner.weight.dtype, made.calls.dtype) == (lt.float64, lt.int64)
    assert made.float().inner.weight.dtype == lt.float32
    assert made.to("cpu", dtype=lt.float16).inner.weight.dtype == lt.float16
    with pytest.raises(TypeError, match=r"floating point or complex dtype, not to torch\.int64"):
        made.to(lt.int64)


def test_modes_freezing_and_optimizing() -> None:
    made = module()
    assert made.train().training is True
    with pytest.raises(RuntimeError, match="in evaluation mode"):
        jit.freeze(made)
    frozen = jit.freeze(made.eval(), preserved_attrs=["twice"])
    assert not list(frozen.named_modules())[1:]
    assert frozen(lt.ones(2)).tolist() == [4.5, 4.5]
    assert frozen.twice(lt.ones(1)).item() == 2
    assert jit.optimize_for_inference(made)(lt.ones(2)).tolist() == [4.5, 4.5]


def test_texts_show_the_program() -> None:
    made = module()
    assert "prim::CallMethod" in made.graph
    assert "prim::CallMethod" not in made.inlined_graph
    assert "def forward(self" in made.code
    assert "twice" in made.dump_to_str()
    assert "times" in made.twice.schema


def test_archives_come_back_from_paths_bytes_and_files(tmp_path: Path) -> None:
    made, path = module(), tmp_path / "ä module.pt"
    made.save(path, _extra_files={"note.txt": "hello"})
    extra: dict[str, object] = {"note.txt": None}
    loaded = jit.load(path, map_location="cpu", _extra_files=extra)
    assert extra == {"note.txt": b"hello"}
    buffer = io.BytesIO()
    jit.save(loaded, buffer)
    for again in (jit.load(buffer.getvalue()), jit.load(io.BytesIO(buffer.getvalue())), jit.load(str(path))):
        assert again(lt.ones(2)).tolist() == [4.5, 4.5]


def test_copies_and_pickles_are_modules_of_their_own() -> None:
    made = module()
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        other.calls.add_(5)
        other(lt.ones(2))
        assert (other.calls.item(), made.calls.item()) == (6, 0)
    assert copy.copy(made).calls.data_ptr() == made.calls.data_ptr()


def test_gradients_reach_parameters() -> None:
    made = module().requires_grad_()
    made(lt.ones(2)).sum().backward()
    assert made.inner.weight.grad.tolist() == [1, 1]


def test_a_trace_records_operators_and_can_be_saved(tmp_path: Path) -> None:
    def body(x: lt.Tensor, more: dict[str, lt.Tensor]) -> tuple[lt.Tensor, lt.Tensor]:
        y = (x @ more["y"]).relu()
        y[0] = 7
        return y, x.sum()

    traced = jit.trace(body, (lt.eye(2), {"y": lt.ones(2, 2)}))
    inputs = lt.full((2, 2), 2.0), {"y": lt.full((2, 2), 3.0)}
    assert [r.tolist() for r in traced(*inputs)] == [r.tolist() for r in body(*inputs)]
    assert "aten::relu" in traced.graph
    jit.save(traced, tmp_path / "traced.pt")
    assert jit.load(tmp_path / "traced.pt")(*inputs)[1].item() == 8


def test_a_trace_that_fails_leaves_the_tracer_off() -> None:
    def fails(x: lt.Tensor) -> lt.Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        jit.trace(fails, lt.ones(1))
    with pytest.raises(TypeError, match="returned None"):
        jit.trace(lambda x: None, lt.ones(1))
    with pytest.raises(TypeError, match="TorchScript has no values of type object"):
        jit.trace(lambda x: x, (object(),))
    assert jit.trace(lambda x: x + 1, lt.ones(1))(lt.ones(1)).item() == 2


def test_the_gil_is_free_while_a_program_runs() -> None:
    unit = jit.CompilationUnit("""
def spin(x, times: int):
    for i in range(times):
        x = x + 1
    return x
""")
    done = threading.Event()
    counts = [0]

    def count() -> None:
        while not done.is_set():
            counts[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    before = counts[0]
    unit.spin(lt.zeros(1), 50_000)
    after = counts[0]
    done.set()
    thread.join()
    assert after > before + 1000


def test_other_formats_are_refused_by_name(tmp_path: Path) -> None:
    def archive(**members: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for name, content in members.items():
                file.writestr(f"model/{name}", content)
        return buffer.getvalue()

    for content, message in (
        (archive(**{"bytecode.pkl": b"", "data.pkl": b""}), "mobile interpreter"),
        (b"\x1c\0\0\0PTMF" + bytes(64), "flatbuffer"),
        (archive(archive_format=b"pt2"), r"libtorch_ffi\.export\.load"),
        (archive(**{"data.pkl": b""}), r"libtorch_ffi\.load"),
        (b"nothing", "no archive of TorchScript.*It begins with b'nothing'"),
        (b"", "no archive of TorchScript.*It is empty"),
        (b"<html>", "no archive of TorchScript.*web page"),
        (module().save_to_buffer()[:-40], "no archive of TorchScript.*cut off"),
    ):
        with pytest.raises(ProgramError, match=message):
            jit.load(content)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        jit.load(tmp_path / "none.pt")
    with pytest.raises(FileNotFoundError, match="download it first"):
        jit.load("https://example.com/model.pt")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        jit.load(tmp_path)
    with pytest.raises(TypeError, match="not NoneType"):
        jit.load(None)  # type: ignore[arg-type] # the mistake
    with pytest.raises(TypeError, match="open it with mode 'rb'"):
        jit.load(io.StringIO("text"))  # type: ignore[arg-type] # the mistake


def test_what_is_no_script_module_is_not_saved_nor_held(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"not Linear: .* libtorch_ffi.save writes the state_dict"):
        jit.save(lt.nn.Linear(1, 1), tmp_path / "x.pt")  # type: ignore[arg-type] # the mistake
    with pytest.raises(TypeError, match=r"one of TorchScript is no nn\.Module"):
        lt.nn.Sequential(module())  # type: ignore[arg-type] # likewise


def test_an_attribute_that_is_not_there_is_told_without_addresses() -> None:
    with pytest.raises(AttributeError, match="has no attribute or method 'nothing'") as caught:
        module().nothing  # noqa: B018 - raises
    assert "0x" not in str(caught.value)
