"""The signatures that a type checker is given for a schema, on each face."""

from __future__ import annotations

import pytest

from libtorch_ffi.stubs.results import Results
from libtorch_ffi.stubs.schema import parse
from libtorch_ffi.stubs.signatures import FUNCTION, METHOD, PACKET, Face, of_overload, of_packet

OPTIONS = "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
TYPED_OPTIONS = (
    "dtype: _DType | None = None, layout: _layout | None = None, device: _Device | None = None, "
    "pin_memory: _bool | None = None, requires_grad: _bool = False"
)


def texts(face: Face, *schemas: str) -> list[str]:
    signatures = of_packet([parse(schema) for schema in schemas], face, Results())
    return [signature.text(face.receiver) for signature in signatures]


@pytest.mark.parametrize(
    ("written", "annotation"),
    [
        ("Tensor x", "x: _Tensor"),
        ("Tensor? x=None", "x: _Tensor | None = None"),
        ("Tensor[] x", "x: _Tensors"),
        ("Tensor?[] x", "x: _Sequence[_Tensor | None]"),
        ("Tensor[][] x", "x: _Sequence[_Tensors]"),
        ("Scalar x=1", "x: _Number = 1"),
        ("SymInt x", "x: _int"),
        ("int[] x", "x: _Ints"),
        ("SymInt[2] x=[1, 1]", "x: _int | _Ints = (1, 1)"),
        ("SymInt[2] x=1", "x: _int | _Ints = 1"),
        ("int[1] x=[0]", "x: _int | _Ints = (0,)"),
        ("int[1]? x=[]", "x: _int | _Ints | None = ()"),
        ("float[]? x", "x: _Sequence[_float] | None"),
        ("bool[3] x", "x: _bool | _Sequence[_bool]"),
        ('str x="mean"', 'x: _str = "mean"'),
        (r'str x="\""', "x: _str = ..."),
        ("ScalarType x=6", "x: _DType = ..."),
        ("Generator? x", "x: _Generator | None"),
        ("Dict(str, Tensor) x", "x: _dict[_Any, _Any]"),
        ("__torch__.torch.classes.quantized.Conv2dPackedParamsBase x", "x: _ScriptObject"),
        ("Stream x", "x: _Any"),
    ],
)
def test_arguments(written: str, annotation: str) -> None:
    assert of_overload(parse(f"n::f({written}) -> ()"), Results()).text() == f"({annotation}) -> None"


@pytest.mark.parametrize(
    ("written", "function", "exact"),
    [
        ("Tensor[]", "_tuple[_Tensor, ...]", "_list[_Tensor]"),
        ("(Tensor, int)", "_tuple[_Tensor, _int]", "_tuple[_Tensor, _int]"),
        ("(Tensor a, Tensor? b)", "_n_f_result", "_n_f_result"),
        ("(Tensor a, Tensor count)", "_tuple[_Tensor, _Tensor]", "_tuple[_Tensor, _Tensor]"),
        ("ScalarType", "_dtype", "_dtype"),
        ("...", "_Any", "_Any"),
    ],
)
def test_results(written: str, function: str, exact: str) -> None:
    text = f"n::f() -> {written}"
    assert texts(FUNCTION, text) == [f"() -> {function}"]
    assert of_overload(parse(text), Results()).text() == f"() -> {exact}"


def test_named_results_are_shared_where_they_agree() -> None:
    results = Results()
    for overload in ("a", "b"):
        assert results.annotation(parse(f"n::f.{overload}() -> (Tensor x, int y)"), "") == "_n_f_result"
    assert results.annotation(parse("n::f.c() -> (Tensor x, Tensor y)"), "") == "_n_f_result_2"
    assert results.text() == (
        "class _n_f_result(_NamedTuple):\n    x: _Tensor\n    y: _int\n"
        "class _n_f_result_2(_NamedTuple):\n    x: _Tensor\n    y: _Tensor\n"
    )


def test_the_faces_of_an_operator() -> None:
    schema = "aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor"
    rest = "dim: _int, dtype: _DType | None = None) -> _Tensor"
    assert texts(FUNCTION, schema) == [f"(input: _Tensor, {rest}"]
    assert texts(METHOD, schema) == [f"(self, {rest}"]
    assert texts(PACKET, schema) == [f"(_, self: _Tensor, {rest}"]


def test_self_keeps_its_name_beside_an_input() -> None:
    assert texts(FUNCTION, "aten::f(Tensor self, Tensor input) -> ()") == ["(self: _Tensor, input: _Tensor) -> None"]


def test_out_joins_the_overload_that_it_writes_for() -> None:
    functional = "aten::max.dim(Tensor self, int dim) -> (Tensor values, Tensor indices)"
    writing = "aten::max.dim_max(Tensor self, int dim, *, Tensor(a!) max, Tensor(b!) max_values) -> (Tensor values, Tensor indices)"  # noqa: E501 - libtorch's own
    assert texts(FUNCTION, functional, writing) == [
        (
            "(input: _Tensor, dim: _int, *, out: _tuple[_Tensor, _Tensor] | _list[_Tensor] | None = None) -> "
            "_aten_max_result"
        )
    ]


def test_out_stands_alone_where_the_arguments_differ() -> None:
    functional = f"aten::zeros(SymInt[] size, *, {OPTIONS}) -> Tensor"
    writing = "aten::zeros.out(SymInt[] size, *, Tensor(a!) out) -> Tensor(a!)"
    assert texts(FUNCTION, functional, writing) == [
        f"(size: _Ints, *, {TYPED_OPTIONS}) -> _Tensor",
        f"(*size: _int, {TYPED_OPTIONS}) -> _Tensor",
        "(size: _Ints, *, out: _Tensor) -> _Tensor",
        "(*size: _int, out: _Tensor) -> _Tensor",
    ]


def test_one_list_of_ints_may_come_as_separate_arguments() -> None:
    view = "aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)"
    assert texts(METHOD, view) == ["(self, size: _Ints) -> _Tensor", "(self, *size: _int) -> _Tensor"]
    assert texts(FUNCTION, view) == ["(input: _Tensor, size: _Ints) -> _Tensor"]


def test_numbers_stand_for_tensors_where_the_core_takes_them() -> None:
    schema = "aten::{}.Tensor(Tensor self, Tensor other) -> Tensor"
    assert texts(METHOD, schema.format("mul_")) == ["(self, other: _Tensor | _Number) -> _Tensor"]
    assert texts(METHOD, schema.format("atan2")) == ["(self, other: _Tensor) -> _Tensor"]


def test_keywords_of_python_are_given_by_place() -> None:
    schema = "aten::uniform(Tensor self, float from=0., float to=1., *, Generator? generator=None) -> Tensor"
    assert texts(METHOD, schema) == [
        "(self, from_: _float = 0., /, to: _float = 1., *, generator: _Generator | None = None) -> _Tensor"
    ]


def test_what_python_cannot_write_is_left_out() -> None:
    twice = "prims::nan_to_num(Tensor self, *, float? nan, float? posinf, float? posinf) -> Tensor"
    assert of_overload(parse(twice), Results()).text() == (
        "(self: _Tensor, *, nan: _float | None, posinf: _float | None) -> _Tensor"
    )
    gap = "n::f(int a=1, int b) -> ()"
    assert of_overload(parse(gap), Results()).text() == "(a: _int, b: _int) -> None"
