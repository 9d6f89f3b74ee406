"""Compile against a libtorch.

Owns the second flow: from a `Libtorch` to the words for a compiler and a linker, and to the extension itself. Never
looks for a libtorch by itself (`libtorch_ffi.provision` does) and never imports the bindings, which it is to build.

The names of this package are loaded on first use: `libtorch-ffi config` asks for flags and must not pay for setuptools.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for true; importing `typing` for it would cost 2 ms
if TYPE_CHECKING:
    from libtorch_ffi.build.build_ext import BuildExt

__all__ = ["BuildExt"]


def __getattr__(name: str) -> object:
    if name == "BuildExt":
        from libtorch_ffi.build.build_ext import BuildExt

        return BuildExt
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
