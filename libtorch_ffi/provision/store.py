"""The cache folder: trees put there whole or not at all, listed, and removed.

Owns the layout `<home>/<version>/<platform>/<flavor>/{lib,include,share,.ok,.files}`, the lock of each target, the
staging folder beside it, and the one rename that puts a tree in place. Never downloads and never decides what a tree
holds. A run that is killed leaves a staging folder that nothing trusts; the next run that holds the target's lock
removes it, after it has used again what verifies.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.errors import StoreError
from libtorch_ffi.provision import mark
from libtorch_ffi.provision.kept import Pool
from libtorch_ffi.provision.settings import ARCHIVE, SOURCES
from libtorch_ffi.provision.stage import Stage, take_over
from libtorch_ffi.provision.targets import PLATFORMS, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from filelock import BaseFileLock

_log = logging.getLogger(__name__)

_LOCKS = ".locks"
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


@contextmanager
def locked(home: Path, target: Target, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a target: one process at a time installs or removes it, and the others wait.

    Parameters
    ----------
    home, target
        Which tree.
    wait
        Whether to wait for the process that has the lock.

    Raises
    ------
    StoreError
        Where the cache folder cannot be written to, or, without waiting, another process has the lock.
    """
    from filelock import FileLock

    # The locks lie apart from the trees and stay: a lock that is deleted while another waits for it locks nothing.
    folder = home / _LOCKS
    with explained(home):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{target.version}-{target.platform}-{target.flavor}.lock", mode=0o666)
        _acquire(lock, home, target, wait=wait)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, home: Path, target: Target, *, wait: bool) -> None:
    """Take a lock, saying so once where another process has it."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        if not wait:
            raise BusyError(f"Another process installs or removes {target} in {home} now. Nothing was done.") from error
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
        _sweep_quietly(place, _DEBRIS)
        dead = _beside_all(place, _STAGE)
        stage = Stage(_beside(place, _STAGE), Pool(home, [*dead, *([place] if place.is_dir() else [])]))
        stage.path.mkdir(parents=True)
        take_over(stage, dead)
        try:
            yield stage
            _put_in_place(stage.path, place)
        except BaseException as error:
            if not (stage.resumable or isinstance(error, KeyboardInterrupt)):
                _sweep_quietly(place, _STAGE, _DEBRIS)
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


def prune(home: Path) -> list[tuple[Path, int]]:
    """Remove what dead runs left and trees that cannot be used; return each with the bytes that this freed.

    What a live run is at is left alone: it holds the target's lock.

    Parameters
    ----------
    home
        The cache folder.
    """
    return [each for target in _started(home) for each in _pruned(home, target)]


def leftovers(home: Path) -> list[Path]:
    """Return the folders that runs left beside the trees of a cache folder, dead or alive; `prune` tells them apart."""
    return sorted(path for kind in (_STAGE, _DEBRIS) for path in home.glob(f"[0-9]*/*/.*.{kind}-*"))


def _pruned(home: Path, target: Target) -> list[tuple[Path, int]]:
    place = target.folder(home)
    try:
        with locked(home, target, wait=False), explained(home):
            unusable = [place] if place.is_dir() and mark.read(home, target).libtorch is None else []
            found = [*_beside_all(place, _STAGE), *_beside_all(place, _DEBRIS), *unusable]
            freed = [(path, freed_by(path)) for path in found]
            for path in unusable:
                _set_aside(path)
            _sweep(place, _STAGE, _DEBRIS)
    except BusyError:
        return []
    _remove_empty(home, place.parent)
    return freed


def _started(home: Path) -> list[Target]:
    """Return the targets that have a folder, or that a run has begun."""
    found = {str(target): target for target in _targets(home)}
    for path in home.glob("[0-9]*/*/.*-*"):
        version, platform, name = path.parts[-3:]
        flavor = (
            name.removeprefix(".").rpartition(f".{_STAGE}-")[0] or name.removeprefix(".").rpartition(f".{_DEBRIS}-")[0]
        )
        for known in PLATFORMS:
            if platform == known and flavor:
                target = Target(version, flavor, known)
                found[str(target)] = target
    return list(found.values())


class BusyError(StoreError):
    """Another process installs or removes the target now."""


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
    _sweep_quietly(place, _STAGE, _DEBRIS)


def _set_aside(place: Path) -> None:
    place.rename(_beside(place, _DEBRIS))


def _sweep(place: Path, *kinds: str) -> None:
    """Remove what dead runs left beside a place; the caller holds its lock."""
    for path in (path for kind in kinds for path in _beside_all(place, kind)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _sweep_quietly(place: Path, *kinds: str) -> None:
    """Remove what this run and dead ones left, as far as that can be: it may be another user's, and harms nobody."""
    for path in (path for kind in kinds for path in _beside_all(place, kind)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
        if _is_there(path):
            _log.info("%s is left over and may not be removed by this user; `prune` of its owner removes it", path)


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
        size=_size_of(tree),
        usable=tree.libtorch is not None,
        verdict=tree.verdict,
        source=source if source in (*SOURCES, ARCHIVE) else "",
    )


def _size_of(tree: mark.Tree) -> int:
    """Return what a tree takes; a usable one has it written down, so that listing many opens few folders."""
    stated = tree.receipt.get("size")
    if tree.libtorch is None or not isinstance(stated, int):
        return _size(tree.path)
    return stated + sum(_size(tree.path / name) for name in (mark.NAME, mark.FILES_NAME))


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
