"""Operators that write to their arguments, in programs that torch made functional: the arguments stay as they are."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from exported import Document, tensor

import libtorch_ffi as lt
from libtorch_ffi import export
from libtorch_ffi._binding import core
from libtorch_ffi.errors import ProgramError
from libtorch_ffi.export import graph

if TYPE_CHECKING:
    from types import ModuleType


def functional(operator: str, results: list[Document], version: str = "_v2", **arguments: Document) -> Document:
    """Return the node that torch writes for an operator."""
    inputs = [{"name": "", "arg": {"as_operator": f"torch.ops.{operator}"}, "kind": 1}]
    inputs += [{"name": name, "arg": argument, "kind": 2} for name, argument in arguments.items()]
    target = f"torch.ops.higher_order.auto_functionalized{version}"
    return {"name": "wrapped", "target": target, "inputs": inputs, "outputs": results}


def ran(node: Document, *names: str) -> tuple[list[float], list[Any]]:
    """Run one node on x = 1, 2, 3, 4; return what x is then, and results by their names."""
    document = {"nodes": [node], "outputs": [tensor(name) for name in names]}
    scope = graph.Scope()
    program = graph.build(document, scope, ["x"])
    assert not scope.missing
    x = lt.arange(1.0, 5.0)
    results = program.run([x], core.ProgramState([]))
    return x.tolist(), [result.tolist() for result in results]


def test_what_is_written_to_is_a_copy() -> None:
    node = functional(
        "aten.mul_.Scalar",
        [tensor("result"), tensor("copy")],
        other={"as_float": 2.0},
        _self_base_index={"as_int": 0},
        _all_bases={"as_tensors": [{"name": "x"}]},
    )
    assert ran(node, "x", "result", "copy") == ([1, 2, 3, 4], [[1, 2, 3, 4], [2, 4, 6, 8], [2, 4, 6, 8]])


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ({"_self_alias": {"as_bool": True}}, [0, 0, 0, 0]),
        ({"_self_slice_dim": {"as_int": 0}, "_self_slice_start": {"as_int": 1}, "_self_slice_end": {"as_int": 3}},
         [1, 0, 0, 4]),
        ({"_self_size": {"as_ints": [2]}, "_self_stride": {"as_ints": [2]}, "_self_storage_offset": {"as_int": 1}},
         [1, 0, 3, 0]),
    ],
)  # fmt: skip
def test_an_argument_that_is_a_view_of_what_is_written_to(view: Document, expected: list[float]) -> None:
    bases = {"as_tensors": [{"name": "x"}]}
    arguments: Document = {**view, "_self_base_index": {"as_int": 0}, "_all_bases": bases}
    node = functional("aten.zero_.default", [tensor("result"), tensor("copy")], **arguments)
    assert ran(node, "copy") == ([1, 2, 3, 4], [expected])


def test_lists_of_tensors_that_are_written_to() -> None:
    node = functional(
        "aten._foreach_add_.Scalar",
        [{"as_none": True}, tensor("first"), tensor("second")],
        scalar={"as_int": 1},
        _self_length={"as_int": 2},
        _self_0_base_index={"as_int": 1},
        _self_1_base_index={"as_int": 1},
        _all_bases={"as_tensors": [{"name": "x"}, {"name": "x"}]},
    )
    assert ran(node, "first", "second") == ([1, 2, 3, 4], [[1, 2, 3, 4], [3, 4, 5, 6]])


def test_the_first_version() -> None:
    arguments: Document = {"self": tensor("x"), "other": tensor("x")}
    node = functional("aten.mul_.Tensor", [tensor("result"), tensor("copy")], version="", **arguments)
    assert ran(node, "result", "copy") == ([1, 2, 3, 4], [[1, 4, 9, 16], [1, 4, 9, 16]])
    lists: Document = {"self": {"as_tensors": [{"name": "x"}]}, "scalar": {"as_int": 1}}
    with pytest.raises(ProgramError, match=r"list of tensors that is written to, self: export it with torch 2\.7"):
        ran(functional("aten._foreach_add_.Scalar", [{"as_none": True}], version="", **lists))


def test_an_operator_that_is_not_there_is_missing() -> None:
    document = {"nodes": [functional("nobody.fill.default", [{"as_none": True}, tensor("y")])], "outputs": []}
    scope = graph.Scope()
    graph.build(document, scope, ["x"])
    assert scope.missing == {"nobody.fill.default"}


@pytest.mark.filterwarnings("ignore")  # torch's own, while it exports
def test_operators_of_torch_that_write(torch: ModuleType) -> None:
    def halve(x: Any, rest: Any, factor: Any) -> Any:
        x.div_(2)
        rest[0].mul_(factor)
        return x.sum()

    library = torch.library.Library("halves", "FRAGMENT")
    library.define("halve(Tensor(a!) x, Tensor(b!)[] rest, float factor) -> Tensor")
    library.impl("halve", halve, "CPU")
    torch.library.register_fake("halves::halve", lambda x, rest, factor: x.new_empty(()), lib=library)

    class Module(torch.nn.Module):  # type: ignore[name-defined,misc] # torch is a fixture
        def forward(self, x: Any, y: Any) -> Any:
            z = y * 2
            total = torch.ops.halves.halve(x[1:], [z[:, 1], y], 3.0)
            return total, z

    program = torch.export.export(Module(), (torch.ones(3), torch.ones(2, 2))).run_decompositions()
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    loaded = export.load(buffer.getvalue())
    x, y = lt.arange(3.0), lt.ones(2, 2)
    expected_x, expected_y = torch.arange(3.0), torch.ones(2, 2)
    results, expected = loaded(x, y), Module()(expected_x, expected_y)
    assert [result.tolist() for result in results] == [result.tolist() for result in expected]
    assert (x.tolist(), y.tolist()) == (expected_x.tolist(), expected_y.tolist())
