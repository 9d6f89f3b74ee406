"""The files that torch wrote before it wrote zip archives: pickles in a row, then the storages' bytes.

Owns their order. The object is read twice: first with tensors that have no elements, which tells where its storages
are, then with them.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.errors import ArchiveError
from libtorch_ffi.serialization import names
from libtorch_ffi.serialization.machine import Machine
from libtorch_ffi.serialization.storages import placed

if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.serialization.storages import MapLocation, Memory

MAGIC = 0x1950A86A20F9469CFC6C
START = b"\x80\x02\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""What such a file begins with: the pickle of the number."""

_VERSION = 1001
_PARTS = 6
_COUNT = 8
"""Bytes of a storage's number of elements, which stands before them."""

_empty = one("empty")


class LegacyFile:
    """One such file.

    Parameters
    ----------
    file
        The open file.
    memory
        What makes tensors of its bytes.
    where
        Where they are to go.
    """

    def __init__(self, file: BinaryIO, memory: Memory, where: MapLocation) -> None:
        self._data = _whole(file)
        self._memory = memory
        self._where = where
        self._parts: dict[str, tuple[names.StorageKind, str, int]] = {}
        self._loaded: dict[str, Tensor] = {}
        self._offsets: dict[str, int] = {}

    def load(self) -> Any:  # noqa: ANN401 - whatever was saved
        """Return the file's object.

        Raises
        ------
        ArchiveError
            If the file is damaged, or holds what is refused.
        """
        scout = Machine(self._data, names.allowed(), self._note)  # type: ignore[arg-type] # a mapping is sliced as bytes are
        header = [scout.load() for _ in range(3)]
        if header[:2] != [MAGIC, _VERSION] or not isinstance(header[2], dict):
            raise ArchiveError(f"the file begins with {header[:2]}; torch's old files with {[MAGIC, _VERSION]}")
        if header[2].get("little_endian") is not True:
            raise ArchiveError("the file was written on a big-endian machine: convert it there")
        start = scout.position
        scout.load()
        self._find(scout.load(), scout.position)
        reader = Machine(self._data, names.allowed(), self._storage)  # type: ignore[arg-type] # likewise
        reader.position = start
        return reader.load()

    def _note(self, identity: object) -> names.Stored:
        """Return a storage without elements, and remember what is said of it."""
        if type(identity) is not tuple or len(identity) != _PARTS or identity[0] != "storage":
            raise ArchiveError(f"the pickle has a persistent id that is no storage's: {identity!r:.200}")
        _, kind, key, location, count, view = identity
        if view is not None:
            raise ArchiveError("the file has views of storages, as torch before 0.4 wrote them: save it again")
        texts = type(key) is str and type(location) is str
        if not (texts and isinstance(kind, names.StorageKind) and type(count) is int and count >= 0):
            raise ArchiveError(f"the pickle describes a storage wrongly: {identity!r:.200}")
        if self._parts.setdefault(key, (kind, location, count)) != (kind, location, count):
            raise ArchiveError(f"the pickle describes the storage {key!r} in two ways")
        size = self._size(key)
        return names.Stored(_empty((size,), dtype=core.uint8, device="meta"), kind.dtype)

    def _size(self, key: str) -> int:
        kind, _, count = self._parts[key]
        size = count * (1 if kind.dtype is None else kind.dtype.itemsize)
        if size > len(self._data):
            raise ArchiveError(f"the pickle describes a storage of {size} bytes; the file has {len(self._data)}")
        return size

    def _find(self, keys: object, position: int) -> None:
        """Note where the bytes of each storage begin."""
        if type(keys) is not list or sorted(map(str, keys)) != sorted(self._parts):
            raise ArchiveError("the file does not list the storages that its tensors have")
        for key in map(str, keys):
            count = int.from_bytes(self._data[position : position + _COUNT], "little")
            if count != self._parts[key][2]:
                raise ArchiveError(
                    f"the file has {count} elements of storage {key!r}; {self._parts[key][2]} are described"
                )
            self._offsets[key] = position + _COUNT
            position += _COUNT + self._size(key)
        if position > len(self._data):
            raise ArchiveError(f"the file ends at byte {len(self._data)}, its storages at {position}: it is cut off")

    def _storage(self, identity: tuple[Any, ...]) -> names.Stored:
        _, kind, key, location, _, _ = identity
        if key not in self._loaded:
            memory = self._memory.bytes_at(self._offsets[key], self._size(key))
            self._loaded[key] = placed(memory, location, self._where, self._memory)
        return names.Stored(self._loaded[key], kind.dtype)


def _whole(file: BinaryIO) -> bytes | mmap.mmap:
    """Return all of a file, mapped where it can be."""
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # a file object of Python's, such as BytesIO
        file.seek(0)
        return file.read()
