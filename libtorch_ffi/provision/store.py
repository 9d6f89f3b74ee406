"""The cache folder: trees put there whole or not at all, listed, and removed.

Owns the layout `<home>/<version>/<platform>/<flavor>/{lib,include,share,.ok,.files}`, the lock of each target, the
staging folder beside it, and the one rename that puts a tree in place. Never downloads and never decides what a tree
holds. A run that is killed leaves a staging folder that nothing trusts; the next run that holds the target's lock
removes it, after it has used again what verifies.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from libtorch_ffi.errors import IntegrityError, StoreError
from libtorch_ffi.provision import mark
from libtorch_ffi.provision.kept import Parts, Pool, blocks, sha256_of
from libtorch_ffi.provision.overlap import behind
from libtorch_ffi.provision.settings import SOURCES
from libtorch_ffi.provision.targets import PLATFORMS, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from filelock import BaseFileLock

_log = logging.getLogger(__name__)

_LOCKS = ".locks"
_SCRATCH = ".download"
_STAGE = "staging"
_DEBRIS = "debris"


@dataclass(frozen=True)
class Installed:
    """A tree in the cache folder.

    Parameters
    ----------
    target
        What it is.
    path
        Its folder.
    size
        Bytes on the disk.
    usable
        Whether `ensure` would take it.
    verdict
        Why, in a few words.
    source
        Where its bytes came from; empty where that is not known.
    """

    target: Target
    path: Path
    size: int
    usable: bool
    verdict: str
    source: str


@dataclass(frozen=True)
class Entry:
    """A file of a tree: its size in bytes and its sha256."""

    size: int
    sha256: str


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
        self._folders: set[Path] = set()

    def write(
        self,
        name: str,
        chunks: Iterable[bytes],
        *,
        executable: bool = False,
        sha256: str | None = None,
        large: bool = False,
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
        large
            Whether hashing and writing should go on while the next chunk is made.

        Raises
        ------
        IntegrityError
            Where the content has another digest; the file is removed.
        """
        path = self._place(name)
        mode = 0o777 if executable else 0o666
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            digest = _copied(chunks, file, large=large)
            size = file.tell()
        if sha256 not in (None, digest):
            path.unlink()
            raise IntegrityError(
                f"{name} has the sha256 {digest}, where {sha256} was published: the bytes were changed or "
                "damaged on their way. Nothing was kept. Run the command again; if it fails alike, set "
                "LIBTORCH_SOURCE to another source."
            )
        self.entries[name] = Entry(size, digest)

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
        path = self._place(name)
        try:
            if found.stat().st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "another user's file")
            path.hardlink_to(found)
        except OSError:
            self.write(name, blocks(found), executable=executable, sha256=sha256)
        self.entries[name] = Entry(size, sha256)
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
        self.entries[name] = Entry(path.stat().st_size, sha256_of(path))

    def drop(self, name: str) -> None:
        """Remove a file."""
        (self.path / name).unlink()
        del self.entries[name]

    @property
    def has_something(self) -> bool:
        """Whether bytes of an archive have arrived."""
        return bool(self.entries) or (self.path / _SCRATCH).exists()

    def clear(self) -> None:
        """Begin again from another source; what was written may be of use to it, or to the next run."""
        if self.has_something:
            aside = self.path.with_name(f"{self.path.name}-{len(self.pool.folders)}")
            self.path.rename(aside)
            self.pool.folders.append(aside)
        else:
            shutil.rmtree(self.path)
        self.path.mkdir()
        _take_over(self, self.pool.folders)
        self.entries.clear()
        self._folders.clear()

    def finish(self, receipt: dict[str, Any]) -> None:
        """Write the list of files, and `.ok` last."""
        shutil.rmtree(self.path / _SCRATCH, ignore_errors=True)
        lines = (
            f"{entry.sha256} {entry.size} {(self.path / name).stat().st_mtime_ns} {name}\n"
            for name, entry in sorted(self.entries.items())
        )
        listing = "".join(lines).encode()
        (self.path / mark.FILES_NAME).write_bytes(listing)
        stated = {**receipt, "listing": hashlib.sha256(listing).hexdigest()}
        (self.path / mark.NAME).write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")

    def _place(self, name: str) -> Path:
        path = self.path / name
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        return path


def _copied(chunks: Iterable[bytes], file: IO[bytes], *, large: bool) -> str:
    """Write chunks to a file; return their sha256."""
    digest = hashlib.sha256()

    def take(chunk: bytes) -> None:
        digest.update(chunk)
        file.write(chunk)

    if large:
        with behind(take) as hand:
            for chunk in chunks:
                hand(chunk)
    else:
        for chunk in chunks:
            take(chunk)
    return digest.hexdigest()


@contextmanager
def locked(home: Path, target: Target) -> Iterator[None]:
    """Hold the lock of a target: one process at a time installs or removes it, and the others wait.

    Raises
    ------
    StoreError
        Where the cache folder cannot be written to.
    """
    from filelock import FileLock

    # The locks lie apart from the trees and stay: a lock that is deleted while another waits for it locks nothing.
    folder = home / _LOCKS
    with explained(home):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{target.version}-{target.platform}-{target.flavor}.lock", mode=0o666)
        _acquire(lock, home, target)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, home: Path, target: Target) -> None:
    """Take a lock, saying so once where another process has it."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        _log.info("waiting for the process that installs or removes %s", target)
        lock.acquire()
    except NotImplementedError as error:
        raise StoreError(
            f"The cache folder {home} cannot be used: its file system has no locks, so that two installs could meet "
            "there. Set LIBTORCH_HOME to a folder on a local disk."
        ) from error


@contextmanager
def staged(home: Path, target: Target) -> Iterator[Stage]:
    """Give a folder to write a tree to; put it in place if the block ends well, and remove it if not.

    The caller holds the target's lock, so that every other staging folder of the target is a dead run's: what is of use
    in it is used, and it is removed. An interrupt, and a failure that the stage calls resumable, leave what had arrived
    to the next run.

    Raises
    ------
    StoreError
        Where the disk is full, or the folder cannot be written to.
    """
    place = target.folder(home)
    with explained(home):
        _sweep(place, _DEBRIS)
        dead = _beside_all(place, _STAGE)
        stage = Stage(_beside(place, _STAGE), Pool(home, [*dead, place]))
        stage.path.mkdir(parents=True)
        _take_over(stage, dead)
        try:
            yield stage
            _put_in_place(stage.path, place)
        except BaseException as error:
            if not (stage.resumable or isinstance(error, KeyboardInterrupt)):
                _sweep_quietly(place)
            raise
        finally:
            _remove_empty(home, place.parent)


def installed(home: Path) -> list[Installed]:
    """List the trees in a cache folder, usable or not, oldest release first.

    Parameters
    ----------
    home
        The cache folder; one that does not exist holds nothing.
    """
    return [_judged(home, target) for target in _targets(home)]


def remove(home: Path, target: Target) -> int:
    """Remove a tree; return the bytes that this freed, none where there is no such tree.

    The tree is renamed before it is deleted, so that no other process ever finds half of it.

    Raises
    ------
    StoreError
        Where it may not be removed.
    """
    place = target.folder(home)
    if not _is_there(place):
        return 0
    with locked(home, target), explained(home):
        freed = freed_by(place)
        _set_aside(place)
        _sweep(place, _STAGE, _DEBRIS)
    _remove_empty(home, place.parent)
    return freed


@contextmanager
def explained(home: Path) -> Iterator[None]:
    """Turn what an operating system says about the cache folder into a StoreError that tells what to do."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise StoreError(_words(home, error)) from error


def _words(home: Path, error: OSError) -> str:
    where = error.filename or home
    fact = f"The cache folder {home} cannot be used: {error.strerror} ({where})."
    kept = "Nothing of the new libtorch was kept."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{fact} {kept} Make room there, or set LIBTORCH_HOME to a folder on a larger disk."
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return f"{fact} A file stands where a folder should be. Move it away, or set LIBTORCH_HOME to another folder."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{fact} {kept} Set LIBTORCH_HOME to a folder that you may write to."
    return f"{fact} {kept} Set LIBTORCH_HOME to another folder, or look at the disk."


def _put_in_place(stage: Path, place: Path) -> None:
    """Rename a finished tree to its place; debris that stands there is set aside first."""
    if _is_there(place):
        _set_aside(place)
    stage.rename(place)
    _sweep(place, _STAGE, _DEBRIS)


def _set_aside(place: Path) -> None:
    place.rename(_beside(place, _DEBRIS))


def _take_over(stage: Stage, dead: list[Path]) -> None:
    """Move the parts of archives that dead runs left to the stage's own."""
    for path in (part for folder in dead for part in (folder / _SCRATCH).glob("*")):
        (stage.path / _SCRATCH).mkdir(exist_ok=True)
        path.rename(stage.path / _SCRATCH / path.name)


def _sweep(place: Path, *kinds: str) -> None:
    """Remove what dead runs left beside a place; the caller holds its lock."""
    for path in (path for kind in kinds for path in _beside_all(place, kind)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _sweep_quietly(place: Path) -> None:
    """Remove what this run and dead ones left, as far as that can be: an error is being told already."""
    for path in (*_beside_all(place, _STAGE), *_beside_all(place, _DEBRIS)):
        shutil.rmtree(path, ignore_errors=True)


def _beside_all(place: Path, kind: str) -> list[Path]:
    return sorted(place.parent.glob(f".{place.name}.{kind}-*"), reverse=True)


def _beside(place: Path, kind: str) -> Path:
    return place.parent / f".{place.name}.{kind}-{os.getpid()}-{time.time_ns():x}"


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _targets(home: Path) -> Iterator[Target]:
    """Yield the targets that have a folder."""
    for path in sorted(home.glob("[0-9]*/*/*"), key=_order):
        version, platform, flavor = path.parts[-3:]
        for known in PLATFORMS:
            if platform == known and path.is_dir() and not flavor.startswith("."):
                yield Target(version, flavor, known)


def _order(path: Path) -> tuple[list[int], str]:
    return [int(part) if part.isdigit() else -1 for part in path.parts[-3].split(".")], str(path)


def _judged(home: Path, target: Target) -> Installed:
    tree = mark.read(home, target)
    source = str(tree.receipt.get("source", ""))
    return Installed(
        target=target,
        path=tree.path,
        size=_size(tree.path),
        usable=tree.libtorch is not None,
        verdict=tree.verdict,
        source=source if source in SOURCES else "",
    )


def _size(path: Path) -> int:
    """Add up the files of a folder."""
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(path) for name in names)


def freed_by(path: Path) -> int:
    """Add up the files of a folder that no other tree shares."""
    found = [(Path(folder) / name).lstat() for folder, _, names in os.walk(path) for name in names]
    links = Counter(about.st_ino for about in found)
    return sum(about.st_size // links[about.st_ino] for about in found if about.st_nlink == links[about.st_ino])


def _remove_empty(home: Path, folder: Path) -> None:
    """Remove the folders that a removed tree leaves empty, up to the cache folder."""
    with suppress(OSError):
        while folder != home:
            folder.rmdir()
            folder = folder.parent
