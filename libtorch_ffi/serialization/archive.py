"""The zip archives that torch writes: records by name, stored as they are, each at a multiple of 64 bytes.

Owns where a record lies and how one is written. Python's zipfile reads the directory; what it says is believed only as
far as the file goes. Records are never unpacked: torch stores them, and a compressed one would be a second copy in
memory. Says nothing about what is in a record.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libtorch_ffi.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from typing_extensions import Self

ALIGNMENT = 64
"""Bytes; torch's own, so that what is mapped can be read as any dtype."""

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_SIGNATURE = b"PK\3\4"
_ENCRYPTED = 1
_MOST_TEXT = 1 << 30
"""Bytes that a record which is no tensor's may have."""

_ZIP64_FROM = zipfile.ZIP64_LIMIT
_ZIP64_EXTRA = 20
"""Bytes that zipfile puts before our padding where a record is that large."""


@dataclass(frozen=True)
class Record:
    """Where the bytes of a record lie in the file, and their CRC-32; 0 where torch was told to compute none."""

    name: str
    offset: int
    size: int
    crc: int


class Archive:
    """The directory of an archive.

    Parameters
    ----------
    file
        The open file; it is read from its beginning, and stays open.

    Raises
    ------
    ArchiveError
        If it is no zip archive, or its records are not all in one folder, as torch's are.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._length = file.seek(0, 2)
        self._entries: dict[str, zipfile.ZipInfo] = {}
        entries = _entries(file)
        self.folder = entries[0].filename.partition("/")[0] if entries else ""
        for entry in entries:
            name = entry.filename.removeprefix(f"{self.folder}/")
            if name in self._entries:
                raise ArchiveError(f"the archive has two records named {entry.filename!r}")
            self._entries[name] = entry

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def find(self, name: str) -> Record:
        """Return where a record lies.

        Raises
        ------
        ArchiveError
            If there is none of that name, it is compressed or encrypted, or the file does not go as far.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise ArchiveError(f"the archive has no record {name!r}: it is incomplete, or not torch's")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & _ENCRYPTED:
            raise ArchiveError(f"the record {name!r} is compressed or encrypted; torch stores records as they are")
        offset = self._data_offset(entry)
        if offset + entry.file_size > self._length:
            raise ArchiveError(
                f"the record {name!r} ends at byte {offset + entry.file_size}, the file at {self._length}: cut off"
            )
        return Record(name, offset, entry.file_size, entry.CRC)

    def read(self, name: str) -> bytes:
        """Return a small record, checked against its sum.

        Raises
        ------
        ArchiveError
            If it cannot be found, is larger than 1 GiB, or is damaged.
        """
        record = self.find(name)
        if record.size > _MOST_TEXT:
            raise ArchiveError(f"the record {name!r} has {record.size} bytes, too many to be read into memory")
        self._file.seek(record.offset)
        data = self._file.read(record.size)
        if record.crc and zlib.crc32(data) != record.crc:
            raise ArchiveError(f"the record {name!r} is damaged: its checksum is not the directory's")
        return data

    def _data_offset(self, entry: zipfile.ZipInfo) -> int:
        """Return where the bytes begin: behind a header that says by itself how long it is."""
        self._file.seek(entry.header_offset)
        header = self._file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(_SIGNATURE):
            raise ArchiveError(f"the archive's directory points to byte {entry.header_offset}, where no record begins")
        name_length, extra_length = map(int, _LOCAL_HEADER.unpack(header)[-2:])
        return entry.header_offset + _LOCAL_HEADER.size + name_length + extra_length


def _entries(file: BinaryIO) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as opened:
            entries = opened.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError, struct.error) as error:
        length = file.seek(0, 2)
        raise ArchiveError(
            f"this begins as torch.save's files do, and after {length} bytes its directory is missing or damaged "
            f"({error}): the file was cut off or changed on its way here; fetch or save it again"
        ) from error
    if any(entry.header_offset < 0 for entry in entries):
        raise ArchiveError("the archive's directory points before the file's beginning")
    return entries


class ArchiveWriter:
    """Writes records one behind the other; to be used in a ``with`` statement.

    Parameters
    ----------
    file
        An open file that takes bytes.
    folder
        The folder that all records are in.
    """

    def __init__(self, file: BinaryIO, folder: str) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
        self._folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._zip.close()

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Add a record, without a copy of its bytes."""
        entry = zipfile.ZipInfo(f"{self._folder}/{name}")
        entry.file_size = len(data)
        large = entry.file_size * 1.05 > _ZIP64_FROM
        entry.extra = self._padding(entry.filename, large)
        with self._zip.open(entry, "w", force_zip64=large) as record:
            record.write(data)

    def _padding(self, name: str, large: bool) -> bytes:
        """Return an extra field as long as it takes for the record's bytes to be aligned."""
        marks = struct.calcsize("<2sH")
        start = self._zip.fp.tell() + _LOCAL_HEADER.size + len(name.encode()) + marks + (_ZIP64_EXTRA if large else 0)  # type: ignore[union-attr] # open
        length = -start % ALIGNMENT
        return struct.pack("<2sH", b"FB", length) + b"Z" * length
