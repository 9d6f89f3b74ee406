"""The directory at the end of a zip archive, and which archives are refused for what it says.

Owns the zip format's end records and entries, and the judgement on them: names that would be written outside of the
folder or over each other, links and devices, encrypted members, sizes that cannot be true. Real wheels and libtorch
zips have none of these. Never reads a member: `archive` does.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TAIL = 1 << 16
"""Bytes to read from the end first: the end record with any comment, and the whole directory of a small wheel."""

STORED, DEFLATED = 0, 8

LOCAL = struct.Struct("<4sHHHHHIIIHH")
_END = struct.Struct("<4sHHHHIIH")
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_ENTRY = struct.Struct("<4sHHHHHHIIIHHHHHII")

_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_MODE_KIND = 0o170000
_KINDS = {
    0o120000: "a link",
    0o020000: "a character device",
    0o060000: "a block device",
    0o010000: "a named pipe",
    0o140000: "a socket",
}
_FILE, _FOLDER = 0o100000, 0o040000
_SPECIAL_BITS = 0o7000
_ENCRYPTED = 0x1 | 0x40 | 0x2000

_LONGEST_NAME, _LONGEST_PATH = 255, 1024
_DEVICE = re.compile(r"(?:^|/)(?:con|prn|aux|nul|(?:com|lpt)[1-9])\s*(?:[./]|\Z)", re.IGNORECASE)
_PLAIN = re.compile(r"(?:[A-Za-z0-9_+-][A-Za-z0-9_+.-]{0,99}(?<!\.)/){0,9}[A-Za-z0-9_+-][A-Za-z0-9_+.-]{0,99}(?<!\.)")
"""What nearly all names look like: nothing in them but a device's name could be wrong."""

_MOST_INFLATED, _INFLATED_SLACK = 1032, 2048
"""A deflated byte gives 1,032 bytes at most (RFC 1951: 258 bytes for two bits)."""

_BOMB_SIZE, _BOMB_RATIO = 1 << 28, 200
"""No library or header is both this large and this empty; real ones stay below 100 to 1."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive; `offset` is that of its local header, sizes are in bytes."""

    name: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int
    executable: bool


@dataclass(frozen=True)
class Directory:
    """What an archive says that it holds.

    Parameters
    ----------
    members
        The files, by name.
    folders
        The names of the folders that have an entry of their own.
    start
        Where the directory begins, which is where the last member ends.
    """

    members: dict[str, Member]
    folders: frozenset[str]
    start: int


@dataclass(frozen=True)
class Place:
    """Where the directory begins and ends, and how many entries it has."""

    start: int
    stop: int
    entries: int


def find(tail: bytes, size: int) -> Place:
    """Find the directory from an archive's last bytes.

    Parameters
    ----------
    tail
        The last `TAIL` bytes, or all where there are fewer.
    size
        The size of the whole archive.

    Raises
    ------
    ValueError, struct.error
        Where no directory ends there, or two could be meant.
    """
    place = tail.rfind(b"PK\5\6")
    if place < 0:
        raise ValueError("it has no directory at its end")
    _, disk, first_disk, here, entries, length, offset, comment = _END.unpack_from(tail, place)
    if place + _END.size + comment != len(tail):
        raise ValueError("its end record is not at its end: something follows it, or it is part of a comment")
    end = size - len(tail) + place
    locator = tail[max(place - _END64_LOCATOR.size, 0) : place]
    if locator.startswith(b"PK\6\7") or _FULL32 in (length, offset) or _FULL16 in (here, entries):
        return _find64(tail, place, size)
    if disk or first_disk or here != entries:
        raise ValueError("it is one part of several")
    return _within(offset, length, end, entries)


def read(data: bytes, place: Place) -> Directory:
    """Read the entries of a directory, refusing what no archive of a libtorch may hold.

    Raises
    ------
    ValueError, struct.error
        Saying what is refused and why.
    """
    entries = list(_entries(data))
    if len(entries) != place.entries:
        raise ValueError(f"its directory has {len(entries)} entries, where its end record says {place.entries}")
    members = _index(member for _, member in entries if member is not None)
    folders = frozenset(name for name, member in entries if member is None)
    _check_names(members, folders)
    _check_apart(members.values(), place.start)
    return Directory(members, folders, place.start)


def _find64(tail: bytes, end: int, size: int) -> Place:
    tail_start = size - len(tail)
    if end < _END64_LOCATOR.size:
        raise ValueError("its zip64 end record is not where it should be")
    signature, _, record, _ = _END64_LOCATOR.unpack_from(tail, end - _END64_LOCATOR.size)
    if signature != b"PK\6\7" or not tail_start <= record <= size - _END64.size:
        raise ValueError("its zip64 end record is not where it should be")
    kind, _, _, _, disk, first_disk, here, entries, length, offset = _END64.unpack_from(tail, record - tail_start)
    if kind != b"PK\6\6":
        raise ValueError("its zip64 end record is not where it should be")
    if disk or first_disk or here != entries:
        raise ValueError("it is one part of several")
    return _within(offset, length, record, entries)


def _within(offset: int, length: int, end: int, entries: int) -> Place:
    if offset + length != end:
        raise ValueError(f"its directory would end at {offset + length}, and the record that names it is at {end}")
    return Place(offset, end, entries)


def _entries(directory: bytes) -> Iterator[tuple[str, Member | None]]:
    """Yield the names of a zip directory, each with its member; a folder has none."""
    place = 0
    while place < len(directory):
        signature, _, _, flags, method, _, _, crc, packed, size, *lengths = _ENTRY.unpack_from(directory, place)
        name_size, extra_size, comment_size, _, _, attributes, offset = lengths
        if signature != b"PK\1\2":
            raise ValueError(f"its directory is broken at byte {place}")
        extra_start = place + _ENTRY.size + name_size
        raw = directory[place + _ENTRY.size : extra_start]
        if _FULL32 in (size, packed, offset):
            extra = directory[extra_start : extra_start + extra_size]
            size, packed, offset = _wide(extra, [size, packed, offset])
        place = extra_start + extra_size + comment_size
        if place > len(directory):
            raise ValueError("its directory ends in the middle of an entry")
        member = Member(_decoded(raw), offset, packed, size, method, crc, bool(attributes >> 16 & 0o100))
        yield _judged(member, attributes >> 16, flags)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"its member {raw!r} has a name that is not UTF-8") from None


def _judged(member: Member, mode: int, flags: int) -> tuple[str, Member | None]:
    """Refuse a member that is not a plain file or folder, or whose sizes cannot be true."""
    kind = mode & _MODE_KIND
    if kind in _KINDS:
        raise ValueError(f"its member {member.name!r} is {_KINDS[kind]}")
    if mode & _SPECIAL_BITS:
        raise ValueError(f"its member {member.name!r} has the mode {mode & 0o7777:o}: setuid, setgid or sticky")
    if flags & _ENCRYPTED:
        raise ValueError(f"its member {member.name!r} is encrypted")
    if member.name.endswith("/"):
        if member.size or kind == _FILE:
            raise ValueError(f"its member {member.name!r} has the name of a folder and is none")
        return _safe(member.name[:-1]), None
    if kind == _FOLDER:
        raise ValueError(f"its member {member.name!r} is a folder without the name of one")
    _safe(member.name)
    _check_sizes(member)
    return member.name, member


def _check_sizes(member: Member) -> None:
    if member.method == STORED and member.size != member.packed:
        raise ValueError(f"its member {member.name!r} is stored and has two sizes: {member.packed} and {member.size}")
    if member.size > member.packed * _MOST_INFLATED + _INFLATED_SLACK:
        raise ValueError(f"its member {member.name!r} cannot inflate from {member.packed} bytes to {member.size}")
    if member.size > _BOMB_SIZE and member.size > member.packed * _BOMB_RATIO:
        raise ValueError(f"its member {member.name!r} is a bomb: {member.packed} bytes that inflate to {member.size}")


def _wide(extra: bytes, fields: list[int]) -> list[int]:
    """Fill in the fields that a zip64 extra field holds, in its order."""
    while extra:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == 1:
            values = (value for (value,) in struct.iter_unpack("<Q", extra[4 : 4 + size // 8 * 8]))
            return [next(values, 0) if each == _FULL32 else each for each in fields]
        extra = extra[4 + size :]
    raise ValueError("it has an entry whose sizes are in a zip64 field that is not there")


def _safe(name: str) -> str:
    """Return the name, refusing those that could be written outside of the folder, or mean something else elsewhere."""
    if not _PLAIN.fullmatch(name):
        _check_spelling(name)
    if _DEVICE.search(name):
        raise ValueError(f"its member {name!r} has the name of a device")
    return name


def _check_spelling(name: str) -> None:
    parts = name.split("/")
    if "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts) or ":" in parts[0]:
        raise ValueError(f"its member {name!r} would be unpacked outside of its folder")
    if not name.isprintable() and any(
        unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in name
    ):
        raise ValueError(f"its member {name!r} has a character in its name that cannot be seen")
    if len(name.encode()) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        raise ValueError(f"its member {name[:60]!r}… has a name that is too long for a file system")
    if any(part.endswith((" ", ".")) for part in parts):
        raise ValueError(f"its member {name!r} has a name that ends with a space or a dot, which some systems drop")


def _index(entries: Iterable[Member]) -> dict[str, Member]:
    members: dict[str, Member] = {}
    for member in entries:
        if member.name in members:
            raise ValueError(f"it has two members {member.name}")
        members[member.name] = member
    return members


def _check_names(members: dict[str, Member], folders: frozenset[str]) -> None:
    """Refuse names of which a file system that ignores case, or composes letters, has only one."""
    seen: dict[str, str] = {}
    for name in (*members, *folders):
        for part in _upwards(name):
            folded = part.lower() if part.isascii() else unicodedata.normalize("NFC", part).casefold()
            if folded in seen and seen[folded] == part:
                break  # and so are the folders above it
            other = seen.setdefault(folded, part)
            if other != part:
                raise ValueError(f"its members {other!r} and {part!r} have the same name on some file systems")
        above = name.rpartition("/")[0]
        if above in members or (name in members and name in folders):
            raise ValueError(f"it has {above if above in members else name} both as a file and as a folder")


def _upwards(name: str) -> Iterator[str]:
    """Yield a name, then the folders that it lies in."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def _check_apart(members: Iterable[Member], end: int) -> None:
    """Refuse members that share bytes: a small archive could unpack to any size so."""
    free = 0
    for member in sorted(members, key=lambda member: member.offset):
        if member.offset < free:
            raise ValueError(f"its member {member.name!r} begins before the one before it ends")
        free = member.offset + LOCAL.size + len(member.name.encode()) + member.packed
    if free > end:
        raise ValueError(f"its last member would end at {free}, inside the directory that begins at {end}")
