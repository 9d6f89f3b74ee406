"""Zip archives, read as a stream of ranges: from a server, or from a file.

Owns the zip format: the directory at its end, the members, inflating them at constant memory however large they are.
Reads members in the order of the archive and neighbours in one range (8,800 headers are not 8,800 requests). Never
writes a file and never decides which members are wanted. A member whose name could leave the folder it is unpacked to
is refused.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from libtorch_ffi.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

_END = struct.Struct("<4sHHHHIIH")
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_ENTRY = struct.Struct("<4sHHHHHHIIIHHHHHII")
_LOCAL = struct.Struct("<4sHHHHHIIIHH")

_STORED, _DEFLATED = 0, 8
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_LINK_MODE, _MODE_KIND = 0o120000, 0o170000

TAIL = 1 << 16
"""Bytes to read from the end first: the end record with any comment, and the whole directory of a small wheel."""

GAP = 1 << 18
"""Bytes between two members that are received and dropped rather than asked around: about what one round trip costs."""

_BLOCK = 1 << 20


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


@dataclass(frozen=True)
class Member:
    """A file in an archive; `offset` is that of its local header, sizes are in bytes."""

    name: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int
    executable: bool


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
        tail_start = max(0, ranges.size - TAIL)
        tail = b"".join(ranges.blocks(tail_start, ranges.size))
        try:
            start, stop = _directory_place(tail, tail_start)
            directory = tail[start - tail_start :] if start >= tail_start else b"".join(ranges.blocks(start, stop))
            entries = list(_entries(directory[: stop - start]))
            self.folders = frozenset(name for name, member in entries if member is None)
            self.members = _index(member for _, member in entries if member is not None)
        except (struct.error, ValueError) as error:
            raise IntegrityError(
                f"{ranges.name} is not a zip archive that can be trusted: {error}. Nothing was kept."
            ) from error
        self._directory_start = start

    def read(self, name: str) -> bytes:
        """Return the content of a small member.

        Raises
        ------
        IntegrityError
            Where there is no such member, or its bytes do not inflate to its size and CRC.
        """
        if name not in self.members:
            raise IntegrityError(f"{self.ranges.name} has no member {name}. Nothing was kept.")
        with closing(self.each([self.members[name]])) as content:
            return b"".join(chunk for _, chunks in content for chunk in chunks)

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
            with closing(self.ranges.blocks(start, stop)) as blocks:
                cursor = _Cursor(blocks, start, self.ranges.name)
                for member in run:
                    cursor.skip_to(member.offset)
                    names_size = _local_size(cursor, member)
                    data = cursor.offset + names_size
                    cursor.skip_to(data)
                    yield member, _inflated(cursor, member)
                    cursor.skip_to(data + member.packed)

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
        return dict(zip(offsets, [*offsets[1:], self._directory_start], strict=True))


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

    def __init__(self, blocks: Iterator[bytes], offset: int, name: str) -> None:
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

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        return b"".join(self.chunks(count))

    def skip_to(self, offset: int) -> None:
        """Drop what lies before `offset`."""
        if offset < self.offset:
            raise IntegrityError(f"{self.name} has members that overlap. Nothing was kept.")
        for _ in self.chunks(offset - self.offset):
            pass


def _directory_place(tail: bytes, tail_start: int) -> tuple[int, int]:
    """Find where the directory begins and ends, from the archive's last bytes."""
    place = tail.rfind(b"PK\5\6")
    if place < 0:
        raise ValueError("it has no directory at its end")
    size, offset = _END.unpack_from(tail, place)[5:7]
    if _FULL32 in (size, offset):
        return _directory_place64(tail, tail_start, place)
    return _within(offset, size, tail_start + place)


def _directory_place64(tail: bytes, tail_start: int, end: int) -> tuple[int, int]:
    signature, _, record, _ = _END64_LOCATOR.unpack_from(tail, end - _END64_LOCATOR.size)
    if signature != b"PK\6\7" or record < tail_start:
        raise ValueError("its zip64 end record is not where it should be")
    *_, size, offset = _END64.unpack_from(tail, record - tail_start)
    return _within(offset, size, record)


def _within(offset: int, size: int, end: int) -> tuple[int, int]:
    if offset + size > end:
        raise ValueError(f"its directory would end at {offset + size}, after the record at {end} that names it")
    return offset, offset + size


def _entries(directory: bytes) -> Iterator[tuple[str, Member | None]]:
    """Yield the names of a zip directory, each with its member; a folder has none."""
    place = 0
    while place < len(directory):
        signature, _, _, _, method, _, _, crc, packed, size, *lengths = _ENTRY.unpack_from(directory, place)
        name_size, extra_size, comment_size, _, _, attributes, offset = lengths
        if signature != b"PK\1\2":
            raise ValueError(f"its directory is broken at byte {place}")
        extra_start = place + _ENTRY.size + name_size
        name = directory[place + _ENTRY.size : extra_start].decode("utf-8")
        if _FULL32 in (size, packed, offset):
            extra = directory[extra_start : extra_start + extra_size]
            size, packed, offset = _wide(extra, [size, packed, offset])
        place = extra_start + extra_size + comment_size
        if name.endswith("/"):
            yield _safe(name[:-1]), None
            continue
        mode = attributes >> 16
        if mode & _MODE_KIND == _LINK_MODE:
            raise ValueError(f"its member {name} is a link")
        yield name, Member(_safe(name), offset, packed, size, method, crc, bool(mode & 0o100))


def _wide(extra: bytes, fields: list[int]) -> list[int]:
    """Fill in the fields that a zip64 extra field holds, in its order."""
    while extra:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == 1:
            values = (value for (value,) in struct.iter_unpack("<Q", extra[4 : 4 + size // 8 * 8]))
            return [next(values, 0) if each == _FULL32 else each for each in fields]
        extra = extra[4 + size :]
    return fields


def _safe(name: str) -> str:
    """Return the name, refusing those that could be written outside of the folder."""
    parts = name.split("/")
    if "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts) or ":" in parts[0]:
        raise ValueError(f"its member {name!r} would be unpacked outside of its folder")
    return name


def _index(entries: Iterable[Member]) -> dict[str, Member]:
    members: dict[str, Member] = {}
    for member in entries:
        if member.name in members:
            raise ValueError(f"it has two members {member.name}")
        members[member.name] = member
    return members


def _local_size(cursor: _Cursor, member: Member) -> int:
    """Read a member's local header; return the size of the name and the extra field that follow it."""
    signature, *_, name_size, extra_size = _LOCAL.unpack(cursor.take(_LOCAL.size))
    if signature != b"PK\3\4":
        raise IntegrityError(f"{cursor.name} has no member where its directory says {member.name}. Nothing was kept.")
    return int(name_size + extra_size)


def _inflated(cursor: _Cursor, member: Member) -> Iterator[bytes]:
    """Yield a member's content; the sizes and the CRC of the directory must hold."""
    size, crc = 0, 0
    for chunk in _unpacked(cursor, member):
        size += len(chunk)
        if size > member.size:
            break
        crc = zlib.crc32(chunk, crc)
        yield chunk
    if (size, crc) != (member.size, member.crc):
        raise IntegrityError(
            f"{member.name} in {cursor.name} is damaged: its directory says {member.size} bytes with CRC "
            f"{member.crc:08x}, and {size} bytes with CRC {crc:08x} came. Nothing was kept; run the command again."
        )


def _unpacked(cursor: _Cursor, member: Member) -> Iterator[bytes]:
    if member.method == _STORED:
        yield from map(bytes, cursor.chunks(member.packed))
        return
    if member.method != _DEFLATED:
        raise IntegrityError(
            f"{member.name} in {cursor.name} is packed with method {member.method}; stored and deflated members can be "
            "read."
        )
    inflate = zlib.decompressobj(-15)
    try:
        for chunk in cursor.chunks(member.packed):
            pending: bytes | memoryview = chunk
            while pending:
                yield inflate.decompress(pending, _BLOCK)
                pending = inflate.unconsumed_tail
        yield inflate.flush()
    except zlib.error as error:
        raise IntegrityError(
            f"{member.name} in {cursor.name} does not inflate: {error}. Nothing was kept; run the command again."
        ) from error
