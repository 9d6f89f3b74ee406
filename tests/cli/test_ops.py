"""`libtorch-ffi ops`: what is printed of the operators, and what of names that there are not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_line import Answer

SOFTMAX = "aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor"


def test_every_overload_of_a_name(ask: Callable[..., Answer]) -> None:
    answer = ask("ops", "softmax")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0] == SOFTMAX
    overloads = [name for name in core.operators() if name.startswith("aten::softmax.")]
    assert sorted(line.partition("(")[0] for line in lines) == sorted(overloads)


@pytest.mark.parametrize(
    "arguments",
    [
        ["aten::softmax.int"],
        ["aten.softmax.int"],
        ["softmax.int"],
        ["--namespace", "aten", "softmax.int"],
    ],
)
def test_one_overload_by_any_of_its_names(ask: Callable[..., Answer], arguments: list[str]) -> None:
    assert ask("ops", *arguments).out == SOFTMAX + "\n"


def test_several_names_in_their_order(ask: Callable[..., Answer]) -> None:
    answer = ask("ops", "tanh.default", "abs.default")
    assert answer.out == "aten::tanh(Tensor self) -> Tensor\naten::abs(Tensor self) -> Tensor\n"


def test_a_name_that_aten_lacks_is_found_elsewhere(ask: Callable[..., Answer]) -> None:
    assert ask("ops", "add_relu").out.startswith("quantized::add_relu")


def test_namespaces_with_their_numbers(ask: Callable[..., Answer]) -> None:
    rows = [line.split("\t") for line in ask("ops").out.splitlines()]
    names = [name for name in core.operators() if name.startswith("aten::")]
    operators = {name.partition(".")[0] for name in names}
    assert ["aten", str(len(operators)), str(len(names))] in rows
    assert sum(int(row[2]) for row in rows) == len(core.operators())
    listed = json.loads(ask("ops", "--json").out)
    assert [[str(value) for value in row.values()] for row in listed] == rows


def test_names_of_a_namespace(ask: Callable[..., Answer]) -> None:
    names = ask("ops", "--namespace", "aten").out.splitlines()
    assert {"add", "add_", "softmax"} <= set(names)
    assert names == sorted(names)
    assert json.loads(ask("ops", "--namespace", "aten", "--json").out) == names


def test_facts_of_an_overload(ask: Callable[..., Answer]) -> None:
    (found,) = json.loads(ask("ops", "--json", "aten::add.out").out)
    assert found["schema"].startswith("aten::add.out(")
    assert (found["namespace"], found["name"], found["overload"]) == ("aten", "add", "out")
    assert found["arguments"][2:] == [
        {"name": "alpha", "type": "Scalar", "writes": False, "default": "1", "keyword_only": True},
        {"name": "out", "type": "Tensor", "writes": True, "default": None, "keyword_only": True},
    ]
    assert found["results"] == [{"name": "", "type": "Tensor", "writes": True}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sofmax"], "no operator called sofmax in"),
        (["aten::sofmax"], "no operator of the namespace aten called sofmax in"),
        (["softmax.itn"], "no overload of aten::softmax called itn in"),
        (["--namespace", "atem"], "no namespace called atem in"),
        (["atem::add"], "no namespace called atem in"),
    ],
)
def test_a_slip_names_the_nearest(ask: Callable[..., Answer], arguments: list[str], said: str) -> None:
    answer = ask("ops", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert f"libtorch-ffi: There is {said}" in answer.err
    assert any(f"The nearest: {name}" in answer.err for name in ("softmax", "aten", "int", "log_softmax"))
    assert answer.err.count("\n") == 1


def test_a_name_like_no_other_has_no_nearest(ask: Callable[..., Answer]) -> None:
    answer = ask("ops", "xyzzyxyzzy")
    assert answer.code == 2
    assert "The nearest" not in answer.err


def test_a_library_that_is_not_there(ask: Callable[..., Answer]) -> None:
    answer = ask("ops", "--load", "/nowhere/lib.so")
    assert (answer.code, answer.out) == (10, "")
    assert answer.err.startswith("libtorch-ffi: There is no file /nowhere/lib.so")
