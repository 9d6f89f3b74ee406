"""Making tensors, by the standard's signatures.

Owns the defaults of dtypes, and how data becomes a tensor with or without a copy. Never decides on a device: what is
not said is libtorch's default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi import _dlpack
from libtorch_ffi._aten import many, one
from libtorch_ffi._binding import core
from libtorch_ffi._functions.creation import asarray as _of_data
from libtorch_ffi.array_api._dtypes import result_type

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.types import Device

    Shape: TypeAlias = int | tuple[int, ...]

_arange, _empty, _full, _linspace, _ones, _zeros = map(one, ("arange", "empty", "full", "linspace", "ones", "zeros"))
_empty_like, _full_like, _ones_like, _zeros_like = map(one, ("empty_like", "full_like", "ones_like", "zeros_like"))
_tril, _triu = one("tril"), one("triu")
_meshgrid = many("meshgrid")


def _lengths(shape: Shape) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: core.dtype | None = None,
    device: Device | None = None,
) -> Tensor:
    """Return the numbers from `start` up to `stop`, which is left out, by `step`; from 0 where there is no `stop`."""
    first, last = (0, start) if stop is None else (start, stop)
    if step == 0:
        raise ValueError("arange() takes a step other than 0")
    if (last - first) / step <= 0:
        kinds = (first, last, step)
        fallback = core.int64 if all(isinstance(value, int) for value in kinds) else core.get_default_dtype()
        return _empty((0,), dtype=fallback if dtype is None else dtype, device=device)
    return _arange(first, last, step, dtype=dtype, device=device)


def asarray(
    obj: object,
    /,
    *,
    dtype: core.dtype | None = None,
    device: Device | None = None,
    copy: bool | None = None,
) -> Tensor:
    """Return a tensor of some data: a tensor, an array, a number or nested sequences of numbers.

    Parameters
    ----------
    obj
        The data.
    dtype, device
        What the tensor is to have; by default what the data has.
    copy
        True never shares memory, False only shares, and raises ValueError where it cannot.
    """
    return _of_data(obj, dtype=dtype, device=device, copy=copy)


def from_dlpack(x: object, /, *, device: Device | None = None, copy: bool | None = None) -> Tensor:
    """Return a tensor over the memory of another library's array."""
    return _dlpack.from_dlpack(x, device=device, copy=copy)


def empty(shape: Shape, *, dtype: core.dtype | None = None, device: Device | None = None) -> Tensor:
    """Return a tensor whose elements are not set."""
    return _empty(_lengths(shape), dtype=dtype, device=device)


def zeros(shape: Shape, *, dtype: core.dtype | None = None, device: Device | None = None) -> Tensor:
    """Return a tensor of zeros."""
    return _zeros(_lengths(shape), dtype=dtype, device=device)


def ones(shape: Shape, *, dtype: core.dtype | None = None, device: Device | None = None) -> Tensor:
    """Return a tensor of ones."""
    return _ones(_lengths(shape), dtype=dtype, device=device)


def full(shape: Shape, fill_value: complex, *, dtype: core.dtype | None = None, device: Device | None = None) -> Tensor:
    """Return a tensor of one number."""
    return _full(_lengths(shape), fill_value, dtype=dtype, device=device)


def empty_like(x: Tensor, /, *, dtype: core.dtype | None = None, device: Device | None = None) -> Tensor:
    """Return a tensor of another's shape whose elements are not set."""
    return _empty_like(x, dtype=dtype, device=device)


def zeros_like(x: Tensor, /, *, dtype: core.dtype | None = None, device: Device | None = None) -> Tensor:
    """Return zeros in another's shape."""
    return _zeros_like(x, dtype=dtype, device=device)


def ones_like(x: Tensor, /, *, dtype: core.dtype | None = None, device: Device | None = None) -> Tensor:
    """Return ones in another's shape."""
    return _ones_like(x, dtype=dtype, device=device)


def full_like(
    x: Tensor, /, fill_value: complex, *, dtype: core.dtype | None = None, device: Device | None = None
) -> Tensor:
    """Return one number in another's shape."""
    return _full_like(x, fill_value, dtype=dtype, device=device)


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: core.dtype | None = None,
    device: Device | None = None,
) -> Tensor:
    """Return a matrix with ones along a diagonal, the k-th above the main one."""
    columns = n_rows if n_cols is None else n_cols
    matrix = _zeros((n_rows, columns), dtype=dtype, device=device)
    if -n_rows < k < columns:
        matrix.diagonal(k).fill_(1)
    return matrix


def linspace(
    start: complex,
    stop: complex,
    /,
    num: int,
    *,
    dtype: core.dtype | None = None,
    device: Device | None = None,
    endpoint: bool = True,
) -> Tensor:
    """Return so many numbers at even distances, with the last one or without."""
    if endpoint:
        return _linspace(start, stop, num, dtype=dtype, device=device)
    return _linspace(start, stop, num + 1, dtype=dtype, device=device)[:num]


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Return the coordinates of a grid, in the order ``"xy"`` or ``"ij"``."""
    dtype = result_type(*arrays)
    if len(arrays) < 2:  # noqa: PLR2004 - two dimensions to swap
        indexing = "ij"
    return tuple(_meshgrid([array.to(dtype) for array in arrays], indexing=indexing))


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """Return the lower triangle of matrices, zeros above the k-th diagonal."""
    return _tril(x, k)


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """Return the upper triangle of matrices, zeros below the k-th diagonal."""
    return _triu(x, k)


def of_numbers(values: Any, like: Tensor) -> Tensor:
    """Return a number as a tensor without dimensions on another's device."""
    return core.tensor(values, device=like.device)
