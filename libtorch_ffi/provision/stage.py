"""A tree that is being written.

Owns the files of a staging folder: written and hashed in one go, or taken over from what is on the disk already, and
the list of them. Never puts a tree in its place: `store` does.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libtorch_ffi.errors import IntegrityError, StoreError
from libtorch_ffi.provision import mark
from libtorch_ffi.provision.kept import Parts, blocks, sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

    from libtorch_ffi.provision.kept import Pool

_SCRATCH = ".download"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a tree: its size in bytes, its sha256, and when it was written, in nanoseconds."""

    size: int
    sha256: str
    time: int


class Written:
    """A file that is being written, and hashed while it is.

    Parameters
    ----------
    name
        Its path inside the tree, with slashes.
    path
        Where it lies; there must be no file yet. No `Path`: to make one takes as long as to make the file.
    mode
        Its mode, of which the umask takes its part.
    """

    def __init__(self, name: str, path: str, mode: int) -> None:
        self.name = name
        self.path = path
        self.size = self.time = 0
        self._digest = hashlib.sha256()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.time = os.fstat(self._file).st_mtime_ns
        os.close(self._file)

    def take(self, chunk: bytes) -> None:
        """Append a chunk."""
        self._digest.update(chunk)
        self.size += len(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def sha256(self) -> str:
        """Return the digest of what was appended."""
        return self._digest.hexdigest()


class Stage:
    """A tree that is being written, beside the place where it will stand.

    Parameters
    ----------
    path
        The folder to write to.
    pool
        What need not be fetched again.

    Attributes
    ----------
    entries
        What was written, by name.
    parts
        Bytes of archives that have arrived.
    resumable
        Whether a failure should leave what had arrived to the next run.
    """

    def __init__(self, path: Path, pool: Pool) -> None:
        self.path = path
        self.pool = pool
        self.parts = Parts(path / _SCRATCH)
        self.resumable = False
        self.entries: dict[str, Entry] = {}
        self._folders: set[str] = set()

    def write(
        self,
        name: str,
        chunks: Iterable[bytes],
        *,
        executable: bool = False,
        sha256: str | None = None,
    ) -> None:
        """Write a file, checking its digest while it is written.

        Parameters
        ----------
        name
            Its path inside the tree, with slashes.
        chunks
            Its content.
        executable
            Whether it may be run; all other bits of its mode come from the umask.
        sha256
            The digest that it must have.

        Raises
        ------
        IntegrityError
            Where the content has another digest; the file is removed.
        """
        file = self.create(name, executable=executable)
        with file:
            for chunk in chunks:
                file.take(chunk)
        self.add(file, sha256)

    def create(self, name: str, *, executable: bool = False) -> Written:
        """Create a file that is empty still; `add` takes it in when it has been written."""
        return Written(name, self._place(name), 0o777 if executable else 0o666)

    def add(self, file: Written, sha256: str | None = None) -> None:
        """Take a file that has been written in among the tree's.

        Raises
        ------
        IntegrityError
            Where its content has another digest than the given one; the file is removed.
        """
        digest = file.sha256()
        if sha256 not in (None, digest):
            (self.path / file.name).unlink()
            raise IntegrityError(
                f"{file.name} has the sha256 {digest}, where {sha256} was published: the bytes were changed or "
                "damaged on their way. Nothing was kept. Run the command again; if it fails alike, set "
                "LIBTORCH_SOURCE to another source."
            )
        self.entries[file.name] = Entry(file.size, digest, file.time)

    def reuse(self, name: str, size: int, sha256: str, *, executable: bool = False) -> bool:
        """Put a file in the tree that is on this disk already, by a hard link where that can be; False if none is.

        Parameters
        ----------
        name
            Its path inside the tree.
        size, sha256
            What it must hold.
        executable
            Whether it may be run, where it has to be copied.
        """
        found = self.pool.find(name, size, sha256)
        if found is None:
            return False
        path = Path(self._place(name))
        try:
            if found.stat().st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "another user's file")
            path.hardlink_to(found)
        except OSError:
            self.write(name, blocks(found), executable=executable, sha256=sha256)
        else:
            self.entries[name] = Entry(size, sha256, path.stat().st_mtime_ns)
        return True

    def expect(self, size: int) -> None:
        """Refuse to begin where the disk has no room for what will be written.

        Raises
        ------
        StoreError
            Saying how much there is and how much is needed.
        """
        free = shutil.disk_usage(self.path).free
        if free < size:
            raise StoreError(
                f"The disk of the cache folder has {free / 1e6:,.0f} MB free ({self.path.parent}), and "
                f"{size / 1e6:,.0f} MB are needed. Nothing of the new libtorch was kept. Make room there, or set "
                "LIBTORCH_HOME to a folder on a larger disk."
            )

    def own(self, name: str) -> None:
        """Make sure that no other tree shares a file, before it is edited in place."""
        path = self.path / name
        if path.stat().st_nlink > 1:
            copy = path.with_name(f"{path.name}.own")
            shutil.copy(path, copy)
            copy.replace(path)

    def scratch(self, name: str) -> Path:
        """Return where a whole archive may lie until the tree is finished."""
        folder = self.path / _SCRATCH
        folder.mkdir(exist_ok=True)
        return folder / name

    def reread(self, name: str) -> None:
        """Take the digest of a file anew, after it was edited in place."""
        path = self.path / name
        about = path.stat()
        self.entries[name] = Entry(about.st_size, sha256_of(path), about.st_mtime_ns)

    def drop(self, name: str) -> None:
        """Remove a file."""
        (self.path / name).unlink()
        del self.entries[name]

    @property
    def has_something(self) -> bool:
        """Whether bytes of an archive have arrived."""
        return bool(self.entries) or any(part.stat().st_size for part in (self.path / _SCRATCH).glob("*"))

    def clear(self) -> None:
        """Begin again from another source; what was written may be of use to it, or to the next run."""
        if self.has_something:
            aside = self.path.with_name(f"{self.path.name}-{len(self.pool.folders)}")
            self.path.rename(aside)
            self.pool.folders.append(aside)
        else:
            shutil.rmtree(self.path)
        self.path.mkdir()
        take_over(self, self.pool.folders)
        self.entries.clear()
        self._folders.clear()

    def finish(self, receipt: dict[str, Any]) -> None:
        """Write the list of files, and `.ok` last."""
        shutil.rmtree(self.path / _SCRATCH, ignore_errors=True)
        lines = (f"{entry.sha256} {entry.size} {entry.time} {name}\n" for name, entry in sorted(self.entries.items()))
        listing = "".join(lines).encode()
        (self.path / mark.FILES_NAME).write_bytes(listing)
        stated = {**receipt, "listing": hashlib.sha256(listing).hexdigest()}
        (self.path / mark.NAME).write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")

    def _place(self, name: str) -> str:
        folder = name.rpartition("/")[0]
        if folder not in self._folders:
            (self.path / folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        return f"{self.path}/{name}"


def take_over(stage: Stage, dead: list[Path]) -> None:
    """Move the parts of archives that dead runs left to the stage's own."""
    for path in (part for folder in dead for part in (folder / _SCRATCH).glob("*")):
        (stage.path / _SCRATCH).mkdir(exist_ok=True)
        # One may be another user's, or be removed now by a thread that nobody waits for: then it is not used.
        with suppress(OSError):
            path.rename(stage.path / _SCRATCH / path.name)
