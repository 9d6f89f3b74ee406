"""Sums and their like over dimensions, by the standard's signatures and dtypes.

Owns what an empty tuple of axes means (each element by itself, where torch takes it for all), and the dtypes of sums of
integers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.array_api._dtypes import KINDS, is_integer, result_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from libtorch_ffi._C import Tensor

    Axes: TypeAlias = int | tuple[int, ...] | None

_all, _any, _amax, _amin, _mean, _sum, _var = map(one, ("all", "any", "amax", "amin", "mean", "sum", "var"))
_argmax, _argmin, _cat, _diff, _prod = map(one, ("argmax", "argmin", "cat", "diff", "prod"))
_cumprod, _cumsum, _sqrt = one("cumprod"), one("cumsum"), one("sqrt")


def _axes(x: Tensor, axis: Axes) -> tuple[int, ...]:
    """Return the dimensions that are meant, from the first on, each once.

    Raises
    ------
    IndexError
        If there is no such dimension.
    ValueError
        If one is named twice.
    """
    named = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    for one_axis in named:
        if not -x.ndim <= one_axis < x.ndim:
            raise IndexError(f"a tensor of {x.ndim} dimensions has no dimension {one_axis}")
    found = tuple(one_axis % x.ndim for one_axis in named)
    if len(set(found)) != len(found):
        raise ValueError(f"a dimension is named twice in {axis}")
    return found


def _sum_dtype(x: Tensor, dtype: core.dtype | None) -> core.dtype:
    """Return the dtype that a sum has: of small integers a larger one, of the same sign."""
    if dtype is not None:
        return dtype
    if x.dtype in KINDS["unsigned integer"]:
        return core.uint64
    return core.int64 if is_integer(x.dtype) or x.dtype == core.bool else x.dtype


def _working_dtype(dtype: core.dtype) -> core.dtype:
    """Return the dtype to compute in: whole numbers without a sign have the same bits as those with one."""
    return core.int64 if dtype in KINDS["unsigned integer"] else dtype


def sum(  # noqa: A001 - the standard's name
    x: Tensor, /, *, axis: Axes = None, dtype: core.dtype | None = None, keepdims: bool = False
) -> Tensor:
    """Return the sum over dimensions, by default over all.

    Parameters
    ----------
    x
        The tensor.
    axis
        The dimensions; an empty tuple for none.
    dtype
        Of the result; by default the tensor's, of integers int64, or uint64 where they have no sign.
    keepdims
        Whether the dimensions stay, with length 1.
    """
    axes, wanted = _axes(x, axis), _sum_dtype(x, dtype)
    values = x.to(_working_dtype(wanted))
    summed = _sum(values, axes, keepdims, dtype=values.dtype) if axes else values.clone()
    return summed.to(wanted)


def prod(x: Tensor, /, *, axis: Axes = None, dtype: core.dtype | None = None, keepdims: bool = False) -> Tensor:
    """Return the product over dimensions; the arguments are those of `sum`."""
    wanted = _sum_dtype(x, dtype)
    result = x.to(_working_dtype(wanted))
    for one_axis in sorted(_axes(x, axis), reverse=True):
        result = _prod(result, one_axis, keepdims, dtype=result.dtype)
    return result.to(wanted) if result is not x else x.clone()


def max(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:  # noqa: A001 - likewise
    """Return the largest element over dimensions."""
    axes = _axes(x, axis)
    return _amax(x, axes, keepdims) if axes else x.clone()


def min(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:  # noqa: A001 - likewise
    """Return the smallest element over dimensions."""
    axes = _axes(x, axis)
    return _amin(x, axes, keepdims) if axes else x.clone()


def mean(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return the mean over dimensions of numbers that are no integers."""
    axes = _axes(x, axis)
    return _mean(x, axes, keepdims) if axes else x.clone()


def var(x: Tensor, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """Return the variance over dimensions.

    Parameters
    ----------
    x
        The tensor.
    axis
        The dimensions; an empty tuple for none.
    correction
        How much less than the number of elements the sum of squares is divided by.
    keepdims
        Whether the dimensions stay, with length 1.
    """
    axes = _axes(x, axis)
    if not axes:
        return (x - x) / (1 - correction) if correction != 1 else x * math.nan
    return _var(x, axes, correction=correction, keepdim=keepdims)


def std(x: Tensor, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """Return the standard deviation over dimensions; the arguments are those of `var`."""
    return _sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def all(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:  # noqa: A001 - likewise
    """Tell whether all elements over dimensions are other than zero."""
    return _truth(_all, x, axis, keepdims)


def any(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:  # noqa: A001 - likewise
    """Tell whether an element over dimensions is other than zero."""
    return _truth(_any, x, axis, keepdims)


def _truth(reduce: Callable[..., Tensor], x: Tensor, axis: Axes, keepdims: bool) -> Tensor:
    axes, values = _axes(x, axis), x.to(core.bool)
    return reduce(values, axes, keepdims) if axes else values.clone()


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the place of the first largest element along a dimension, or among all elements."""
    return _place(_argmax, x, axis, keepdims)


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the place of the first smallest element along a dimension, or among all elements."""
    return _place(_argmin, x, axis, keepdims)


def _place(find: Callable[..., Tensor], x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    if axis is not None:
        return find(x, axis, keepdims)
    found = find(x.reshape((-1,)), 0)
    return found.reshape((1,) * x.ndim) if keepdims else found


def count_nonzero(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return how many elements over dimensions are other than zero."""
    return sum(x.to(core.bool), axis=axis, keepdims=keepdims)


def cumulative_sum(
    x: Tensor, /, *, axis: int | None = None, dtype: core.dtype | None = None, include_initial: bool = False
) -> Tensor:
    """Return the sums of all elements up to each, along a dimension.

    Parameters
    ----------
    x
        The tensor.
    axis
        The dimension, which a vector may leave out.
    dtype
        Of the result; by default as in `sum`.
    include_initial
        Whether the sum of no element, 0, stands first.

    Raises
    ------
    ValueError
        If no dimension is said, and the tensor has several.
    """
    return _cumulative(_cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Tensor, /, *, axis: int | None = None, dtype: core.dtype | None = None, include_initial: bool = False
) -> Tensor:
    """Return the products of all elements up to each; the arguments are those of `cumulative_sum`, the first is 1."""
    return _cumulative(_cumprod, 1, x, axis, dtype, include_initial)


def _cumulative(
    compute: Callable[..., Tensor],
    initial: int,
    x: Tensor,
    axis: int | None,
    dtype: core.dtype | None,
    include_initial: bool,
) -> Tensor:
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"an axis is needed for a tensor of {x.ndim} dimensions")
        axis = 0
    wanted = _sum_dtype(x, dtype)
    values = x.to(_working_dtype(wanted))
    result = compute(values, axis, dtype=values.dtype)
    if include_initial:
        shape = list(x.shape)
        shape[axis] = 1
        result = _cat([result.new_full(shape, initial), result], axis)
    return result.to(wanted)


def diff(
    x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Return the differences between neighbours along a dimension, n times over."""
    parts = [part for part in (prepend, x, append) if part is not None]
    dtype = result_type(*parts)
    whole = _cat([part.to(dtype) for part in parts], axis) if len(parts) > 1 else x
    return _diff(whole, n, axis) if n else whole
