"""What an extension was built against, written beside it.

Owns the file ``_built.json``. The loader (`libtorch_ffi._load`) reads it before it lets the extension into the process,
so it holds all that can be compared without opening a library: the version, the C++ ABI, the folder and the sizes. Who
builds something to run beside the extension reads the same facts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from libtorch_ffi.provision.libtorch import Libtorch

NAME = "_built.json"


@dataclass(frozen=True)
class Built:
    """A libtorch as it was at a build.

    Parameters
    ----------
    libtorch
        The libtorch, where it was then.
    sizes
        The size in bytes of each library by file name, in link order.
    """

    libtorch: Libtorch
    sizes: dict[str, int]

    @property
    def in_place(self) -> bool:
        """Whether its libraries, as they were, and its headers are still there."""
        headers = any((folder / "ATen/ATen.h").is_file() for folder in self.libtorch.include_dirs)
        return headers and _sizes(self.libtorch) == self.sizes


def describe(libtorch: Libtorch) -> dict[str, object]:
    """Return the facts to keep about a libtorch, as JSON has them.

    ``sizes`` holds the size in bytes of each library by file name, in link order. No two builds of libtorch have
    shared the sizes of libtorch_cpu and libc10, and a size costs no reading.
    """
    return {
        "version": libtorch.version,
        "flavor": libtorch.flavor,
        "platform": libtorch.platform,
        "prefix": str(Path(libtorch.prefix).absolute()),
        "include_dirs": [str(Path(folder).absolute()) for folder in libtorch.include_dirs],
        "library_dirs": [str(Path(folder).absolute()) for folder in libtorch.library_dirs],
        "libraries": list(libtorch.libraries),
        "cxx11_abi": libtorch.cxx11_abi,
        "cxx_standard": libtorch.cxx_standard,
        "origin": libtorch.origin,
        "sizes": _sizes(libtorch),
    }


def write(path: Path, libtorch: Libtorch) -> None:
    """Write the facts about a libtorch to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(describe(libtorch), indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Built | None:
    """Return what a file says, folders of a bundled libtorch made absolute.

    None where there is none, as in a folder of sources, or none that can be used.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        sizes = {str(name): int(size) for name, size in facts.pop("sizes").items()}
        facts.pop("bundled", None)
        for name in ("include_dirs", "library_dirs"):
            facts[name] = tuple(path.parent / folder for folder in facts[name])
        facts["prefix"] = path.parent / facts["prefix"]
        facts["libraries"] = tuple(facts["libraries"])
        return Built(Libtorch(**facts), sizes)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _sizes(libtorch: Libtorch) -> dict[str, int]:
    suffix = ".dylib" if libtorch.platform.startswith("macos") else ".so"
    sizes: dict[str, int] = {}
    for name in (f"lib{library}{suffix}" for library in libtorch.libraries):
        path = next((path for folder in libtorch.library_dirs if (path := Path(folder, name)).is_file()), None)
        if path is not None:
            sizes[name] = path.stat().st_size
    return sizes
