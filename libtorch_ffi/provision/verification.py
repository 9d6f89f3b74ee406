"""Whether an installed tree is still what was installed.

Owns the comparison of a tree with its list of files. Never changes a tree and never opens a socket: `install.repair`
mends. The fast comparison trusts a file that has the size and the time of the install, and computes the digest of every
other; the full one computes every digest.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.errors import NotFoundError
from libtorch_ffi.provision import mark
from libtorch_ffi.provision.kept import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libtorch_ffi.provision.targets import Target

_OWN = (mark.NAME, mark.FILES_NAME)


@dataclass(frozen=True)
class Damage:
    """A file that is not as it was installed.

    Parameters
    ----------
    name
        Its path inside the tree.
    problem
        What is wrong with it, in a few words.
    """

    name: str
    problem: str


@dataclass(frozen=True)
class Report:
    """What a comparison found.

    Parameters
    ----------
    target
        The libtorch.
    path
        Its folder.
    files
        How many files were compared.
    hashed
        Of how many the digest was computed.
    damage
        What is wrong.
    """

    target: Target
    path: Path
    files: int
    hashed: int
    damage: tuple[Damage, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damage


@dataclass(frozen=True)
class _Listed:
    """A line of the list; format 1 has no times."""

    name: str
    size: int
    sha256: str
    time: int | None


def verify(home: Path, target: Target, *, full: bool = False) -> Report:
    """Compare a tree in the cache folder with its list of files.

    Parameters
    ----------
    home
        The cache folder.
    target
        Which tree.
    full
        Whether to compute the digest of every file, and not only of those whose size or time has changed.

    Raises
    ------
    NotFoundError
        Where there is no such tree, or one that was put there without a list.
    """
    tree = mark.read(home, target)
    if not (tree.path.is_dir() and (tree.path / mark.NAME).exists()):
        raise NotFoundError(
            f"There is no {target} in the cache folder {home} to verify: {tree.path} is {tree.verdict}. Nothing was "
            "changed. Run `libtorch-ffi install`, or `libtorch-ffi list` to see what is there."
        )
    if tree.libtorch is not None and not tree.receipt:
        raise NotFoundError(
            f"{tree.path} was put there by another program, which left no list of its files, so it cannot be verified. "
            "Nothing was changed. Run `libtorch-ffi remove` and `libtorch-ffi install` to have one that can."
        )
    problem = _problem_of_list(tree)
    if problem is not None:
        return Report(target, tree.path, 0, 0, (problem,))
    files = list(_listed(tree.path / mark.FILES_NAME))
    judged = [_judge(tree.path, each, full=full) for each in files]
    damage = [each for each, _ in judged if each is not None]
    damage += _strangers(tree.path, {each.name for each in files})
    return Report(target, tree.path, len(files), sum(hashed for _, hashed in judged), tuple(damage))


def _problem_of_list(tree: mark.Tree) -> Damage | None:
    """Say what is wrong with `.ok` or with the list itself, without which nothing can be compared."""
    if not tree.receipt:
        return Damage(mark.NAME, tree.verdict)
    try:
        found = hashlib.sha256((tree.path / mark.FILES_NAME).read_bytes()).hexdigest()
    except OSError as error:
        return Damage(mark.FILES_NAME, f"cannot be read: {error.strerror}")
    if tree.receipt.get("listing", found) != found:
        return Damage(mark.FILES_NAME, "is not the list that was written at the install")
    return None


def _listed(path: Path) -> Iterator[_Listed]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    times = [line.split(" ")[2] for line in lines]
    for (name, size, sha256), time in zip(mark.listed(path), times, strict=True):
        yield _Listed(name, size, sha256, int(time) if time.isdigit() else None)


def _judge(tree: Path, listed: _Listed, *, full: bool) -> tuple[Damage | None, bool]:
    """Return what is wrong with a file, and whether its digest was computed."""
    path = tree / listed.name
    try:
        about = path.lstat()
        problem = _seen(about, listed)
        if problem or (not full and about.st_mtime_ns == listed.time):
            return Damage(listed.name, problem) if problem else None, False
        same = sha256_of(path) == listed.sha256
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        return Damage(listed.name, "is gone" if gone else f"cannot be read: {error.strerror}"), False
    return None if same else Damage(listed.name, "has another content"), True


def _seen(about: os.stat_result, listed: _Listed) -> str:
    """Say what is wrong with a file without reading it; nothing where that cannot be told."""
    if not stat.S_ISREG(about.st_mode):
        return "is no plain file"
    return f"has {about.st_size} bytes, where {listed.size} were installed" if about.st_size != listed.size else ""


def _strangers(tree: Path, names: set[str]) -> Iterator[Damage]:
    """Yield what is in the tree and was not installed: a header or a library of another origin can change a build."""
    for folder, folders, files in os.walk(tree):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for file in (*files, *links):
            name = (Path(folder) / file).relative_to(tree).as_posix()
            if name not in names and name not in _OWN:
                yield Damage(name, "was not installed")
