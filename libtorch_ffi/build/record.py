"""What an extension was built against, written beside it.

Owns the file ``_built.json``. The loader (`libtorch_ffi._load`) reads it before it lets the extension into the process,
so it holds all that can be compared without opening a library: the version, the C++ ABI, the folder and the sizes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libtorch_ffi.provision.libtorch import Libtorch

NAME = "_built.json"


def describe(libtorch: Libtorch) -> dict[str, object]:
    """Return the facts to keep about a libtorch, as JSON has them.

    ``sizes`` holds the size in bytes of each library by file name, in link order. No two builds of libtorch have
    shared the sizes of libtorch_cpu and libc10, and a size costs no reading.
    """
    folders = [str(Path(folder).absolute()) for folder in libtorch.library_dirs]
    return {
        "version": libtorch.version,
        "flavor": libtorch.flavor,
        "platform": libtorch.platform,
        "prefix": str(Path(libtorch.prefix).absolute()),
        "library_dirs": folders,
        "libraries": list(libtorch.libraries),
        "cxx11_abi": libtorch.cxx11_abi,
        "cxx_standard": libtorch.cxx_standard,
        "origin": libtorch.origin,
        "sizes": _sizes(libtorch, folders),
    }


def write(path: Path, libtorch: Libtorch) -> None:
    """Write the facts about a libtorch to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(describe(libtorch), indent=1) + "\n", encoding="utf-8")


def _sizes(libtorch: Libtorch, folders: list[str]) -> dict[str, int]:
    suffix = ".dylib" if libtorch.platform.startswith("macos") else ".so"
    sizes: dict[str, int] = {}
    for name in (f"lib{library}{suffix}" for library in libtorch.libraries):
        path = next((path for folder in folders if (path := Path(folder, name)).is_file()), None)
        if path is not None:
            sizes[name] = path.stat().st_size
    return sizes
