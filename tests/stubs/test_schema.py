"""A schema as libtorch writes it, taken apart."""

from __future__ import annotations

import pytest

from libtorch_ffi.stubs.schema import Argument, parse


def test_names_arguments_and_results() -> None:
    text = "aten::add.out(Tensor self, Tensor other, *, Scalar alpha=1, Tensor(a!) out) -> Tensor(a!)"
    schema = parse(text)
    assert (schema.namespace, schema.name, schema.overload, schema.text) == ("aten", "add", "out", text)
    assert schema.arguments == (
        Argument("Tensor", name="self"),
        Argument("Tensor", name="other"),
        Argument("Scalar", name="alpha", default="1", keyword_only=True),
        Argument("Tensor", name="out", keyword_only=True, writes=True),
    )
    assert schema.results == (Argument("Tensor", writes=True),)
    assert [argument.name for argument in schema.outs] == ["out"]


@pytest.mark.parametrize(
    ("written", "base", "suffixes", "writes"),
    [
        ("SymInt[2]", "SymInt", ("[2]",), False),
        ("int[1]?", "int", ("[1]", "?"), False),
        ("Tensor?[]", "Tensor", ("?", "[]"), False),
        ("Tensor(a!)[]", "Tensor", ("[]",), True),
        ("Tensor[](a!)", "Tensor", ("[]",), True),
        ("Tensor(a -> *)", "Tensor", (), False),
        ("Tensor(b|a)", "Tensor", (), False),
        ("str[][]", "str", ("[]", "[]"), False),
        ("Dict(str, Tensor)", "Dict(str, Tensor)", (), False),
        ("__torch__.torch.classes.rnn.CellParamsBase[]", "__torch__.torch.classes.rnn.CellParamsBase", ("[]",), False),
    ],
)
def test_types(written: str, base: str, suffixes: tuple[str, ...], writes: bool) -> None:
    (argument,) = parse(f"n::f({written} x) -> ()").arguments
    assert (argument.base, argument.suffixes, argument.writes) == (base, suffixes, writes)


@pytest.mark.parametrize("default", ["[1, 1]", '"a, b"', r'"\"\'\\"', '")"', "-0.5", "None", "[]"])
def test_defaults_may_hold_what_parts_arguments(default: str) -> None:
    first, second = parse(f"n::f(str x={default}, int y=2) -> int").arguments
    assert (first.default, second.default) == (default, "2")


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("()", []),
        ("Tensor", [""]),
        ("Tensor qc", ["qc"]),
        ("(Tensor values, Tensor indices)", ["values", "indices"]),
        ("(Tensor, bool)", ["", ""]),
        ("...", [""]),
    ],
)
def test_results(written: str, names: list[str]) -> None:
    assert [result.name for result in parse(f"n::f(Tensor x) -> {written}").results] == names


def test_what_makes_a_method_and_a_factory() -> None:
    assert parse("aten::abs(Tensor self) -> Tensor").takes_self
    assert not parse("aten::cat(Tensor[] self) -> Tensor").takes_self
    assert not parse("aten::linear(Tensor input) -> Tensor").takes_self
    options = "*, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
    assert parse(f"aten::zeros(SymInt[] size, {options}) -> Tensor").is_factory
    assert not parse("aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor").is_factory


@pytest.mark.parametrize("text", ["", "add(Tensor self) -> Tensor", "aten::add(Tensor self", "aten::add(!) -> Tensor"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"schema|bracket"):
        parse(text)
