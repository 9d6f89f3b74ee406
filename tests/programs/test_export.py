"""Exported programs without torch: archives made by hand, read, run and refused."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import mmap
import pickle
import threading
import types
import weakref
import zipfile
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import exported
import numpy as np
import pytest
from exported import LEAF, node, tensor, tree

import libtorch_ffi as lt
from libtorch_ffi import export
from libtorch_ffi._binding import core
from libtorch_ffi.errors import ProgramError
from libtorch_ffi.export import pytree, symbols

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = lt.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])


def loaded(document: dict[str, Any] | None = None) -> export.ExportedProgram:
    """Return a program of a document, by default the usual one."""
    return export.load(exported.archive(document or exported.program(), exported.weights()))


def test_a_program_runs_and_counts_its_runs() -> None:
    program = loaded()
    assert program(ROWS)["y"].tolist() == [[1, 2], [3, 4], [0, 0]]
    assert program(x=ROWS)["y"].tolist() == [[2, 3], [4, 5], [1, 1]]
    assert program.state_dict()["count"].tolist() == [2, 2]
    assert program.module() is program
    assert repr(program) == "<libtorch_ffi.export.ExportedProgram of torch 2.13.0: 4 calls of 3 operators, 2 tensors>"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_it_is_read_from_paths_bytes_and_files(tmp_path: Path, compression: int) -> None:
    content = exported.archive(exported.program(), exported.weights(), compression)
    path = tmp_path / "ä program.pt2"
    path.write_bytes(content)
    for source in (path, str(path), content, io.BytesIO(content)):
        assert export.load(source, map_location="cpu")(ROWS)["y"].tolist()[0] == [1, 2]


def test_each_call_is_checked_whatever_the_call_before_was() -> None:
    program = loaded()
    for _ in range(2):
        program(ROWS)
        with pytest.raises(ProgramError, match="dimension 1 of input x of the program is 2, not 5"):
            program(lt.ones(3, 5))
        with pytest.raises(ProgramError, match="input x of the program is a Tensor, not list"):
            program([[1.0, 0.0]])


def test_weights_lie_in_one_stretch_of_huge_pages() -> None:
    weight, count = loaded().state_dict().values()
    assert count.data_ptr() - weight.data_ptr() == 64
    assert weight.untyped_storage().nbytes() == 16
    if not (hasattr(mmap, "MADV_HUGEPAGE") and Path("/sys/kernel/mm/transparent_hugepage").exists()):
        pytest.skip("this system has no huge pages to ask for")
    assert "hg" in flags_of_memory(weight.data_ptr())


def flags_of_memory(address: int) -> list[str]:
    """Return what the kernel says of the mapping that an address lies in."""
    found = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, last = line.partition(" ")[0].partition("-")
        if last:
            found = int(first, 16) <= address < int(last, 16)
        elif found and line.startswith("VmFlags:"):
            return line.split()[1:]
    return []


def test_parameters_and_buffers() -> None:
    program = loaded()
    assert [name for name, _ in program.named_parameters()] == ["layer.weight"]
    assert [name for name, _ in program.named_buffers()] == ["count"]
    program.load_state_dict({"layer.weight": lt.zeros(2, 2)})
    assert program(ROWS)["y"].abs().sum().item() == 0
    with pytest.raises(ProgramError, match=r"layer\.weight is \(3,\), not \(2, 2\)"):
        program.load_state_dict({"layer.weight": lt.ones(3)})


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_program_says_how_it_is_handed_on(duplicate: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match=r"hand on the path or the bytes of its \.pt2"):
        duplicate(loaded())


def test_gradients_where_they_are_asked_for() -> None:
    program = loaded()
    assert not program(ROWS)["y"].requires_grad
    program.requires_grad_()
    program(ROWS)["y"].sum().backward()
    (weight,) = program.parameters()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[1, 1], [1, 1]]
    x = ROWS.clone().requires_grad_()
    loaded()(x)["y"].sum().backward()
    assert x.grad is not None
    assert x.grad.tolist()[0] == [3, 7]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((lt.ones(3, 5),), "dimension 1 of input x of the program is 2, not 5"),
        ((lt.ones(3),), "has 2 dimensions, not 1"),
        ((lt.ones(11, 2),), "s0, a size of x, has to be from 3 to 10, not 11"),
        ((lt.ones(2, 2),), "s0, a size of x, has to be from 3 to 10, not 2"),
        ((3,), "input x of the program is a Tensor, not int"),
        ((), r"takes 1 arguments \(x\)"),
        ((ROWS, ROWS), r"takes 1 arguments \(x\)"),
    ],
)
def test_inputs_that_do_not_fit_are_named(args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        loaded()(*args)


def test_what_an_operator_refuses_names_the_node() -> None:
    document = exported.program()
    document["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][1] = {"as_expr": {"expr_str": "s1"}}
    with pytest.raises(RuntimeError, match=r"aten\.matmul\.default.*of an exported program"):
        loaded(document)(lt.ones(3, 5))


def test_what_libtorch_does_not_check_is_checked_in_a_program_too() -> None:
    """The process would end: the factor is not square."""
    document = exported.program()
    inputs = {"self": tensor("product"), "A": tensor("product"), "upper": {"as_bool": True}}
    document["graph_module"]["graph"]["nodes"][1] = node("aten._cholesky_solve_helper.default", inputs, "positive")
    with pytest.raises(RuntimeError, match=r"takes a square factor .*may end the process"):
        loaded(document)(ROWS)


def test_operators_that_are_missing_are_listed() -> None:
    document = exported.program()
    nodes = document["graph_module"]["graph"]["nodes"]
    nodes.insert(0, node("aten.of_tomorrow.default", {"self": tensor("x")}, "a"))
    nodes.insert(1, node("mine.own.default", {"self": tensor("a")}, "c"))
    with pytest.raises(ProgramError, match=r"has no aten\.of_tomorrow\.default, mine\.own\.default, which"):
        loaded(document)


def test_a_higher_order_operator_that_is_not_known_is_missing() -> None:
    document = exported.program()
    inputs = [{"name": "", "arg": {"as_operator": "torch.ops.aten.mm.default"}, "kind": 1}]
    wrapped = {"target": "torch.ops.higher_order.out_dtype", "inputs": inputs, "outputs": [tensor("product")]}
    document["graph_module"]["graph"]["nodes"][0] = wrapped
    with pytest.raises(ProgramError, match=r"this libtorch has no higher_order\.out_dtype, which the program calls"):
        loaded(document)


def test_memory_is_freed_as_early_as_in_python() -> None:
    """A result that nothing reads is gone at once, one that is read with its last reader."""
    kept: list[weakref.ref[Any]] = []

    def pair(x: lt.Tensor) -> tuple[lt.Tensor, lt.Tensor]:
        arrays = [np.ones(2, np.float32), np.ones(2, np.float32)]
        kept.extend(map(weakref.ref, arrays))
        return lt.from_numpy(arrays[0]), lt.from_numpy(arrays[1])

    alive: list[list[bool]] = []

    def look(x: lt.Tensor) -> lt.Tensor:
        alive.append([array() is not None for array in kept])
        return x + 1

    lt.library.define("early::pair", "(Tensor x) -> (Tensor, Tensor)")
    lt.library.define("early::look", "(Tensor x) -> Tensor")
    lt.library.impl("early::pair", "cpu", pair)
    lt.library.impl("early::look", "cpu", look)
    document = exported.program()
    document["graph_module"]["graph"]["nodes"][1:2] = [
        node("early.pair.default", {"x": tensor("product")}, "read", "unread"),
        node("early.look.default", {"x": tensor("read")}, "first"),
        node("early.look.default", {"x": tensor("first")}, "positive"),
    ]
    assert loaded(document)(ROWS)["y"].tolist() == [3, 3]
    assert alive == [[True, False], [False, False]]


def test_an_unknown_schema_is_refused() -> None:
    document = exported.program()
    document["schema_version"]["major"] = 12
    with pytest.raises(ProgramError, match=r"in version 12 of torch's schema; 5 to 8 are known"):
        loaded(document)


def test_other_archives_are_refused_by_name(tmp_path: Path) -> None:
    for members, message in (
        ({"a/archive_format": b"pt2", "a/data/aotinductor/model/x.so": b""}, r"aoti\.load_trusted"),
        ({"a/constants.pkl": b""}, r"libtorch_ffi\.jit\.load"),
        ({"a/data.pkl": b""}, r"holds tensors and no program: libtorch_ffi\.load\(\)"),
        ({"a/archive_format": b"pt2", "a/models/other.json": b"{}"}, "it has other: load.*name='other'"),
        ({"a/nothing": b""}, "no program 'model', or any"),
    ):
        with pytest.raises(ProgramError, match=message):
            export.load(exported.zipped(members))
    for content in (b"", b"nothing", exported.archive(exported.program(), exported.weights())[:-30]):
        with pytest.raises(ProgramError, match="is no program of torch"):
            export.load(content)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        export.load(tmp_path / "none.pt2")


def test_damaged_weights_are_refused() -> None:
    for change, message in (
        ({"sizes": [{"as_int": 2}, {"as_int": 3}]}, "reaches beyond its 16 bytes"),
        ({"storage_offset": {"as_int": -1}}, "reaches beyond"),
        ({"strides": [{"as_int": 1 << 62}, {"as_int": 1}]}, "reaches beyond"),
        ({"dtype": 99}, "names a dtype by the number 99"),
        ({"sizes": [{"as_expr": {"expr_str": "s0"}}]}, "where a size is expected"),
    ):
        weights = exported.weights()
        weights["layer.weight"][1].update(change)
        with pytest.raises(ProgramError, match=message):
            export.load(exported.archive(exported.program(), weights))
    content = exported.archive(exported.program(), exported.weights())
    at = content.index(exported.weights()["layer.weight"][0])
    with pytest.raises(ProgramError, match="does not have the checksum"):
        export.load(content[:at] + b"\xff" + content[at + 1 :])


def test_threads_share_a_program() -> None:
    program, wrong = loaded(), []
    program.load_state_dict({"count": lt.zeros(2)})

    def run(factor: float) -> None:
        for _ in range(200):
            result = program(ROWS * factor)["y"]
            if result[0, 1].item() - result[2, 0].item() != 2 * factor:
                wrong.append(factor)

    threads = [threading.Thread(target=run, args=(float(factor),)) for factor in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_weight_that_is_no_plain_tensor_is_refused() -> None:
    content = exported.archive(exported.program(), exported.weights())
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    member = "model/data/weights/model_weights_config.json"
    config = json.loads(members[member])
    config["config"]["layer.weight"]["use_pickle"] = True
    with pytest.raises(ProgramError, match=r"layer\.weight is no plain tensor .* Save what run_decompositions"):
        export.load(exported.zipped({**members, member: json.dumps(config).encode()}))


@pytest.mark.parametrize(
    ("root", "value"),
    [
        (LEAF, 5),
        (tree("builtins.tuple", [LEAF, tree("builtins.list", [LEAF])]), (1, [2])),
        (tree("builtins.dict", [LEAF, tree("builtins.dict", [LEAF], ["c"])], ["a", "b"]), {"a": 1, "b": {"c": 2}}),
        (tree("collections.OrderedDict", [LEAF], ["k"]), {"k": 3}),
        (tree("collections.deque", [LEAF, LEAF], None), deque([1, 2])),
        (tree("collections.defaultdict", [LEAF], {"dict_context": ["z"]}), {"z": 1}),
        (tree("somebody.Output", [LEAF], ["logits"]), {"logits": 4}),
        (tree("somebody.Pair", [LEAF, LEAF], 3), (1, 2)),
        (tree("somebody.Data", [LEAF, LEAF], [["a", "b"], ["c"]]), {"a": 1, "b": 2, "c": None}),
        (tree("somebody.Data", [LEAF, LEAF], [["a", "b"], []]), {"a": 1, "b": 2}),
    ],
)
def test_values_are_taken_apart_and_put_together(root: dict[str, Any], value: Any) -> None:
    spec = pytree.read_spec(exported.spec(root), {})
    leaves = list(pytree.flatten(spec, value, "x"))
    assert len(leaves) == spec.leaves
    assert pytree.unflatten(spec, iter(leaves)) == value


def test_named_tuples_and_types_of_ones_own() -> None:
    spec = pytree.read_spec(exported.spec(tree("collections.namedtuple", [LEAF], "m.Point")), {"m.Point": ["x"]})
    point = pytree.unflatten(spec, iter([7]))
    assert (type(point).__name__, point.x) == ("Point", 7)
    assert list(pytree.flatten(spec, point, "p")) == [7]
    export.register_type("mine.Pair", lambda pair, _: [pair.real, pair.imag], lambda parts, _: complex(*parts))
    spec = pytree.read_spec(exported.spec(tree("mine.Pair", [LEAF, LEAF])), {})
    assert pytree.unflatten(spec, pytree.flatten(spec, 2 + 3j, "z")) == 2 + 3j


def test_a_dataclass_is_known_by_its_fields() -> None:
    spec = pytree.read_spec(exported.spec(tree("m.Data", [LEAF, LEAF], [["a", "b"], ["c"]])), {})
    for value in ({"a": 1, "b": 2}, {"a": 1, "b": 2, "c": None}, types.SimpleNamespace(a=1, b=2, c=None)):
        assert list(pytree.flatten(spec, value, "x")) == [1, 2]
    with pytest.raises(ProgramError, match=r"a dict with the keys \['a', 'b'\] at x, not"):
        list(pytree.flatten(spec, {"a": 1, "b": 2, "c": 3}, "x"))
    result = pytree.unflatten(spec, iter([1, 2]))
    assert (result.a, result.b, result.c) == (1, 2, None)
    with pytest.raises(AttributeError, match="has no 'd'; it has a, b, c"):
        _ = result.d


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("s0 + 2*s1 - 1", 12),
        ("Add(Integer(1), Mul(Integer(2), Symbol('s0', positive=True, integer=True)))", 7),
        ("FloorDiv(s1, 2)", 2),
        ("Max(s0, s1) % 2 + s0**2", 10),
        ("CeilDiv(s1, 2) + Min(s0, 1)", 4),
    ],
)
def test_expressions_of_shapes(text: str, value: int) -> None:
    assert symbols.expression(text)({"s0": 3, "s1": 5}) == value


@pytest.mark.parametrize("text", ["__import__('os')", "s0.x", "[s0]", "s9", "1 // 0", "2**10**10", "s0 if s0 else 1"])
def test_what_is_no_arithmetic_has_no_value(text: str) -> None:
    value = symbols.expression(text)({"s0": 3})
    assert math.isnan(value)


def test_a_derived_size_is_checked() -> None:
    document = exported.program()
    graph = document["graph_module"]["graph"]
    graph["inputs"].append(tensor("z"))
    graph["tensor_values"]["z"] = exported.meta("2*s0")
    document["graph_module"]["signature"]["input_specs"].append({"user_input": {"arg": tensor("z")}})
    entry = document["graph_module"]["module_call_graph"][0]["signature"]
    entry["in_spec"] = exported.spec(
        tree("builtins.tuple", [tree("builtins.tuple", [LEAF, LEAF]), tree("builtins.dict", [], [])])
    )
    entry["forward_arg_names"] = ["x", "z"]
    program = loaded(document)
    assert program(ROWS, lt.ones(6))["y"].shape == (3, 2)
    with pytest.raises(ProgramError, match=r"dimension 0 of input z of the program has to be 6 \(2 \* s0\), not 5"):
        program(ROWS, lt.ones(5))


@pytest.mark.parametrize(
    ("function", "arguments", "value"),
    [
        ("_operator.add", [2, 3], 5),
        ("_operator.sub", [2, 3.5], -1.5),
        ("_operator.floordiv", [-7, 2], -4),
        ("_operator.mod", [-7, 3], 2),
        ("_operator.truediv", [7, 2], 3.5),
        ("_operator.pow", [3, 4], 81),
        ("_operator.neg", [5], -5),
        ("_operator.lshift", [3, 2], 12),
        ("_operator.rshift", [12, 2], 3),
        ("_operator.le", [2, 3], True),
        ("_operator.ne", [2, 2], False),
        ("_operator.and_", [True, False], False),
        ("torch.sym_max", [2, 7], 7),
        ("torch.sym_min", [2, 7], 2),
        ("torch.sym_not", [True], False),
        ("torch.sym_float", [3], 3.0),
        ("torch.sym_int", [3.7], 3),
        ("torch.sym_ite", [True, 4, 5], 4),
        ("torch._sym_sqrt", [16], 4.0),
        ("math.floor", [-3.5], -4),
        ("math.ceil", [3.2], 4),
        ("math.trunc", [-3.7], -3),
    ],
)
def test_numbers_are_computed_as_in_python(function: str, arguments: list[Any], value: Any) -> None:
    program = core_program(function, arguments)
    (result,) = program.run([], core.ProgramState([]))
    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [("_operator.floordiv", [1, 0]), ("_operator.mod", [1, 0]), ("_operator.mul", [1 << 62, 4]),
     ("_operator.pow", [10, 40]), ("_operator.lshift", [1, 70]), ("_operator.add", [1]), ("math.floor", [1e30])],
)  # fmt: skip
def test_numbers_that_cannot_be_raise(function: str, arguments: list[Any]) -> None:
    with pytest.raises(RuntimeError):
        core_program(function, arguments).run([], core.ProgramState([]))


def core_program(function: str, arguments: list[Any]) -> Any:
    """Return a program of one number."""
    document = {
        "nodes": [
            {
                "target": function,
                "inputs": [{"name": "", "arg": as_argument(value)} for value in arguments],
                "outputs": [{"as_sym_int": {"as_name": "r"}}],
            }
        ],
        "outputs": [{"as_sym_int": {"as_name": "r"}}],
    }
    from libtorch_ffi.export import graph

    return graph.build(document, graph.Scope(), [])


def as_argument(value: object) -> dict[str, object]:
    kinds = {bool: "as_bool", int: "as_int", float: "as_float"}
    return {kinds[type(value)]: value}


def test_mutated_documents_are_errors_of_ours() -> None:
    """Every part of a document is left out, and replaced by what is wrong, one at a time."""
    content = json.dumps(exported.program())
    count = 0
    for path in paths(json.loads(content), ()):
        wrong: object
        for wrong in (None, [], {}, "wrong", -1, 1 << 70, "remove"):
            document = json.loads(content)
            change(document, path, wrong)
            count += 1
            with contextlib.suppress(ProgramError, RuntimeError):
                loaded(document)(ROWS)
    assert count > 1000


def paths(value: Any, so_far: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Return the paths of all parts of a document."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    found = [so_far] if so_far else []
    for key, child in inner:
        found += paths(child, (*so_far, key))
    return found


def change(document: Any, path: tuple[Any, ...], wrong: object) -> None:
    """Replace or remove one part of a document."""
    for key in path[:-1]:
        document = document[key]
    if wrong == "remove":
        del document[path[-1]]
    else:
        document[path[-1]] = wrong


def test_what_is_no_package_of_native_code_is_refused(tmp_path: Path) -> None:
    from libtorch_ffi import aoti

    (tmp_path / "a.pt2").write_bytes(exported.archive(exported.program(), exported.weights()))
    (tmp_path / "b.pt2").write_bytes(b"nothing")
    if not hasattr(core, "NativePackage"):
        with pytest.raises(ProgramError, match=r"has no loader for packages of AOTInductor; 2\.7 and later have"):
            aoti.load_trusted(tmp_path / "a.pt2")
        return
    with pytest.raises(ProgramError, match="holds no program 'model' in native code"):
        aoti.load_trusted(tmp_path / "a.pt2")
    with pytest.raises(ProgramError, match="is no package of AOTInductor"):
        aoti.load_trusted(tmp_path / "b.pt2")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        aoti.load_trusted(tmp_path / "none.pt2")
