"""Whether the libraries of one flat folder find each other.

Owns the rules by which glibc's loader searches (ld.so(8)): a library's own RUNPATH, or else its own RPATH and those of
the libraries that led to it; and that a library that is loaded already is not searched for. Never loads anything, so
that a tree for another processor is judged alike.

The libraries of torch's wheels lie in up to three folders there and in one here. Those of `torch.libs` have no path of
their own (libopenblas, libarm_compute): they are found by the RPATH of libtorch_cpu, which is handed down, and would
not be by a RUNPATH.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from libtorch_ffi.provision.elf import Library


def lost(libraries: Mapping[str, Library], roots: Iterable[str]) -> list[tuple[str, str]]:
    """Return the libraries that would not be found when `roots` are loaded, each after the one that needs it.

    Parameters
    ----------
    libraries
        What each library of the folder says of itself, by file name. What it needs and is not among them is the
        system's.
    roots
        The libraries that a program links.
    """
    parents = _parents(libraries, roots)
    return [
        (file, needed)
        for file in parents
        for needed in libraries[file].needed
        if needed in libraries and not _finds(libraries, parents, file, needed)
    ]


def _parents(libraries: Mapping[str, Library], roots: Iterable[str]) -> dict[str, set[str]]:
    """Return what is loaded with the roots, each with the libraries that need it."""
    found: dict[str, set[str]] = {root: set() for root in roots if root in libraries}
    pending = list(found)
    while pending:
        file = pending.pop()
        for needed in libraries[file].needed:
            if needed in libraries:
                if needed not in found:
                    found[needed] = set()
                    pending.append(needed)
                found[needed].add(file)
    return found


def _finds(libraries: Mapping[str, Library], parents: Mapping[str, set[str]], file: str, needed: str) -> bool:
    """Tell whether a library's own search leads to another, or whether that is loaded before it is needed."""
    library = libraries[file]
    if _here(library.runpath or library.rpath):
        return True
    if not library.runpath and _inherits(libraries, parents, file, frozenset()):
        return True
    # The loader goes breadth first: what all parents need themselves is loaded before what their children need.
    above = parents[file] - {file}
    return bool(above) and all(
        needed in libraries[parent].needed and _here(libraries[parent].runpath or libraries[parent].rpath)
        for parent in above
    )


def _inherits(
    libraries: Mapping[str, Library], parents: Mapping[str, set[str]], file: str, seen: frozenset[str]
) -> bool:
    """Tell whether every way to a library hands down an RPATH that leads to the folder; a circle is no way to it."""
    return bool(parents[file]) and all(
        (not libraries[parent].runpath and _here(libraries[parent].rpath))
        or _inherits(libraries, parents, parent, seen | {file})
        for parent in parents[file] - seen - {file}
    )


def _here(folders: Iterable[str]) -> bool:
    return any(folder.rstrip("/.") in ("$ORIGIN", "${ORIGIN}") for folder in folders)
