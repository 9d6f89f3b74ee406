"""Programs that torch exported: control flow, nested and named arguments, what is written back, layouts of files."""

from __future__ import annotations

import io
from collections import namedtuple
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import exported
import numpy as np
import pytest

import libtorch_ffi as lt
from libtorch_ffi import export
from libtorch_ffi.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, while it exports

Pair = namedtuple("Pair", ["first", "second"])  # noqa: PYI024 - torch would look the annotations up


@dataclass
class Data:
    a: Any
    b: Any
    c: Any = None


def loaded(
    torch: ModuleType, function: Callable[..., Any], args: tuple[Any, ...], decomposed: bool = False, **options: Any
) -> tuple[Any, export.ExportedProgram]:
    """Return a function of torch's as a module, and its program as it is loaded here."""

    class Module(torch.nn.Module):  # type: ignore[name-defined,misc] # torch is a fixture
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(2))

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return function(self, *args, **kwargs)

    program = torch.export.export(Module(), args, **options)
    buffer = io.BytesIO()
    torch.export.save(program.run_decompositions() if decomposed else program, buffer)
    return Module(), export.load(buffer.getvalue())


def check(torch: ModuleType, function: Callable[..., Any], *values: Any, **options: Any) -> None:
    """Compare a function with its program on values, and on others of the same shapes."""
    module, program = loaded(torch, function, values, **options)
    for given in (values, tuple(-value if value.is_floating_point() else value + 1 for value in values)):
        got, expected = program(*(lt.from_numpy(v.numpy().copy()) for v in given)), module(*given)
        for left, right in zip(got, expected, strict=True):
            np.testing.assert_allclose(left.numpy(), right.detach().numpy(), atol=1e-6)


def test_branches(torch: ModuleType) -> None:
    def function(self: Any, x: Any) -> Any:
        return torch.cond(x.sum() > 0, lambda a: (a + 1, a.sin()), lambda a: (a - 1, a.cos()), (x,))

    check(torch, function, torch.ones(3))


def test_loops(torch: ModuleType) -> None:
    from torch._higher_order_ops.while_loop import while_loop

    def function(self: Any, x: Any, n: Any) -> Any:
        return while_loop(lambda i, a: i < 5, lambda i, a: (i + 1, a * 2), (n, x))  # type: ignore[no-untyped-call] # torch's

    check(torch, function, torch.ones(3), torch.tensor(1))


def test_graphs_that_are_only_wrapped(torch: ModuleType) -> None:
    from torch._higher_order_ops.hints_wrap import hints_wrapper
    from torch._higher_order_ops.strict_mode import strict_mode

    def function(self: Any, x: Any) -> Any:
        strict = strict_mode(lambda a: (a + 1, a * 2), (x,))  # type: ignore[no-untyped-call] # torch's
        return (*strict, hints_wrapper(lambda a: a.sin(), (x,), {}, hints={"fast": True}))

    check(torch, function, torch.ones(3))


def test_maps_and_scans(torch: ModuleType) -> None:
    from torch._higher_order_ops.map import map as mapped
    from torch._higher_order_ops.scan import scan

    def function(self: Any, x: Any, y: Any) -> Any:
        carry, sums = scan(lambda c, a: (c + a, c * a), y, x, dim=0)
        return mapped(lambda a, b: a.sin() + b, x, y), carry, sums

    check(torch, function, torch.randn(4, 3), torch.randn(3))


def test_modes_of_gradients_and_autocast(torch: ModuleType) -> None:
    def function(self: Any, x: Any) -> Any:
        with torch.no_grad():
            y = x * 2
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = x @ x
        return y, z.float()

    check(torch, function, torch.randn(3, 3))


def test_buffers_and_inputs_are_written_back(torch: ModuleType) -> None:
    def function(self: Any, x: Any) -> Any:
        self.count.add_(x.sum())
        x.mul_(2)
        return (x + self.count,)

    for decomposed in (False, True):
        module, program = loaded(torch, function, (torch.ones(2),), decomposed=decomposed)
        for _ in range(3):
            x, y = torch.ones(2), lt.ones(2)
            assert program(y)[0].tolist() == module(x)[0].tolist()
            assert y.tolist() == x.tolist() == [2, 2]
        assert program.state_dict()["count"].tolist() == module.count.tolist()


def test_nested_and_named_arguments(torch: ModuleType) -> None:
    torch.utils._pytree._register_namedtuple(Pair, serialized_type_name="tests.Pair")

    def function(self: Any, x: Any, *, pair: Any, table: Any) -> Any:
        return {"sum": x + pair.first, "list": [table["a"][0] * 2, None, 3], "pair": Pair(pair.second, x)}

    kwargs = {"pair": Pair(torch.ones(2), torch.zeros(2)), "table": {"a": [torch.ones(1)]}}
    _, program = loaded(torch, function, (torch.ones(2),), kwargs=kwargs)
    ours = {"table": {"a": [lt.ones(1)]}, "pair": Pair(lt.ones(2), lt.zeros(2))}
    result = program(lt.ones(2), **ours)
    assert list(result) == ["sum", "list", "pair"]
    assert result["sum"].tolist() == [2, 2]
    assert (result["list"][0].tolist(), *result["list"][1:]) == ([2], None, 3)
    assert (type(result["pair"]).__name__, result["pair"].first.tolist()) == ("Pair", [0, 0])
    with pytest.raises(ProgramError, match="by name"):
        program(lt.ones(2), pair=ours["pair"])


def test_dataclasses(torch: ModuleType) -> None:
    torch.export.register_dataclass(Data, serialized_type_name="tests.Data")

    def function(self: Any, data: Any) -> Any:
        return Data(data.a * 2, data.b[0], None)

    _, program = loaded(torch, function, (Data(torch.ones(2), [torch.zeros(1)]),))
    for given in (Data(lt.ones(2), [lt.zeros(1)]), {"a": lt.ones(2), "b": [lt.zeros(1)]}):
        result = program(given)
        assert (result.a.tolist(), result["b"].tolist(), result.c) == ([2, 2], [0], None)


@pytest.mark.parametrize("strict", [False, True])
def test_branches_by_sizes_are_guarded(torch: ModuleType, strict: bool) -> None:
    class Module(torch.nn.Module):  # type: ignore[name-defined,misc] # torch is a fixture
        def forward(self, x: Any, *, pair: Any) -> Any:
            return pair[1] + (1 if x.shape[0] * 2 > pair[0].shape[1] else 0)

    dynamic: Any = torch.export.Dim.DYNAMIC
    exporting = torch.export.export(
        Module(),
        (torch.ones(4),),
        {"pair": (torch.ones(2, 5), torch.ones(1))},
        dynamic_shapes={"x": {0: dynamic}, "pair": ({1: dynamic}, None)},
        strict=strict,
    )
    buffer = io.BytesIO()
    torch.export.save(exporting, buffer)
    program = export.load(buffer.getvalue())
    assert program(lt.ones(4), pair=(lt.ones(2, 7), lt.ones(1))).tolist() == [2]
    with pytest.raises(ProgramError, match=r"x\.shape\[0\] is 4"):
        program(lt.ones(4), pair=(lt.ones(2, 8), lt.ones(1)))


def test_numbers_as_inputs(torch: ModuleType) -> None:
    def function(self: Any, x: Any, n: Any, flag: Any) -> Any:
        return (x * n if flag else x, x.new_ones(n))

    dynamic: dict[str, Any] = {"args": ({}, torch.export.Dim.DYNAMIC, None)}
    _, program = loaded(torch, function, (torch.ones(2), 5, True), dynamic_shapes=dynamic)
    assert program(lt.ones(2), 7, True)[0].tolist() == [7, 7]
    with pytest.raises(ProgramError, match="was True when it was exported and cannot be False"):
        program(lt.ones(2), 7, False)


def test_sizes_that_depend_on_data(torch: ModuleType) -> None:
    def function(self: Any, x: Any) -> Any:
        n = x.sum().item()
        torch._check(n >= 2)
        torch._check(n < 100)
        return torch.zeros(n + 1), x.nonzero()

    module, program = loaded(torch, function, (torch.tensor([2, 0, 3]),))
    for values in ([2, 0, 3], [1, 1, 1]):
        got, expected = program(lt.tensor(values)), module(torch.tensor(values))
        assert [tuple(one.shape) for one in got] == [tuple(one.shape) for one in expected]
    with pytest.raises(RuntimeError, match="of an exported program"):
        program(lt.tensor([0, 0, 0]))


def test_gradients_equal_torchs(torch: ModuleType) -> None:
    def function(self: Any, x: Any) -> Any:
        return (x.sin() * x).sum()

    module, program = loaded(torch, function, (torch.ones(3),))
    x, y = torch.arange(3.0, requires_grad=True), lt.arange(3.0).requires_grad_()
    module(x).backward()
    program(y).backward()
    assert y.grad is not None
    np.testing.assert_allclose(y.grad.numpy(), x.grad.numpy(), atol=1e-6)


def test_layouts_of_older_releases(torch: ModuleType) -> None:
    from torch._export.serde.serialize import serialize

    class Module(torch.nn.Module):  # type: ignore[name-defined,misc] # likewise
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.constant = torch.nn.Linear(2, 2), torch.tensor([3.0])

        def forward(self, x: Any) -> Any:
            return self.layer(x) * self.constant

    module = Module()
    artifact = serialize(torch.export.export(module, (torch.ones(1, 2),)))
    root = {
        "version": b"1.11",
        "serialized_exported_program.json": artifact.exported_program,
        "serialized_state_dict.pt": artifact.state_dict,
        "serialized_constants.pt": artifact.constants,
    }
    archive = {
        "model/archive_format": b"pt2",
        "model/models/model.json": artifact.exported_program,
        "model/data/weights/model.pt": artifact.state_dict,
        "model/data/constants/model.pt": artifact.constants,
    }
    for members in (root, archive):
        program = export.load(exported.zipped(members))
        got = program(lt.ones(1, 2)).detach().numpy()
        np.testing.assert_allclose(got, module(torch.ones(1, 2)).detach().numpy(), atol=1e-6)
