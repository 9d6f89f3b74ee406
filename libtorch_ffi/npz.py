"""Tensors in NumPy's files, ``.npy`` and ``.npz``.

Owns the way there and back. NumPy reads and writes; pickled objects in such files are refused, because to read them is
to run them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from libtorch_ffi._binding import core
from libtorch_ffi.errors import ArchiveError

if TYPE_CHECKING:
    import os
    from typing import Any, BinaryIO

    import numpy as np

    from libtorch_ffi._C import Tensor

__all__ = ["load_npy", "load_npz", "save_npy", "save_npz"]

_NPY = b"\x93NUMPY"
"""What a file of one array begins with."""

_SUFFIX = ".npy"


def load_npy(filename: str | os.PathLike[str], *, mmap: bool = False) -> Tensor:
    """Return the tensor of a ``.npy`` file.

    Parameters
    ----------
    filename
        The file.
    mmap
        Let the file itself be the tensor's memory. Writing to the tensor does not write to the file.

    Raises
    ------
    ArchiveError
        If the file is damaged, no such file, or has elements that no tensor has.
    """
    found = _loaded(filename, mmap=mmap)
    if isinstance(found, dict):
        raise ArchiveError(f"{filename!r} holds several arrays: load_npz reads it")
    return _tensor(filename, found)


def load_npz(filename: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the tensors of a ``.npz`` file by their names.

    Raises
    ------
    ArchiveError
        If the file is damaged, no such file, or has elements that no tensor has.
    """
    found = _loaded(filename, mmap=False)
    if not isinstance(found, dict):
        raise ArchiveError(f"{filename!r} holds one array without a name: load_npy reads it")
    return {name: _tensor(filename, array) for name, array in found.items()}


def save_npy(filename: str | os.PathLike[str], tensor: Tensor) -> None:
    """Write a tensor to a ``.npy`` file.

    Raises
    ------
    TypeError
        If NumPy lacks its dtype: bfloat16, say, which ``tensor.float()`` mends.
    """
    import numpy as np

    with open(filename, "wb") as file:  # noqa: PTH123 - NumPy would add a suffix to a path
        np.save(file, tensor.numpy(force=True), allow_pickle=False)


def save_npz(filename: str | os.PathLike[str], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to a ``.npz`` file by their names.

    Raises
    ------
    TypeError
        If NumPy lacks a dtype, or there are no tensors by names.
    """
    import zipfile

    from numpy.lib import format as npy

    if not isinstance(tensors, Mapping):
        raise TypeError(f"save_npz() takes a file and then a dict of tensors, not {type(tensors).__name__}")
    arrays = {name: tensor.numpy(force=True) for name, tensor in tensors.items()}
    with zipfile.ZipFile(filename, "w") as archive:  # as np.savez does it, which has names of its own among the arrays'
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                npy.write_array(file, array, allow_pickle=False)


def _loaded(filename: str | os.PathLike[str], *, mmap: bool) -> Any:  # noqa: ANN401 - an array, or a dict of them
    import tokenize
    import zipfile
    import zlib

    faults = (
        ValueError,
        TypeError,
        OverflowError,
        EOFError,
        SyntaxError,
        NotImplementedError,
        tokenize.TokenError,
        zipfile.BadZipFile,
        zlib.error,
    )
    with open(filename, "rb") as file:  # noqa: PTH123 - NumPy leaves the file open where it is a damaged archive
        try:
            return _arrays(file, filename if mmap else None)
        except faults as error:
            raise ArchiveError(f"{filename!r} is no file of NumPy's, is damaged, or holds objects: {error}") from error


def _arrays(file: BinaryIO, mapped: str | os.PathLike[str] | None) -> Any:  # noqa: ANN401 - likewise
    """Read a file, or map the one array of a file of that name."""
    import zipfile

    import numpy as np
    from numpy.lib import format as npy

    is_array = file.read(len(_NPY)) == _NPY
    file.seek(0)
    if is_array:
        return npy.open_memmap(mapped, mode="c") if mapped is not None else np.load(file, allow_pickle=False)
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(_SUFFIX)]
        if not names and archive.namelist():
            raise ValueError("it is an archive without an array in it; torch.save's are read by libtorch_ffi.load")
        return {name.removesuffix(_SUFFIX): npy.read_array(archive.open(name)) for name in names}


def _tensor(filename: str | os.PathLike[str], array: np.ndarray[Any, Any]) -> Tensor:
    try:
        return core.from_numpy(array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("=")))
    except (TypeError, ValueError) as error:
        raise ArchiveError(f"{filename!r} has an array of {array.dtype}, which no tensor has: {error}") from error
