"""What earlier runs left, put to use after checking it: whole files by their digest, and bytes that had arrived.

Owns the search for a file that is on the disk already (in the staging folder of a run that was killed, in a damaged
tree that is being repaired, in the tree of another flavor) and the parts: bytes of an archive, written down as they
arrive, so that a later run asks for the rest only. A whole file is taken only after its digest was computed anew; a
part is taken on trust by nobody: the digest of what is made of it decides. Never opens a socket.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from libtorch_ffi.provision import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

SHARED_FROM = 1 << 16
"""The smallest file, in bytes, that is looked for in the trees of other targets: a header is not worth it."""

PART_FROM = 1 << 20
"""The shortest range, in bytes, that is written down while it arrives."""

_BLOCK = 1 << 20


def blocks(path: Path, start: int = 0, stop: int | None = None) -> Generator[bytes, None, None]:
    """Yield the bytes of a file from `start` to `stop`."""
    with path.open("rb") as file:
        file.seek(start)
        left = file.seek(0, os.SEEK_END) - start if stop is None else stop - start
        file.seek(start)
        while left > 0 and (block := file.read(min(_BLOCK, left))):
            left -= len(block)
            yield block


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    digest = hashlib.sha256()
    for block in blocks(path):
        digest.update(block)
    return digest.hexdigest()


class Pool:
    """Files that may be used again.

    Parameters
    ----------
    home
        The cache folder, whose other trees are looked through.
    folders
        Folders with the layout of a tree, in which a file is looked for by its name.
    """

    def __init__(self, home: Path, folders: list[Path]) -> None:
        self._home = home
        self.folders = folders

    def find(self, name: str, size: int, sha256: str) -> Path | None:
        """Return a file that has the content, after computing its digest; None where there is none."""
        if not self.folders and size < SHARED_FROM:
            return None
        named = (folder / name for folder in self.folders)
        return next((path for path in (*named, *self._shared(size, sha256)) if _is(path, size, sha256)), None)

    def _shared(self, size: int, sha256: str) -> tuple[Path, ...]:
        return self._by_digest.get(sha256, ()) if size >= SHARED_FROM else ()

    @cached_property
    def _by_digest(self) -> dict[str, tuple[Path, ...]]:
        """Return the large files of all trees of the cache folder, by digest."""
        found: dict[str, tuple[Path, ...]] = {}
        for path in self._home.glob(f"[0-9]*/*/*/{mark.FILES_NAME}"):
            tree = path.parent
            if not tree.name.startswith(".") and tree not in self.folders:
                for name, size, digest in mark.listed(path):
                    if size >= SHARED_FROM:
                        found[digest] = (*found.get(digest, ()), tree / name)
        return found


def _is(path: Path, size: int, sha256: str) -> bool:
    try:
        about = path.lstat()
        return stat.S_ISREG(about.st_mode) and about.st_size == size and sha256_of(path) == sha256
    except OSError:
        return False


class Parts:
    """Bytes of archives, written down while they arrive.

    Parameters
    ----------
    folder
        Where they lie; the parts of an earlier run may be there already.

    Attributes
    ----------
    used
        Whether something that an earlier run wrote down was used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._busy: set[Path] = set()
        self._choosing = threading.Lock()
        self.used = False

    def through(
        self, key: str, start: int, stop: int, rest: Callable[[int, int], Generator[bytes, None, None]]
    ) -> Generator[bytes, None, None]:
        """Yield the bytes of an archive from `start` to `stop`: those that are here, then `rest`, written down.

        Parameters
        ----------
        key
            What tells the archive, these very bytes of it, from all others.
        start, stop
            Places in the archive.
        rest
            Gives the bytes from one place to another.
        """
        path, begin = self._taken(key, start)
        try:
            size = path.stat().st_size if path.exists() else 0
            have = min(begin + size, stop)
            if have > start:
                self.used = True
                yield from blocks(path, start - begin, have - begin)
            if have < stop:
                yield from self._written_down(path, rest(have, stop))
            with self._choosing:
                path.unlink(missing_ok=True)
        finally:
            self._busy.discard(path)

    def _taken(self, key: str, start: int) -> tuple[Path, int]:
        """Return the part to go on with, or a new one, and where it begins; nobody else is given it meanwhile."""
        with self._choosing:
            # A folder that is gone is not made again: whoever removed it gave the install up.
            if not self._folder.exists():
                self._folder.mkdir()
            path, begin = self._holding(key, start) or (self._folder / f"{key}-{start}", start)
            self._busy.add(path)
        return path, begin

    def _written_down(self, path: Path, chunks: Generator[bytes, None, None]) -> Iterator[bytes]:
        try:
            with path.open("ab", buffering=0) as file:
                for chunk in chunks:
                    file.write(chunk)
                    yield chunk
        finally:
            chunks.close()

    def _holding(self, key: str, start: int) -> tuple[Path, int] | None:
        """Return a part that has the byte at `start`, and where it begins."""
        for path in self._folder.glob(f"{key}-*"):
            begin = int(path.name.rpartition("-")[2])
            if path not in self._busy and begin <= start < begin + path.stat().st_size:
                return path, begin
        return None
