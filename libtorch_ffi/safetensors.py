"""Files of the safetensors format: names and plain tensors, nothing that could run.

Owns the way from such a file to tensors and back, without a copy: a file is mapped, and its bytes are the tensors'
memory. The package safetensors reads and checks the header, and writes; it is installed by the extra ``models``
(``pip install 'libtorch-ffi[models]'``). torch need not be there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from libtorch_ffi._binding import core
from libtorch_ffi.errors import ArchiveError, LibtorchFFIError
from libtorch_ffi.serialization.storages import Mapped, Read, placed

if TYPE_CHECKING:
    from types import ModuleType
    from typing import BinaryIO

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.types import Device

__all__ = ["load_file", "metadata", "save_file"]

_HEADER = 8
"""Bytes of the header's length, which the file begins with."""

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}
"""The format's names of dtypes, and torch's."""


def load_file(filename: str | os.PathLike[str], device: Device = "cpu", *, mmap: bool = True) -> dict[str, Tensor]:
    """Return the tensors of a file by their names.

    Parameters
    ----------
    filename
        The file.
    device
        Where they are to go.
    mmap
        Let the file itself be the memory of tensors on the CPU: only what is looked at is read, and writing to a tensor
        does not write to the file, which is not to be changed meanwhile. If false, they are read into memory of their
        own.

    Raises
    ------
    ArchiveError
        If the file is damaged, or no such file.
    """
    with open(filename, "rb", buffering=0) as file:  # noqa: PTH123 - may be a path of any kind
        layout, start = _layout(filename, file)
        memory = Mapped(file) if mmap else Read(file)
        tensors = {}
        for name, dtype, shape, offset, size in layout:
            part = memory.bytes_at(start + offset, size, dtype.itemsize)
            tensors[name] = placed(part, "cpu", device, memory).view(dtype).view(shape)
        memory.finish()
        return tensors


def save_file(
    tensors: Mapping[str, Tensor], filename: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors to a file by their names.

    Parameters
    ----------
    tensors
        Strided tensors on any device. Two that share memory are written twice.
    filename
        The file.
    metadata
        Texts to keep beside them.

    Raises
    ------
    ArchiveError
        If a tensor has a dtype or layout that the format lacks, or the file cannot be written.
    TypeError
        If there are no tensors by names.
    """
    library = _library()
    _check_named(tensors)
    kept = {name: _plain(name, tensor) for name, tensor in tensors.items()}  # alive until all is written
    specs = {
        name: library.TensorSpec(
            dtype=_short(tensor.dtype),
            shape=list(tensor.shape),
            data_ptr=tensor.data_ptr(),
            data_len=tensor.nbytes,
        )
        for name, tensor in kept.items()
    }
    try:
        library.serialize_file(specs, filename, None if metadata is None else dict(metadata))
    except library.SafetensorError as error:
        raise ArchiveError(f"{os.fspath(filename)!r} cannot be written: {error}") from error


def metadata(filename: str | os.PathLike[str]) -> dict[str, str]:
    """Return the texts that a file has beside its tensors.

    Raises
    ------
    ArchiveError
        If the file is damaged, or no such file.
    """
    library = _library()
    try:
        with library.safe_open(filename, framework="numpy") as opened:
            return dict(opened.metadata() or {})
    except library.SafetensorError as error:
        raise _damaged(filename, error) from error


Part = tuple[str, core.dtype, tuple[int, ...], int, int]
"""A tensor's name, dtype and shape, and where its bytes begin and how many there are."""


def _layout(filename: str | os.PathLike[str], file: BinaryIO) -> tuple[list[Part], int]:
    """Return where each tensor lies, in the order of the file, and where the first begins.

    The library has checked by then that the tensors follow one another without gaps, up to the end of the file.
    """
    library = _library()
    parts: list[Part] = []
    offset = 0
    try:
        with library.safe_open(filename, framework="numpy") as opened:
            for name in opened.offset_keys():
                part = opened.get_slice(name)
                dtype, shape = getattr(core, _DTYPES.get(part.get_dtype(), ""), None), tuple(part.get_shape())
                if dtype is None:
                    raise ArchiveError(f"the tensor {name!r} is of dtype {part.get_dtype()}, which libtorch lacks")
                size = dtype.itemsize * core.Size(shape).numel()
                parts.append((name, dtype, shape, offset, size))
                offset += size
    except library.SafetensorError as error:
        raise _damaged(filename, error) from error
    start = _HEADER + int.from_bytes(file.read(_HEADER), "little")
    if start + offset != file.seek(0, 2):
        raise ArchiveError(f"{os.fspath(filename)!r} has changed while it was read")
    return parts, start


def _damaged(filename: str | os.PathLike[str], error: Exception) -> ArchiveError:
    with open(filename, "rb") as file:  # noqa: PTH123 - may be a path of any kind
        is_zip = file.read(2) == b"PK"
    hint = ". It is a zip archive, as torch.save's are: libtorch_ffi.load reads those" if is_zip else ""
    return ArchiveError(f"{os.fspath(filename)!r} is no safetensors file, or damaged: {error}{hint}")


def _check_named(tensors: Mapping[str, Tensor]) -> None:
    if not isinstance(tensors, Mapping):
        raise TypeError(f"save_file() takes tensors by their names, a dict, not {type(tensors).__name__}")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, core.Tensor):
            raise TypeError(
                f"save_file() takes tensors by their names, and {name!r} is {type(tensor).__name__}: the format has no "
                "dicts within dicts, nor anything else; give each tensor a name of its own"
            )


def _plain(name: str, tensor: Tensor) -> Tensor:
    if tensor.layout != core.strided or _short(tensor.dtype) not in _DTYPES.values() or tensor.is_meta:
        raise ArchiveError(
            f"the tensor {name!r} ({tensor.dtype}, {tensor.layout}, on {tensor.device}) cannot be saved: the format "
            "has strided tensors of the plain dtypes"
        )
    plain: Tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    return plain.contiguous()


def _short(dtype: core.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _library() -> ModuleType:
    try:
        import safetensors
    except ImportError:
        raise LibtorchFFIError(
            "safetensors files are read and written by the package safetensors, which is not installed: "
            "pip install 'libtorch-ffi[models]'"
        ) from None
    return safetensors
