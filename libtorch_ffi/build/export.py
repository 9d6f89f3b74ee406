"""What CMake has to be told, as a script of CMake's.

Owns the answer to ``LibtorchFFILocate.cmake``: a `Libtorch` as ``set(…)`` commands on stdout, or a paragraph on stderr
and exit code 1. What is made of the variables is said in ``LibtorchFFIConfig.cmake``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.build import choice
from libtorch_ffi.build.flags import registers_kernels
from libtorch_ffi.errors import LibtorchFFIError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from libtorch_ffi.provision import Libtorch


def main() -> int:
    """Print the script for the libtorch to build against, which is downloaded where it has to be."""
    try:
        sys.stdout.write(script(choice.choose()))
    except LibtorchFFIError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def script(libtorch: Libtorch) -> str:
    """Return a libtorch as variables of CMake."""
    macos = libtorch.platform.startswith("macos")
    files = {name: _file(libtorch, name, ".dylib" if macos else ".so") for name in libtorch.libraries}
    kept = {name: file for name, file in files.items() if registers_kernels(name) and not macos}
    variables: dict[str, Iterable[object]] = {
        "TORCH_VERSION": [libtorch.version],
        "INCLUDE_DIRS": libtorch.include_dirs,
        "LIBRARY_DIRS": libtorch.library_dirs,
        "LIBRARIES": [file for name, file in files.items() if name not in kept],
        "KEPT": kept.values(),
        "DEFINITIONS": [] if macos else [f"_GLIBCXX_USE_CXX11_ABI={int(libtorch.cxx11_abi)}"],
        "STANDARD": [libtorch.cxx_standard],
        "PREFIX": [libtorch.prefix],
    }
    return "".join(f"set(LIBTORCH_FFI_{name} {_quoted(values)})\n" for name, values in variables.items())


def _file(libtorch: Libtorch, name: str, suffix: str) -> Path:
    paths = [Path(folder, f"lib{name}{suffix}") for folder in libtorch.library_dirs]
    return next((path for path in paths if path.is_file()), paths[0])


def _quoted(values: Iterable[object]) -> str:
    """Write a list as one argument: in brackets nothing means anything to CMake but the closing bracket."""
    return f"[==[{';'.join(map(str, values))}]==]"
