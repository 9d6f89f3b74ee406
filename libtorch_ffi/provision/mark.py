"""The `.ok` of a tree: what is installed there, in a few hundred bytes.

Owns the format of `.ok` and the question whether a tree may be used. This is all that a cache hit reads: it hashes
nothing, opens no socket, and imports nothing that does. Never writes a tree (`store` does).

A tree with an empty `.ok` was put there by hasktorch, whose layout is the same; its facts are read from its libraries.
A tree without `.ok`, with one that is not ours, or without the libraries that its `.ok` names, is debris and never
used.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from libtorch_ffi._dataclass import dataclass
from libtorch_ffi.provision.libtorch import Libtorch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from libtorch_ffi.provision.targets import Target

NAME = ".ok"
FILES_NAME = ".files"
FORMAT = 2
"""1 had no times in the list of files, and no digest of that list."""


@dataclass(frozen=True)
class Tree:
    """A folder where a target's tree should be, judged.

    Parameters
    ----------
    path
        The folder.
    libtorch
        What it holds, where it may be used.
    verdict
        Why it may be used or why not, in a few words.
    receipt
        The content of `.ok`; empty where that is.
    """

    path: Path
    libtorch: Libtorch | None
    verdict: str
    receipt: dict[str, Any]


def read(home: Path, target: Target) -> Tree:
    """Judge the tree of a target in the cache folder."""
    path = target.folder(home)
    try:
        text = (path / NAME).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Tree(path, None, "no .ok: half of an install" if path.exists() else "not installed", {})
    except (OSError, UnicodeDecodeError) as error:
        return Tree(path, None, f".ok cannot be read: {error}", {})
    if not text.strip():
        return _foreign(path, target)
    try:
        receipt = json.loads(text)
        missing = _missing(path, receipt["libraries"])
        libtorch = _libtorch(path, target, receipt)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return Tree(path, None, f".ok is not one of ours: {error!r}", {})
    if missing:
        return Tree(path, None, f"half-removed: {missing}", receipt)
    return Tree(path, libtorch, "installed", receipt)


def listed(path: Path) -> Iterator[tuple[str, int, str]]:
    """Yield name, size and sha256 of each file that a tree's list of files names; nothing where that is no such list.

    A line is ``sha256 size mtime name``, in nanoseconds; lists of format 1 have no times.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        digest, _, rest = line.partition(" ")
        size, _, rest = rest.partition(" ")
        time, _, name = rest.partition(" ")
        if size.isdigit():
            yield (name, int(size), digest) if name and time.isdigit() else (rest, int(size), digest)


def _missing(path: Path, libraries: dict[str, int]) -> str:
    """Say which library is gone or has another size than when it was installed; nothing where none is."""
    for name, size in libraries.items():
        try:
            found = (path / "lib" / name).stat().st_size
        except OSError:
            return f"lib/{name} is gone"
        if found != size:
            return f"lib/{name} has {found} bytes, where {size} were installed"
    return ""


def _libtorch(path: Path, target: Target, receipt: dict[str, Any]) -> Libtorch:
    return Libtorch(
        version=target.version,
        flavor=target.flavor,
        platform=target.platform,
        prefix=path,
        include_dirs=(path / "include", path / "include/torch/csrc/api/include"),
        library_dirs=(path / "lib",),
        libraries=tuple(receipt["link"]),
        cxx11_abi=bool(receipt["cxx11_abi"]),
        cxx_standard=int(receipt["cxx_standard"]),
        origin="cache",
    )


def _foreign(path: Path, target: Target) -> Tree:
    """Describe a tree that hasktorch installed, from its libraries and headers."""
    from libtorch_ffi.errors import LibtorchFFIError
    from libtorch_ffi.provision.describe import describe

    try:
        found = describe(path / "include", path / "lib", prefix=path, origin="cache", flavor=target.flavor)
    except LibtorchFFIError as error:
        return Tree(path, None, f"an empty .ok, and no libtorch beside it: {error}", {})
    if found.version != target.version or found.platform != target.platform:
        return Tree(path, None, f"an empty .ok beside libtorch {found.version} for {found.platform}", {})
    return Tree(path, found, "installed, by another program that shares the cache", {})
