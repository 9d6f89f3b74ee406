"""Every registered schema: each argument has a converter, each return a wrapper, and none is left out."""

from __future__ import annotations

import re

import pytest
from schemas import Schema, all_schemas, parse

import libtorch_ffi as lt
from libtorch_ffi._binding import core

_WRAPPED = re.compile(
    r"(?:Tensor|Scalar|SymInt|SymBool|\.\.\.|int|float|bool|complex|str|ScalarType|Layout|Device|MemoryFormat|QScheme|Generator|Storage"
    r"|Stream|Any|NoneType|__torch__\.torch\.classes\.[\w.]+)\??(?:\[\d*\]\??)*"
)
"""The types that `to_python` tells apart, and lists of them."""


def test_every_operator_of_the_dispatcher_is_there() -> None:
    """Each by its exact name, as `ops` gives it."""
    found = {schema.full_name.removesuffix(".default") for schema in all_schemas()}
    assert found == {name.removesuffix(".default") for name in core.operators()}
    assert len(found) > 3400


def test_every_argument_has_a_converter() -> None:
    """None is left out, by name."""
    without = {schema.full_name: schema.operator.unsupported_argument for schema in all_schemas()}
    assert {name: argument for name, argument in without.items() if argument is not None} == {}


def test_every_return_has_a_wrapper() -> None:
    """None is left out, by name."""
    assert {
        schema.full_name: returned
        for schema in all_schemas()
        for returned in schema.returns
        if _WRAPPED.fullmatch(returned.replace("Dict(Tensor, Tensor)", "Tensor")) is None
    } == {}


def test_every_overload_refuses_no_value_without_a_reason() -> None:
    """A call with an argument that nobody knows names the schema and the argument, whatever the operator."""
    for schema in all_schemas():
        with pytest.raises(TypeError, match=r"no such argument|has no argument|missing|takes"):
            schema.operator(no_such_argument=object())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "aten::add.out(Tensor self, Tensor other, *, Scalar alpha=1, Tensor(a!) out) -> Tensor(a!)",
            ("add", "out", ["self", "other", "alpha", "out"], ("Tensor",)),
        ),
        (
            "aten::unbind.int(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]",
            ("unbind", "int", ["self", "dim"], ("Tensor[]",)),
        ),
        (
            "aten::max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
            ("max", "dim", ["self", "dim", "keepdim"], ("Tensor", "Tensor")),
        ),
        (
            'aten::_f(Tensor self, *, str reduce="a, b", int[2] x=[1, 1]) -> ()',
            ("_f", "default", ["self", "reduce", "x"], ()),
        ),
    ],
)
def test_the_parser_of_schemas(text: str, expected: tuple[str, str, list[str], tuple[str, ...]]) -> None:
    """What the other tests build on."""
    schema = parse(text)
    assert (schema.name, schema.overload, [a.name for a in schema.arguments], schema.returns) == expected


def _kinds(schema: Schema) -> set[str]:
    return {argument.kind for argument in schema.arguments}


def test_the_kinds_of_arguments_are_many() -> None:
    """The walk meets the rare types too, so that it proves something about them."""
    kinds = set().union(*map(_kinds, all_schemas()))
    rare = {
        "Any",
        "Storage",
        "Stream",
        "Generator",
        "Tensor?[]",
        "Tensor[][]",
        "Scalar[]",
        "bool[]",
        "float[]",
        "str[]",
    }
    assert rare <= kinds


@pytest.mark.filterwarnings("ignore:.*quantized tensor creation functions")  # deprecated, and said once a process
def test_returns_of_each_kind_are_wrapped() -> None:
    """One real call for each kind of return."""
    x = lt.arange(6.0).reshape(2, 3)
    assert isinstance(lt.ops.aten.relu.default(x), lt.Tensor)
    assert lt.ops.aten.size.int(x, 0) == 2
    assert lt.ops.aten.is_same_size.default(x, x) is True
    assert lt.ops.aten._local_scalar_dense.default(x[1, 1]) == 4.0
    assert [t.tolist() for t in lt.ops.aten.unbind.int(x)] == x.tolist()
    assert lt.ops.aten._shape_as_tensor.default(x).tolist() == [2, 3]
    assert lt.ops.aten._choose_qparams_per_tensor.default(x)[1] == 0
    values, indices = lt.ops.aten.max.dim(x, 1)
    assert (values.tolist(), indices.tolist()) == ([2.0, 5.0], [2, 2])
    assert lt.ops.aten.copy_.default(x, x) is x
    quantized = lt.quantize_per_tensor(x, 0.5, 3, lt.quint8)
    assert lt.ops.aten.qscheme.default(quantized) is lt.per_tensor_affine
    assert lt.ops.aten.q_scale.default(quantized) == 0.5
    packed = lt.ops.quantized.linear_prepack.default(lt.quantize_per_tensor(x, 0.5, 0, lt.qint8), None)
    weight, bias = lt.ops.quantized.linear_unpack.default(packed)
    assert (weight.dtype, bias) == (lt.qint8, None)
    assert "LinearPackedParamsBase" in packed.type_name
