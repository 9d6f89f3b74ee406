"""The file of an exported program: which layout it has, its documents and its tensors.

Owns the three layouts that torch has written: members in the root (2.5, 2.6), a PT2 archive with pickled weights (2.7),
and one with raw weights. Sizes and checksums are judged before anything is made of the bytes. Reads no graph.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.errors import ProgramError
from libtorch_ffi.export.arena import Arena

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO, TypeAlias

    from typing_extensions import Self

    from libtorch_ffi._C import Tensor

    Source: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO
    Document: TypeAlias = dict[str, Any]

_as_strided, _empty_strided = map(one, ("as_strided", "empty_strided"))

_LOCAL_HEADER = struct.Struct("<26xHH")
_DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    9: "complex32",
    10: "complex64",
    11: "complex128",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    29: "float8_e4m3fn",
    30: "float8_e5m2",
    31: "float8_e4m3fnuz",
    32: "float8_e5m2fnuz",
    33: "float8_e8m0fnu",
    34: "uint32",
    35: "uint64",
}
"""torch/_export/serde/schema.py, ScalarType."""


def dtype_of(number: int) -> core.dtype:
    """Return the dtype that a document means by a number."""
    found = getattr(core, _DTYPES.get(number, "none"), None)
    if not isinstance(found, core.dtype):
        raise ProgramError(f"the archive names a dtype by the number {number!r}, which this libtorch does not have")
    return found


class Archive:
    """An opened archive.

    Parameters
    ----------
    source
        A path, the bytes, or a file object that can seek.

    Raises
    ------
    ProgramError
        If it is no archive of an exported program.
    """

    def __init__(self, source: Source) -> None:
        self.name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else "the archive"
        self._file, self._own = _opened(source)
        try:
            self._zip = zipfile.ZipFile(self._file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
            self.__exit__()
            raise ProgramError(
                f"{self.name} is no program of torch.export ({error}): that is a zip file. Nothing was loaded."
            ) from None
        self._end = self._file.seek(0, io.SEEK_END)
        names = self._zip.namelist()
        self._root = "" if "serialized_exported_program.json" in names else (names or [""])[0].partition("/")[0] + "/"
        self._members = {info.filename.removeprefix(self._root): info for info in self._zip.infolist()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, where it was not given open."""
        if self._own:
            self._file.close()

    def __contains__(self, member: str) -> bool:
        return member in self._members

    def names(self, prefix: str) -> list[str]:
        """Return the members whose names begin so, without that."""
        return [name.removeprefix(prefix) for name in self._members if name.startswith(prefix)]

    def document(self, member: str) -> Document:
        """Return a member that is a JSON object."""
        try:
            content = json.loads(bytes(self.read(member)))
        except (ValueError, RecursionError) as error:
            raise ProgramError(f"{self.name}: {member} is no JSON document: {error}") from None
        if not isinstance(content, dict):
            raise ProgramError(f"{self.name}: {member} is no JSON object")
        return content

    def read(self, member: str, arena: Arena | None = None) -> memoryview:
        """Return the bytes of a member, in memory that can become a tensor's without a copy.

        Parameters
        ----------
        member
            Its name.
        arena
            Where to put a member that is stored as it is; by default in memory of its own.

        Raises
        ------
        ProgramError
            If it is not there, cut off or damaged.
        """
        info = self._member(member)
        if not _is_stored(info):
            return self._inflate(info)
        self._file.seek(self._start(info))
        memory = bytearray(info.file_size) if arena is None else arena.take(info.file_size)
        filled = self._file.readinto(memory) if hasattr(self._file, "readinto") else 0
        return self._checked(info, memoryview(memory), filled)

    def arena(self, members: Iterable[str]) -> Arena:
        """Return memory for those of the members that are stored as they are.

        Raises
        ------
        ProgramError
            If one is not there or cut off, or if they claim more together than the archive has.
        """
        stored = [info for info in map(self._member, members) if _is_stored(info)]
        for info in stored:
            self._start(info)
        if sum(info.file_size for info in stored) > self._end:
            raise ProgramError(f"{self.name} is damaged: members of it overlap")
        return Arena(info.file_size for info in stored)

    def _member(self, member: str) -> zipfile.ZipInfo:
        info = self._members.get(member)
        if info is None:
            raise ProgramError(f"{self.name} has no member {member}")
        return info

    def _start(self, info: zipfile.ZipInfo) -> int:
        """Return where the bytes of a stored member begin; judge that all of them are there."""
        start = info.header_offset + 30
        if info.header_offset >= 0:  # an end of the archive that lies about where its directory begins makes it less
            self._file.seek(info.header_offset)
            header = self._file.read(30)
            start += sum(_LOCAL_HEADER.unpack(header)) if len(header) == 30 else self._end  # noqa: PLR2004 - the size of a local header
        if info.header_offset < 0 or info.file_size != info.compress_size or start + info.file_size > self._end:
            raise ProgramError(f"{self.name} is cut off or damaged: {info.filename} does not lie within it")
        return start

    def _checked(self, info: zipfile.ZipInfo, memory: memoryview, filled: int) -> memoryview:
        from isal import isal_zlib  # several times as fast as zlib's

        if filled != info.file_size or (info.CRC and isal_zlib.crc32(memory) != info.CRC):
            raise ProgramError(f"{self.name} is damaged: {info.filename} does not have the checksum that it should")
        return memory

    def _inflate(self, info: zipfile.ZipInfo) -> memoryview:
        if info.file_size > 1100 * (info.compress_size + 1):  # deflate cannot do better
            raise ProgramError(f"{self.name}: {info.filename} claims {info.file_size} bytes, which cannot be")
        try:
            return memoryview(bytearray(self._zip.read(info)))
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
            raise ProgramError(f"{self.name} is damaged: {info.filename}: {error}") from None


def _is_stored(info: zipfile.ZipInfo) -> bool:
    """Return whether the bytes of a member are in the archive as they are."""
    return info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1


def _opened(source: Source) -> tuple[BinaryIO, bool]:
    """Return a file, and whether it is ours to close."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source), True
    if not isinstance(source, (str, os.PathLike)):
        return source, False
    path = os.fspath(source)
    if os.path.isdir(path):  # noqa: PTH112 - pathlib would make the start longer
        raise IsADirectoryError(f"{path} is a folder: export.load() takes a .pt2, a file that torch.export.save writes")
    if not os.path.isfile(path):  # noqa: PTH113 - likewise
        raise FileNotFoundError(f"there is no file {path}: export.load() takes a .pt2, which torch.export.save writes")
    return open(path, "rb"), True  # noqa: PTH123 - likewise; closed with the archive


def program_document(archive: Archive, name: str) -> Document:
    """Return the document of a program.

    Parameters
    ----------
    archive
        In any layout.
    name
        Of the program, where the archive has several.

    Raises
    ------
    ProgramError
        If it holds none of that name, or what needs another loader.
    """
    if "serialized_exported_program.json" in archive:
        return archive.document("serialized_exported_program.json")
    programs = [member.removesuffix(".json") for member in archive.names("models/") if member.endswith(".json")]
    if not programs and archive.names("data/aotinductor/"):
        raise ProgramError(
            f"{archive.name} is a package of AOTInductor, which is native code: libtorch_ffi.aoti.load_trusted() "
            "loads one that you trust."
        )
    if not programs and "constants.pkl" in archive:
        raise ProgramError(f"{archive.name} is a module of TorchScript: libtorch_ffi.jit.load() reads it.")
    if not programs and "data.pkl" in archive:
        raise ProgramError(f"{archive.name} holds tensors and no program: libtorch_ffi.load() reads it.")
    if name not in programs:
        raise ProgramError(
            f"{archive.name} holds no program {name!r}"
            + (f"; it has {', '.join(programs)}: load(..., name={programs[0]!r})" if programs else ", or any")
        )
    return archive.document(f"models/{name}.json")


def tensors(archive: Archive, name: str) -> dict[str, Tensor]:
    """Return the parameters, buffers and constants of a program by their names."""
    if "serialized_exported_program.json" in archive:
        return {
            **_pickled(archive, "serialized_state_dict.pt"),
            **(_pickled(archive, "serialized_constants.pt") if "serialized_constants.pt" in archive else {}),
        }
    found: dict[str, Tensor] = {}
    for folder, kind in (("data/weights/", "weights"), ("data/constants/", "constants")):
        config = f"{folder}{name}_{kind}_config.json"
        if config in archive:
            found.update(_raw(archive, folder, archive.document(config)))
        elif f"{folder}{name}.pt" in archive:
            found.update(_pickled(archive, f"{folder}{name}.pt"))
    return found


def _pickled(archive: Archive, member: str) -> dict[str, Tensor]:
    """Read what torch.save wrote, by the reader that runs no code."""
    import libtorch_ffi

    content = bytes(archive.read(member))
    if not content:
        return {}
    state = libtorch_ffi.load(io.BytesIO(content))
    if not isinstance(state, dict):
        raise ProgramError(f"{archive.name}: {member} holds no dict of tensors")
    return {str(name): value for name, value in state.items() if isinstance(value, core.Tensor)}


def _raw(archive: Archive, folder: str, config: Document) -> dict[str, Tensor]:
    entries = config.get("config")
    if not isinstance(entries, dict):
        raise ProgramError(f"{archive.name}: the list of its tensors in {folder} is no object")
    for name, entry in entries.items():
        if entry.get("use_pickle") or not isinstance(entry.get("tensor_meta"), dict):
            raise ProgramError(
                f"{archive.name}: {name} is no plain tensor but a pickled object, such as a weight of torchao, which "
                "is not loaded here. Save what run_decompositions() returns: it takes such weights apart"
            )
    members = {name: folder + str(entry["path_name"]) for name, entry in entries.items()}
    distinct = dict.fromkeys(members.values())
    arena = archive.arena(distinct)
    storages = {member: archive.read(member, arena) for member in distinct}
    return {
        name: _view(archive.name, name, storages[member], entries[name]["tensor_meta"])
        for name, member in members.items()
    }


def _view(archive: str, name: str, memory: memoryview, meta: Document) -> Tensor:
    """Return a tensor over memory, as its meta data describes it."""
    sizes, strides = ([_number(item) for item in meta[key]] for key in ("sizes", "strides"))
    offset = _number(meta.get("storage_offset", 0))
    dtype = dtype_of(meta["dtype"])
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    empty = 0 in sizes
    if min((*sizes, *strides, offset), default=0) < 0 or (not empty and (last + 1) * dtype.itemsize > len(memory)):
        raise ProgramError(f"{archive}: {name} reaches beyond its {len(memory)} bytes")
    if empty or not len(memory):
        return _empty_strided(sizes, strides, dtype=dtype)
    whole = memory[: len(memory) // dtype.itemsize * dtype.itemsize]
    flat: Tensor = core.from_numpy(whole).view(dtype)
    return _as_strided(flat, sizes, strides, offset)


def _number(item: Any) -> int:
    value = item.get("as_int") if isinstance(item, dict) else item
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProgramError(f"the archive has {item!r} where a size is expected")
    return value
