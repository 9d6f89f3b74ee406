"""What an exported program asks of its inputs besides their form: sizes that follow from others, guards."""

from __future__ import annotations

from typing import Any

import exported
import pytest
from exported import LEAF, tree

import libtorch_ffi as lt
from libtorch_ffi import export
from libtorch_ffi.errors import ProgramError
from libtorch_ffi.export import guards, pytree


def program(rows: int | str = "s0", **parts: Any) -> export.ExportedProgram:
    """Return the usual program; its input has so many rows."""
    document = {**exported.program(), **parts}
    document["graph_module"]["graph"]["tensor_values"]["x"] = exported.meta(rows, 2)
    return export.load(exported.archive(document, exported.weights()))


def test_a_size_that_no_symbol_is_equal_to() -> None:
    """Of a dimension 2 * s0 the symbol follows from the size, and has its own range."""
    loaded = program("Mul(Integer(2), Symbol('s0', positive=True, integer=True))")
    assert loaded(lt.ones(6, 2))["y"].shape == (6, 2)
    with pytest.raises(ProgramError, match=r"dimension 0 of input x of the program has to be 2 \* s0, not 7"):
        loaded(lt.ones(7, 2))
    with pytest.raises(ProgramError, match="s0, a size of x, has to be from 3 to 10, not 2"):
        loaded(lt.ones(4, 2))


def test_a_size_that_cannot_be_solved_for_is_let_through() -> None:
    loaded = program("s0**2 + 1")
    assert loaded(lt.ones(4, 2))["y"].shape == (4, 2)


@pytest.mark.parametrize(
    "guard",
    [
        "(L['x'].size()[0] % 2) == 0",
        "((L['flat_args'][0].size()[0]) % 2) == 0",
        "L['x'].size()[0]*L['x'].size()[1] != 10 and not (L['x'].size()[0] <= 3)",
        "5 != L['x'].size()[0]",
    ],
)
def test_a_guard_that_fails_is_an_error(guard: str) -> None:
    loaded = program(guards_code=["L['x'].size()[0] > 2", guard])
    for rows in (4, 6):
        assert loaded(lt.ones(rows, 2))["y"].shape == (rows, 2)
    with pytest.raises(ProgramError, match=r"was exported for .*x\.shape\[0\].*, and x\.shape\[0\] is 5"):
        loaded(lt.ones(5, 2))


@pytest.mark.parametrize(
    "guard",
    ["L['x'].stride()[0] == 9", "L['y'].size()[0] == 9", "f(L['x'].size()[0]) == 9", "x ==", "9 == 8",
     "__import__('os').abort() == L['x'].size()[0]", "L['x'].size()[7] == 9", "L['x'] == 9"],
)  # fmt: skip
def test_a_guard_that_cannot_be_judged_is_left_out(guard: str) -> None:
    assert program(guards_code=[guard])(lt.ones(4, 2))["y"].shape == (4, 2)


def test_where_inputs_lie_in_the_arguments() -> None:
    table = tree("builtins.dict", [LEAF, tree("builtins.list", [LEAF])], ["k", "l"])
    positional = tree("builtins.tuple", [LEAF, table, LEAF])
    arguments = tree("builtins.tuple", [positional, tree("builtins.dict", [LEAF], ["n"])])
    paths = guards.paths_of(pytree.read_spec(exported.spec(arguments), {}), ["x", "t", "rest_0"])
    assert paths == [("x",), ("t", "k"), ("t", "l", 0), ("rest_0",), ("n",)]
    texts = ["L['t'].k.size()[0] < L['t']['l'][0].size()[0]", "L['rest'][0].size()[0] < L['n']"]
    first, second = guards.read(texts, paths)
    values = [lt.ones(1), lt.ones(2), lt.ones(3), lt.ones(4), 5]
    first.check(values)
    second.check(values)
    with pytest.raises(ProgramError, match=r"for t\['k'\]\.shape\[0\] < t\['l'\]\[0\]\.shape\[0\], and .* is 2,"):
        first.check([*values[:2], lt.ones(2), *values[3:]])
    with pytest.raises(ProgramError, match=r"for rest_0\.shape\[0\] < n, and rest_0\.shape\[0\] is 4, n is 4"):
        second.check([*values[:4], 4])
