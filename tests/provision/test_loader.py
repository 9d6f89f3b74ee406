"""Whether libraries in one folder find each other, by the rules of the loader, and by the loader itself."""

from __future__ import annotations

import pytest

from libtorch_ffi.provision.elf import Library
from libtorch_ffi.provision.loader import lost

ORIGIN = ("$ORIGIN",)


def _library(*needed: str, rpath: tuple[str, ...] = (), runpath: tuple[str, ...] = ()) -> Library:
    return Library("linux-x86_64", (*needed, "libc.so.6"), None, rpath, runpath)


CASES = {
    "own rpath": ({"a": _library("b", rpath=ORIGIN), "b": _library()}, []),
    "own runpath": ({"a": _library("b", runpath=("/x", "$ORIGIN/.")), "b": _library()}, []),
    "no path": ({"a": _library("b"), "b": _library()}, [("a", "b")]),
    "elsewhere": ({"a": _library("b", rpath=("$ORIGIN/../nvidia",)), "b": _library()}, [("a", "b")]),
    "rpath handed down": ({"a": _library("b", rpath=ORIGIN), "b": _library("c"), "c": _library()}, []),
    "handed down twice": (
        {"a": _library("b", rpath=ORIGIN), "b": _library("c"), "c": _library("d"), "d": _library()},
        [],
    ),
    "runpath is not": ({"a": _library("b", runpath=ORIGIN), "b": _library("c"), "c": _library()}, [("b", "c")]),
    "nor with both": (
        {"a": _library("b", rpath=ORIGIN, runpath=ORIGIN), "b": _library("c"), "c": _library()},
        [("b", "c")],
    ),
    "loaded before": ({"a": _library("b", "c", runpath=ORIGIN), "b": _library("c"), "c": _library()}, []),
    "runpath shuts out rpath": (
        {"a": _library("b", rpath=ORIGIN), "b": _library("c", runpath=("/x",)), "c": _library()},
        [("b", "c")],
    ),
    "a circle": ({"a": _library("b", rpath=ORIGIN), "b": _library("c"), "c": _library("b")}, []),
    "not linked": ({"a": _library(), "x": _library("a")}, []),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_lost(name: str) -> None:
    libraries, expected = CASES[name]
    assert lost(libraries, ["a"]) == expected
