"""The memory of a file's tensors: mapped, or read once into where it stays; and the device that it goes to.

Owns the reading of bytes and what `map_location` may be. No byte is copied on the way to a tensor on the CPU: a mapped
file is the tensor's memory, private to this process and written to disk never; a file that is read is read into it.
"""

from __future__ import annotations

import io
import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.errors import ArchiveError

_WIDEST = 8
"""Bytes that the address of any element is a multiple of."""

_PIECE = 1 << 23
"""Bytes that one thread reads at a time."""

_MOST_THREADS = 4
"""More do not make the copy out of the system's cache any faster."""

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO, Protocol, TypeAlias

    from libtorch_ffi._C import Tensor, UntypedStorage
    from libtorch_ffi.types import Device

    MapLocation: TypeAlias = Device | dict[str, str] | Callable[[UntypedStorage, str], Any] | None

    class Memory(Protocol):
        """Where bytes of a file become a tensor's."""

        def bytes_at(self, offset: int, size: int, alignment: int = _WIDEST, checksum: int = 0) -> Tensor:
            """Return so many bytes as a tensor with a storage of its own; they are there after `finish`.

            `checksum` is the CRC-32 that they must have, or 0 for any.
            """

        def finish(self) -> None:
            """Bring all bytes into the tensors that were returned."""


_empty = one("empty")


class Mapped:
    """A file in the process's memory, of which only what is looked at is read.

    Parameters
    ----------
    file
        An open file; it may be closed while tensors use the mapping.
    """

    def __init__(self, file: BinaryIO) -> None:
        if isinstance(file, io.BytesIO):
            raise ArchiveError("an io.BytesIO cannot be mapped, being in memory already: load it without mmap=True")
        try:
            self._memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        except (OSError, ValueError) as error:
            raise ArchiveError(f"the file cannot be mapped into memory: {error}") from error

    def bytes_at(self, offset: int, size: int, alignment: int = _WIDEST, checksum: int = 0) -> Tensor:
        """Return a tensor over a part of the mapping; a copy where its elements would not be aligned."""
        if size == 0:
            return _empty((0,), dtype=core.uint8)
        part = self._memory[offset : offset + size]
        if checksum:
            whole = _Piece(offset, part, summed=True)
            _compare(checksum, [(_crc32(whole), whole)])
        return core.tensor(part) if offset % alignment else core.from_numpy(part)

    def finish(self) -> None:
        """Do nothing: a page is read when it is looked at."""


class Read:
    """A file whose bytes are read into memory of the tensors' own, by a few threads where they are many.

    Parameters
    ----------
    file
        An open file, unbuffered if it can be: large parts are read straight into the tensors.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._waiting: list[_Piece] = []
        self._sums: list[tuple[int, range]] = []

    def bytes_at(self, offset: int, size: int, alignment: int = _WIDEST, checksum: int = 0) -> Tensor:
        """Return a new tensor for a part of the file."""
        del alignment  # of new memory every one
        tensor = _empty((size,), dtype=core.uint8)
        if size:
            memory, before = memoryview(tensor), len(self._waiting)
            self._waiting += [
                _Piece(offset + start, memory[start : start + _PIECE], checksum != 0)
                for start in range(0, size, _PIECE)
            ]
            if checksum:
                self._sums.append((checksum, range(before, len(self._waiting))))
        return tensor

    def finish(self) -> None:
        """Read what was asked for.

        Raises
        ------
        ArchiveError
            If the file ends before, or what is read does not have its checksum.
        """
        pieces, self._waiting = self._waiting, []
        sums, self._sums = self._sums, []
        threads = min(_MOST_THREADS, os.cpu_count() or 1, len(pieces))
        if threads > 1 and _is_real(self._file):
            with ThreadPoolExecutor(threads) as pool:
                found = list(pool.map(partial(_read_piece, self._file.fileno()), pieces))
        else:
            found = [_read_in_turn(self._file, piece) for piece in pieces]
        for checksum, numbers in sums:
            _compare(checksum, [(found[number], pieces[number]) for number in numbers])


class _Piece(NamedTuple):
    """A part of the file, where its bytes go, and whether their checksum is asked for."""

    offset: int
    memory: memoryview
    summed: bool


def _crc32(piece: _Piece) -> int:
    """Return the checksum of what was read, while it is in the processor's cache; 0 where none is asked for."""
    if not piece.summed:
        return 0
    from isal import isal_zlib  # several times as fast as zlib's

    return int(isal_zlib.crc32(piece.memory))


def _compare(checksum: int, parts: list[tuple[int, _Piece]]) -> None:
    from isal import isal_zlib

    whole = 0
    for part, piece in parts:
        whole = isal_zlib.crc32_combine(whole, part, len(piece.memory))
    if whole != checksum:
        raise ArchiveError(
            f"the tensor at byte {parts[0][1].offset} of the file is damaged: its checksum is {whole:08x}, the archive "
            f"says {checksum:08x}. Copy the file anew; without verify=True the bytes are taken as they are"
        )


def _is_real(file: BinaryIO) -> bool:
    """Tell whether a file is the operating system's, which can be read at several places at once."""
    return hasattr(os, "preadv") and isinstance(file, (io.FileIO, io.BufferedReader, io.BufferedRandom))


def _read_piece(descriptor: int, piece: _Piece) -> int:
    offset, memory = piece.offset, piece.memory
    done = 0
    while done < len(memory):
        count = os.preadv(descriptor, [memory[done:]], offset + done)
        if count == 0:
            raise ArchiveError(f"the file ends {len(memory) - done} bytes before the tensor in it does")
        done += count
    return _crc32(piece)


def _read_in_turn(file: BinaryIO, piece: _Piece) -> int:
    file.seek(piece.offset)
    read_into(file, piece.memory)
    return _crc32(piece)


def read_into(file: BinaryIO, memory: memoryview) -> None:
    """Fill memory from where a file is now."""
    done, read = 0, getattr(file, "readinto", None)
    while done < len(memory):
        if read is not None:
            count = read(memory[done:]) or 0
        else:
            data = file.read(len(memory) - done)
            count = len(data)
            memory[done : done + count] = data
        if count == 0:
            raise ArchiveError(f"the file ends {len(memory) - done} bytes before the tensor in it does")
        done += count


def placed(memory: Tensor, location: str, where: MapLocation, source: Memory) -> Tensor:
    """Return bytes on the device that they are to go to.

    Parameters
    ----------
    memory
        The bytes, on the CPU.
    source
        Where they come from, which has them there before they go elsewhere.
    location
        Where they were when they were saved, such as ``cuda:0``.
    where
        A device for all, a dict from locations to devices, or a function of storage and location that returns a
        device, a storage (whose device is meant) or None for the location itself.

    Raises
    ------
    ArchiveError
        If this libtorch has no such device.
    """
    target = _target(memory, location, where)
    if target == memory.device:
        return memory
    source.finish()
    try:
        return memory.to(target)
    except (RuntimeError, NotImplementedError) as error:
        raise ArchiveError(
            f"tensors saved on {location} cannot be put on {target} here ({str(error).splitlines()[0]}): "
            "load(…, map_location='cpu') puts them into the host's memory"
        ) from error


def _target(memory: Tensor, location: str, where: MapLocation) -> core.device:
    chosen: object = where
    if isinstance(where, dict):
        chosen = where.get(location, location)
    elif callable(where):
        chosen = where(memory.untyped_storage(), location)
    if chosen is None:
        chosen = location
    chosen = getattr(chosen, "device", chosen)
    try:
        return core.device(chosen)  # type: ignore[arg-type] # whether it is one is the question
    except (RuntimeError, TypeError) as error:
        raise ArchiveError(
            f"{chosen!r} is no device to put tensors on that were saved on {location!r}: {error}"
        ) from None
