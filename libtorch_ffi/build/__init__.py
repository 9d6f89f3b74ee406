"""Compile against a libtorch.

Owns the second flow: from a `Libtorch` to the words for a compiler and a linker, and to the extension itself. Never
looks for a libtorch by itself (`libtorch_ffi.provision` does) and never imports the bindings, which it is to build.

The names of this package are loaded on first use: `libtorch-ffi config` asks for flags and must not pay for setuptools.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for true; importing `typing` for it would cost 2 ms
if TYPE_CHECKING:
    from libtorch_ffi.build.build_ext import BuildExt
    from libtorch_ffi.build.extension import LibtorchExtension
    from libtorch_ffi.build.inline import load_inline

__all__ = ["BuildExt", "LibtorchExtension", "load_inline"]

_HOMES = {"BuildExt": "build_ext", "LibtorchExtension": "extension", "load_inline": "inline"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
