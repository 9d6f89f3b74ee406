"""Members of an archive, written to a tree: the large ones beside the small ones.

Owns the two lanes, each with a stream of the archive of its own: thousands of headers cost Python's time, and a library
of hundreds of megabytes zlib's, which lets other threads run meanwhile. Never decides which members are taken, or where
they lie in the tree.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from libtorch_ffi.provision.overlap import behind, beside

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping

    from libtorch_ffi.provision.archive import Archive, Member
    from libtorch_ffi.provision.stage import Stage, Written

LARGE = 1 << 21
"""From how many bytes on a member is worth a thread."""


def write(
    stage: Stage, archive: Archive, members: Mapping[str, Member], sha256: Callable[[Member], str | None]
) -> None:
    """Write members to a tree, each checked against its digest.

    Parameters
    ----------
    stage
        The tree.
    archive
        Where the members are.
    members
        The members, by their path in the tree.
    sha256
        Gives the digest that a member must have, None where none is known.

    Raises
    ------
    IntegrityError
        Where a member is damaged, or is not the published one.
    """
    stage.expect(sum(member.size for member in members.values()))
    large = {path: member for path, member in members.items() if member.size >= LARGE}
    files = {member.name: stage.create(path, executable=member.executable) for path, member in large.items()}
    with beside(lambda stopped: _write_large(archive, large.values(), files, stopped)):
        _write_small(stage, archive, {path: members[path] for path in members.keys() - large.keys()}, sha256)
    for member in large.values():
        stage.add(files[member.name], sha256(member))


def transfer_size(archive: Archive, members: Mapping[str, Member]) -> int:
    """Return how many bytes `write` receives of an archive."""
    lanes: tuple[list[Member], list[Member]] = ([], [])
    for member in members.values():
        lanes[member.size >= LARGE].append(member)
    return sum(map(archive.transfer_size, lanes))


def _write_small(
    stage: Stage, archive: Archive, members: Mapping[str, Member], sha256: Callable[[Member], str | None]
) -> None:
    paths = {member.name: path for path, member in members.items()}
    with closing(archive.each(members.values())) as contents:
        for member, chunks in contents:
            stage.write(paths[member.name], chunks, executable=member.executable, sha256=sha256(member))


def _write_large(
    archive: Archive, members: Iterable[Member], files: Mapping[str, Written], stopped: threading.Event
) -> None:
    """Write to files that are open already, so that a lane that nobody waits for creates nothing."""
    with ExitStack() as stack, closing(archive.each(members)) as contents:
        for file in files.values():
            stack.enter_context(file)
        for member, chunks in contents:
            with behind(files[member.name].take) as hand:
                for chunk in chunks:
                    if stopped.is_set():
                        return
                    hand(chunk)
