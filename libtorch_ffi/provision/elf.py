"""What a shared library says of itself, read from its bytes.

Owns the reading of ELF (NEEDED, SONAME, RPATH, machine, C++ ABI) and of a Mach-O file's processor, and the one edit
that a CPU tree cut from a CUDA wheel needs. Never loads a library and never starts a tool.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END
from typing import TYPE_CHECKING, BinaryIO

from libtorch_ffi.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_DYNAMIC_ENTRY = struct.Struct("<qQ")
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 10, 14, 15, 29

_ELF_MACHINES = {62: "linux-x86_64", 183: "linux-aarch64"}
_MACHO_MACHINES = {0x01000007: "macos-x86_64", 0x0100000C: "macos-arm64"}
_MACHO_MAGIC = b"\xcf\xfa\xed\xfe"


@dataclass(frozen=True)
class Library:
    """The dynamic section of an ELF shared library.

    Parameters
    ----------
    platform
        The platform that its machine type belongs to; the number in words where it is none of ours.
    needed
        The libraries that it names, in order.
    soname
        Its own name, where it states one.
    rpath, runpath
        Where the loader looks for them; an RPATH also serves the libraries below, a RUNPATH does not.
    """

    platform: str
    needed: tuple[str, ...]
    soname: str | None
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]


_LONGEST_STRING = 1 << 16
"""Bytes of a name, or of a list of folders, beyond which a file is taken for mangled."""


@dataclass(frozen=True)
class _Dynamic:
    """The dynamic entries, and where their strings lie: the table of a large library has tens of megabytes of them."""

    entries: tuple[tuple[int, int], ...]
    entries_offset: int
    file: BinaryIO
    strings_offset: int
    strings_size: int

    def string(self, offset: int) -> str:
        longest = min(_LONGEST_STRING, max(self.strings_size - offset, 0))
        text, end, _ = _read_at(self.file, self.strings_offset + offset, longest).partition(b"\0")
        if not end:
            raise ValueError(f"the string at {offset} of its table does not end")
        return text.decode("utf-8", "surrogateescape")

    def all_strings(self) -> bytes:
        return _read_at(self.file, self.strings_offset, self.strings_size)

    def values(self, tag: int) -> list[str]:
        return [self.string(value) for each, value in self.entries if each == tag]


def machine(path: Path) -> str:
    """Return the platform that a shared library is made for, such as ``linux-x86_64``.

    Raises
    ------
    IntegrityError
        Where the file is neither a 64-bit ELF nor a 64-bit Mach-O file.
    """
    with path.open("rb") as file:
        head = file.read(_ELF_HEADER.size)
    if head[:4] == b"\x7fELF":
        number = struct.unpack_from("<H", head, 18)[0]
        return _ELF_MACHINES.get(number, f"ELF machine {number}")
    if head[:4] == _MACHO_MAGIC:
        number = struct.unpack_from("<I", head, 4)[0]
        return _MACHO_MACHINES.get(number, f"Mach-O processor {number:#x}")
    raise IntegrityError(
        f"{path} is not a shared library: it begins with {head[:4]!r}, where ELF and Mach-O files have their magic "
        "number."
    )


def inspect(path: Path) -> Library:
    """Read the dynamic section of an ELF shared library.

    Raises
    ------
    IntegrityError
        Where the file is not a whole 64-bit little-endian ELF file with a dynamic section.
    """
    platform = machine(path)
    with _explained(path), path.open("rb") as file:
        dynamic = _dynamic(file)
        sonames = dynamic.values(_DT_SONAME)
        return Library(
            platform=platform,
            needed=tuple(dynamic.values(_DT_NEEDED)),
            soname=sonames[0] if sonames else None,
            rpath=_folders(dynamic.values(_DT_RPATH)),
            runpath=_folders(dynamic.values(_DT_RUNPATH)),
        )


def uses_cxx11_abi(libc10: Path) -> bool:
    """Tell whether libc10 was compiled with libstdc++'s C++11 ABI.

    The symbols of namespace c10 that take a std::string are mangled with ``__cxx11`` in the new ABI and with ``Ss`` in
    the old one. A Mach-O library uses libc++, which has one ABI only: True, the compiler's default.
    """
    if machine(libc10).startswith("macos"):
        return True
    with _explained(libc10), libc10.open("rb") as file:
        names = _dynamic(file).all_strings().split(b"\0")
    return any(b"__cxx11" in name for name in names if name.startswith(b"_ZN3c10"))


def replace_needed(path: Path, old: str, new: str) -> bool:
    """Turn the NEEDED entry `old` into `new`, in place; return whether there was one.

    Nothing moves: the entry is made to point at the string of another NEEDED entry, which must be `new`. The loader
    loads a library once, however often it is named.

    Raises
    ------
    IntegrityError
        Where the file does not need `new` already.
    """
    with _explained(path), path.open("r+b") as file:
        dynamic = _dynamic(file)
        offsets = {dynamic.string(value): value for tag, value in dynamic.entries if tag == _DT_NEEDED}
        if old not in offsets:
            return False
        if new not in offsets:
            raise IntegrityError(
                f"{path.name} needs {old}, which a CPU tree does not have, and not {new} that could stand for it: it "
                f"needs {', '.join(offsets)}. Nothing was kept. Set LIBTORCH_SOURCE to another source."
            )
        for place, (tag, value) in enumerate(dynamic.entries):
            if tag == _DT_NEEDED and value == offsets[old]:
                file.seek(dynamic.entries_offset + place * _DYNAMIC_ENTRY.size)
                file.write(_DYNAMIC_ENTRY.pack(_DT_NEEDED, offsets[new]))
    return True


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what a cut or mangled file does to the parser into an IntegrityError."""
    try:
        yield
    except (struct.error, ValueError, LookupError) as error:
        raise IntegrityError(f"{path} is not a whole ELF shared library: {error}.") from error


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Return bytes of which the file says that it has them: no more is asked for than there is."""
    end = file.seek(0, SEEK_END)
    if offset + size > end:
        raise ValueError(f"it should have {size} bytes at {offset} and ends at {end}")
    file.seek(offset)
    return file.read(size)


def _folders(values: list[str]) -> tuple[str, ...]:
    return tuple(folder for value in values for folder in value.split(":") if folder)


def _dynamic(file: BinaryIO) -> _Dynamic:
    """Read the dynamic entries, and find the string table that they point into."""
    segments = tuple(_segments(file))
    offset, size = next(((offset, size) for kind, offset, _, size in segments if kind == _PT_DYNAMIC), (0, 0))
    if not size:
        raise ValueError("it has no dynamic section")
    entries = tuple(_entries(_read_at(file, offset, size)))
    table = dict(reversed(entries))
    return _Dynamic(entries, offset, file, _file_offset(segments, table[_DT_STRTAB]), table[_DT_STRSZ])


def _segments(file: BinaryIO) -> Iterator[tuple[int, int, int, int]]:
    """Yield kind, file offset, address and size in the file of each program header."""
    header = _ELF_HEADER.unpack(_read_at(file, 0, _ELF_HEADER.size))
    identity, table, entry_size, count = header[0], header[5], header[9], header[10]
    if identity[4:6] != b"\x02\x01":
        raise ValueError("it is not 64-bit and little-endian")
    headers = _read_at(file, table, entry_size * count)
    for place in range(count):
        kind, _, offset, address, _, size, _, _ = _PROGRAM_HEADER.unpack_from(headers, place * entry_size)
        yield kind, offset, address, size


def _entries(data: bytes) -> Iterator[tuple[int, int]]:
    for tag, value in _DYNAMIC_ENTRY.iter_unpack(data[: len(data) - len(data) % _DYNAMIC_ENTRY.size]):
        if tag == _DT_NULL:
            return
        yield tag, value


def _file_offset(segments: tuple[tuple[int, int, int, int], ...], address: int) -> int:
    for kind, offset, start, size in segments:
        if kind == _PT_LOAD and start <= address < start + size:
            return offset + address - start
    raise ValueError(f"no segment holds the address {address:#x}")
