"""Zip archives, read as a stream of ranges: from a server, or from a file.

Owns the members: finding their bytes, and inflating them at constant memory however large they are. Reads them in the
order of the archive and neighbours in one range (8,800 headers are not 8,800 requests). Never writes a file and never
decides which members are wanted; what an archive may hold at all is `directory`'s.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import closing
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Protocol

from libtorch_ffi.errors import IntegrityError
from libtorch_ffi.provision import directory
from libtorch_ffi.provision.directory import LOCAL, TAIL, Member

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

__all__ = ["GAP", "Archive", "LocalFile", "Member", "Ranges"]

GAP = 1 << 18
"""Bytes between two members that are received and dropped rather than asked around: about what one round trip costs."""

_BLOCK = 1 << 19

_TAIL_SHARE = 400

_MOST_READ = 1 << 25
"""The largest member and the largest directory, in bytes, that are read into memory; torch's RECORD, the largest such
member that there is, has 1.1 MB in 2.5.0."""

_AT_ONCE = 1 << 18
"""Up to which size, packed and not, a member is inflated in one call: thousands of headers are smaller."""


class Ranges(Protocol):
    """Bytes that can be read from any place."""

    @property
    def name(self) -> str:
        """What to call it in a message."""

    @property
    def size(self) -> int:
        """The number of bytes in it."""

    def blocks(self, start: int, stop: int) -> Generator[bytes, None, None]:
        """Yield the bytes from `start` to `stop`, in blocks of any size."""


class Archive:
    """The members of a zip archive.

    Parameters
    ----------
    ranges
        The archive's bytes.

    Raises
    ------
    IntegrityError
        Where the bytes are not a zip archive, or where it holds a name that no archive of files may hold.
    """

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        # A directory takes up to a five-hundredth of a wheel: with that much of the end, one request finds it.
        tail_start = max(0, ranges.size - max(TAIL, min(ranges.size // _TAIL_SHARE, _MOST_READ)))
        tail = b"".join(ranges.blocks(tail_start, ranges.size))
        self._tail, self._tail_start = memoryview(tail), tail_start
        try:
            place = directory.find(tail, ranges.size)
            _check_length(place)
            early = b"".join(ranges.blocks(place.start, tail_start)) if place.start < tail_start else b""
            data = early + tail[max(place.start - tail_start, 0) : place.stop - tail_start]
            found = directory.read(data, place)
        except (struct.error, ValueError) as error:
            raise IntegrityError(
                f"{ranges.name} is not a zip archive that can be trusted: {error}. Nothing was kept."
            ) from error
        self.folders = found.folders
        self.members = found.members
        self._directory_start = found.start

    def read(self, name: str) -> bytes:
        """Return the content of a small member; raises as `read_all` does."""
        return self.read_all(name)[0]

    def read_all(self, *names: str) -> tuple[bytes, ...]:
        """Return the contents of small members, in the order of `names`; neighbours are read in one range.

        Raises
        ------
        IntegrityError
            Where there is no such member, or it is not small, or its bytes do not inflate to its size and CRC.
        """
        for name in names:
            if name not in self.members:
                raise IntegrityError(f"{self.ranges.name} has no member {name}. Nothing was kept.")
            if self.members[name].size > _MOST_READ:
                raise IntegrityError(
                    f"{name} in {self.ranges.name} has {self.members[name].size} bytes, where {_MOST_READ} are "
                    "believed. Nothing was kept."
                )
        with closing(self.each([self.members[name] for name in names])) as contents:
            found = {member.name: b"".join(chunks) for member, chunks in contents}
        return tuple(found[name] for name in names)

    def transfer_size(self, members: Iterable[Member]) -> int:
        """Return how many bytes reading these members receives."""
        return sum(stop - start for start, stop, _ in self._runs(members))

    def each(self, members: Iterable[Member]) -> Generator[tuple[Member, Iterator[bytes]], None, None]:
        """Yield each member with its inflated content, in the archive's order.

        The content is checked for size and CRC when its last chunk has been taken; a content that is not taken is
        skipped. The generator holds a connection: close it where it is left early.

        Raises
        ------
        IntegrityError
            Where the bytes are not those of the member.
        """
        for start, stop, run in self._runs(members):
            with closing(self._blocks(start, stop)) as blocks:
                cursor = _Cursor(blocks, start, self.ranges.name)
                for member in run:
                    cursor.skip_to(member.offset)
                    _skip_header(cursor, member)
                    data = cursor.offset
                    yield member, _inflated(cursor, member)
                    cursor.skip_to(data + member.packed)

    def _blocks(self, start: int, stop: int) -> Generator[bytes | memoryview, None, None]:
        """Yield the bytes from `start` to `stop`, those at the archive's end without asking for them again."""
        if start >= self._tail_start:
            yield self._tail[start - self._tail_start : stop - self._tail_start]
        else:
            yield from self.ranges.blocks(start, stop)

    def _runs(self, members: Iterable[Member]) -> Iterator[tuple[int, int, list[Member]]]:
        """Join members whose bytes lie close together into ranges of the archive."""
        ends = self._ends
        run: list[Member] = []
        for member in sorted(members, key=lambda member: member.offset):
            if run and member.offset - ends[run[-1].offset] > GAP:
                yield run[0].offset, ends[run[-1].offset], run
                run = []
            run.append(member)
        if run:
            yield run[0].offset, ends[run[-1].offset], run

    @cached_property
    def _ends(self) -> dict[int, int]:
        """Return for each member's offset where the next one begins; only the local header tells more exactly."""
        offsets = sorted(member.offset for member in self.members.values())
        return dict(zip(offsets, [*offsets[1:], self._directory_start], strict=bool(offsets)))


def _check_length(place: directory.Place) -> None:
    length = place.stop - place.start
    if length > _MOST_READ:
        raise ValueError(f"its directory has {length} bytes, where {_MOST_READ} are believed")


class LocalFile:
    """A file on the disk as `Ranges`."""

    def __init__(self, path: Path, name: str | None = None) -> None:
        self._path = path
        self.name = name or str(path)
        self.size = path.stat().st_size

    def blocks(self, start: int, stop: int) -> Generator[bytes, None, None]:
        """Yield the bytes from `start` to `stop`."""
        with self._path.open("rb") as file:
            file.seek(start)
            while start < stop and (block := file.read(min(_BLOCK, stop - start))):
                start += len(block)
                yield block


class _Cursor:
    """A place in a stream of blocks that only moves forward."""

    def __init__(self, blocks: Iterator[bytes | memoryview], offset: int, name: str) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")
        self.offset = offset
        self.name = name

    def chunks(self, count: int) -> Iterator[memoryview]:
        """Yield the next `count` bytes."""
        while count:
            if not self._rest:
                self._rest = memoryview(next(self._blocks, b""))
                if not self._rest:
                    raise IntegrityError(f"{self.name} ended {count} bytes early. Nothing was kept.")
            chunk, self._rest = self._rest[:count], self._rest[count:]
            self.offset += len(chunk)
            count -= len(chunk)
            yield chunk

    def take(self, count: int) -> bytes | memoryview:
        """Return the next `count` bytes."""
        if count <= len(self._rest):
            taken, self._rest = self._rest[:count], self._rest[count:]
            self.offset += count
            return taken
        return b"".join(self.chunks(count))

    def skip_to(self, offset: int) -> None:
        """Drop what lies before `offset`."""
        if offset < self.offset:
            raise IntegrityError(f"{self.name} has members that overlap. Nothing was kept.")
        for _ in self.chunks(offset - self.offset):
            pass


def _skip_header(cursor: _Cursor, member: Member) -> None:
    """Read a member's local header and go on to its content; its name must be the one in the directory."""
    signature, *_, name_size, extra_size = LOCAL.unpack(cursor.take(LOCAL.size))
    if signature != b"PK\3\4":
        raise IntegrityError(f"{cursor.name} has no member where its directory says {member.name}. Nothing was kept.")
    name = bytes(cursor.take(name_size))
    if name != member.name.encode():
        raise IntegrityError(
            f"{cursor.name} has a member that calls itself {name!r}, where its directory says {member.name}. Nothing "
            "was kept."
        )
    cursor.take(extra_size)


def _inflated(cursor: _Cursor, member: Member) -> Iterator[bytes]:
    """Yield a member's content; the sizes and the CRC of the directory must hold."""
    size, crc = 0, 0
    crc32 = _fastest().crc32
    for chunk in _unpacked(cursor, member):
        size += len(chunk)
        if size > member.size:
            break
        crc = crc32(chunk, crc)
        yield chunk
    if (size, crc) != (member.size, member.crc):
        raise IntegrityError(
            f"{member.name} in {cursor.name} is damaged: its directory says {member.size} bytes with CRC "
            f"{member.crc:08x}, and {size} bytes with CRC {crc:08x} came. Nothing was kept; run the command again."
        )


def _unpacked(cursor: _Cursor, member: Member) -> Iterator[bytes]:
    if member.method == directory.STORED:
        yield from map(bytes, cursor.chunks(member.packed))
        return
    if member.method != directory.DEFLATED:
        raise IntegrityError(
            f"{member.name} in {cursor.name} is packed with method {member.method}; stored and deflated members can be "
            "read. Nothing was kept."
        )
    inflate = _inflater()
    try:
        if max(member.packed, member.size) <= _AT_ONCE:
            yield inflate.decompress(cursor.take(member.packed), member.size + 1)
            return
        for chunk in cursor.chunks(member.packed):
            pending: bytes | memoryview = chunk
            while pending:
                yield inflate.decompress(pending, _BLOCK)
                pending = inflate.unconsumed_tail
        yield inflate.flush()
    except _inflate_errors() as error:
        raise IntegrityError(
            f"{member.name} in {cursor.name} does not inflate: {error}. Nothing was kept; run the command again."
        ) from error


def _inflater() -> Any:  # noqa: ANN401 (zlib and isal name no common type)
    return _fastest().decompressobj(wbits=-15)


def _inflate_errors() -> type[Exception]:
    error: type[Exception] = _fastest().error
    return error


@cache
def _fastest() -> Any:  # noqa: ANN401 (a module)
    """Return what inflates fastest here: isal takes half the time of zlib, where its package is installed."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib
