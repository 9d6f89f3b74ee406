"""Tensors in files: ``save`` writes what torch's ``load`` reads, ``load`` reads what torch's ``save`` wrote.

Owns the two functions. No file runs a program: a pickle is read by a machine that knows containers, numbers and
tensors, and refuses all else by name (`libtorch_ffi.serialization.machine`). Pickles of Python objects are another
matter, and Python's.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from libtorch_ffi.errors import ArchiveError, SettingError
from libtorch_ffi.serialization import names
from libtorch_ffi.serialization.archive import Archive, ArchiveWriter
from libtorch_ffi.serialization.legacy import START, LegacyFile
from libtorch_ffi.serialization.machine import Machine
from libtorch_ffi.serialization.storages import Mapped, Read, placed
from libtorch_ffi.serialization.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.serialization.storages import MapLocation, Memory

__all__ = ["load", "save"]

_ZIP = b"PK"
_UNVERIFIABLE = "{} has no checksum to verify it by: load it without verify=True, and save it anew to have one"

_START = 300
"""Bytes of a file that tell what it is."""

_KINDS = (
    (
        257,
        b"ustar",
        "It is a tar archive, as torch before 0.1.10 wrote them: load and save it with a torch that reads it",
    ),
    (8, b"{", "It may be a safetensors file: libtorch_ffi.safetensors.load_file reads it"),
    (0, b"\x93NUMPY", "It is a file of NumPy's: libtorch_ffi.npz.load_npy reads it"),
    (0, b"\x80", "It is a pickle of Python's, and not by torch.save: save its tensors with libtorch_ffi.save"),
    (0, b"version https://git-lfs", "It is what Git LFS leaves in a file's place: `git lfs pull` fetches the file"),
    (0, b"\x1f\x8b", "It is compressed by gzip: unpack it first"),
    (0, b"<", "It looks like a web page, which a download left in the file's place: download the file itself"),
)
"""Other files that are mistaken for torch's: the bytes that tell them, where these are, and what to do."""

_PARTS = 5

_OTHERS = {
    "constants.pkl": "a TorchScript archive: libtorch_ffi.jit.load reads it",
    "archive_format": "a program of torch.export: libtorch_ffi.export.load reads it",
    "serialized_exported_program.json": "a program of torch.export: libtorch_ffi.export.load reads it",
}
"""Records that tell other archives of torch's."""


def load(
    f: str | os.PathLike[str] | BinaryIO,
    map_location: MapLocation = None,
    *,
    weights_only: bool = True,
    mmap: bool = False,
    verify: bool = False,
) -> Any:  # noqa: ANN401 - whatever was saved
    """Return what was saved in a file by `save`, or by torch's.

    Parameters
    ----------
    f
        A path, or a file that is open for reading bytes and can seek.
    map_location
        Where the tensors are to go: a device for all, a dict from the locations in the file (such as ``cuda:0``) to
        devices, or a function of storage and location. By default where they were.
    weights_only
        Always true: nothing but tensors, numbers, texts and plain containers is read, and no code is ever run.
    mmap
        Let the file itself be the tensors' memory, of which only what is looked at is read. Writing to a tensor does
        not write to the file; the file is not to be changed meanwhile.
    verify
        Compare each tensor with its checksum. A damaged byte in a tensor goes unnoticed otherwise, as in torch; to
        look takes less than 0.2 s a GB, and reads all of a mapped file.

    Raises
    ------
    ArchiveError
        If the file is none of torch's, is damaged, or holds what is refused, which the message names; or with `verify`
        has no checksums.
    SettingError
        If `weights_only` is false.
    """
    if weights_only is not True:
        raise SettingError(
            "load(weights_only=False) would run whatever program a file holds, which this package never does: "
            "save a state dict where the file was made"
        )
    with _opened(f) as file:
        memory: Memory = Mapped(file) if mmap else Read(file)
        file.seek(0)
        start = file.read(_START)
        if start.startswith(_ZIP):
            with _named(f):
                loaded = _Zipped(Archive(file), memory, map_location, verify=verify).load()
        elif start.startswith(START):
            if verify:
                raise ArchiveError(_UNVERIFIABLE.format(_called(f)))
            loaded = LegacyFile(file, memory, map_location).load()
        else:
            raise ArchiveError(
                f"{_called(f)} is no file of torch.save's: it begins with {start[:8]!r}. {_guess(start)}"
            )
        memory.finish()
        return loaded


def save(obj: object, f: str | os.PathLike[str] | BinaryIO) -> None:
    """Write tensors, and plain containers of them, to a file that `load` and torch's ``load`` read.

    Parameters
    ----------
    obj
        A tensor, a number, a text, or dicts, lists, tuples and sets of them. Tensors that share memory do so again when
        they are loaded; a view takes all of its storage along. A tensor of a subclass, such as ``nn.Parameter``, is
        written as the tensor that it is: its class would be a program to whoever reads the file.
    f
        A path, or a file that is open for writing bytes.

    Raises
    ------
    ArchiveError
        If a part of the object is something else; the file is not written then.
    """
    writer = Writer()
    pickle = writer.pickle(obj)
    path = os.fspath(f) if isinstance(f, (str, os.PathLike)) else None
    folder = "archive" if path is None else os.path.splitext(os.path.basename(path))[0] or "archive"  # noqa: PTH119, PTH122 - torch's name, by its rule
    if path is None:
        _refuse_text(f, "wb")
        _write(f, folder, pickle, writer.storages)  # type: ignore[arg-type] # no path is a file
    else:
        with open(path, "wb") as file:  # noqa: PTH123 - may be a path of any kind
            _write(file, folder, pickle, writer.storages)


def _write(file: BinaryIO, folder: str, pickle: bytes, storages: dict[str, Tensor]) -> None:
    with ArchiveWriter(file, folder) as archive:
        archive.write("data.pkl", pickle)
        archive.write(".format_version", b"1")
        archive.write(".storage_alignment", b"64")
        archive.write("byteorder", sys.byteorder.encode())
        for key, memory in storages.items():
            archive.write(f"data/{key}", memoryview(memory.cpu()) if memory.numel() else b"")
        archive.write("version", b"3\n")


@contextmanager
def _opened(f: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(f, (str, os.PathLike)):
        if "://" in os.fspath(f) and not os.path.exists(f):  # noqa: PTH110 - may be a path of any kind
            raise FileNotFoundError(errno.ENOENT, "load() opens files and no addresses: download it first", f)
        with open(f, "rb", buffering=0) as file:  # noqa: PTH123 - likewise
            yield file
        return
    if not hasattr(f, "read") or not hasattr(f, "seek"):
        kind: type = type(f)
        hint = ": io.BytesIO makes a file" if kind in (bytes, bytearray, memoryview) else ""
        raise TypeError(f"load() takes a path or a file that can seek, not {kind.__name__}{hint}")
    _refuse_text(f, "rb")
    yield f


def _refuse_text(f: object, mode: str) -> None:
    if isinstance(f, io.TextIOBase):
        raise TypeError(f"the file is open for text, and tensors are bytes: open it with mode {mode!r}")


@contextmanager
def _named(f: object) -> Iterator[None]:
    """Let what is wrong with an archive be said with its path."""
    try:
        yield
    except ArchiveError as error:
        if isinstance(f, (str, os.PathLike)):
            raise ArchiveError(f"{_called(f)}: {error}") from error
        raise


def _called(f: object) -> str:
    return repr(os.fspath(f)) if isinstance(f, (str, os.PathLike)) else "the file"


def _guess(start: bytes) -> str:
    """Return what a file may be that is none of torch's, and what to do about it."""
    if not start:
        return "It is empty: write or download it again"
    for place, mark, hint in _KINDS:
        if start[place:].startswith(mark):
            return hint
    return "torch.save's begin with PK: see where it comes from, or save what it holds with torch.save"


class _Zipped:
    """One archive as it is loaded."""

    def __init__(self, archive: Archive, memory: Memory, where: MapLocation, *, verify: bool) -> None:
        for record, hint in _OTHERS.items():
            if record in archive:
                raise ArchiveError(f"this is {hint}")
        if "data.pkl" not in archive and any(record.endswith(".npy") for record in archive):
            raise ArchiveError("this is a file of NumPy's: libtorch_ffi.npz.load_npz reads it")
        self._archive = archive
        self._memory = memory
        self._where = where
        self._verify = verify
        self._loaded: dict[str, Tensor] = {}

    def load(self) -> Any:  # noqa: ANN401 - whatever was saved
        """Return the archive's object."""
        pickle = self._archive.read("data.pkl")
        order = self._archive.read("byteorder").decode(errors="replace") if "byteorder" in self._archive else "little"
        if order != sys.byteorder:
            raise ArchiveError(f"the file was written on a {order}-endian machine, this one is {sys.byteorder}-endian")
        return Machine(pickle, names.allowed(), self._storage).load()

    def _storage(self, identity: object) -> names.Stored:
        if type(identity) is not tuple or len(identity) != _PARTS or identity[0] != "storage":
            raise ArchiveError(f"the pickle has a persistent id that is no storage's: {identity!r:.200}")
        _, kind, key, location, count = identity
        texts = type(key) is str and type(location) is str
        if not (texts and isinstance(kind, names.StorageKind) and type(count) is int):
            raise ArchiveError(f"the pickle describes a storage wrongly: {identity!r:.200}")
        if key not in self._loaded:
            record = self._archive.find(f"data/{key}")
            if self._verify and record.size and not record.crc:
                raise ArchiveError(_UNVERIFIABLE.format(f"the record data/{key}"))
            memory = self._memory.bytes_at(record.offset, record.size, checksum=record.crc if self._verify else 0)
            self._loaded[key] = placed(memory, location, self._where, self._memory)
        memory = self._loaded[key]
        size = count * (1 if kind.dtype is None else kind.dtype.itemsize)
        if size != memory.numel():
            raise ArchiveError(f"the record data/{key} has {memory.numel()} bytes; {size} are described: it is cut off")
        return names.Stored(memory, kind.dtype)
