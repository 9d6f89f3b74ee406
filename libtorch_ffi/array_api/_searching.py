"""Sorting, searching and sets, by the standard's signatures.

Owns the names of the results and their order, which the standard says and aten does not, and which complex numbers are
the same, for which aten has no kernel. Computes nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from libtorch_ffi._aten import many, one
from libtorch_ffi._binding import core
from libtorch_ffi.array_api._dtypes import result_type
from libtorch_ffi.array_api._elementwise import both_tensors

if TYPE_CHECKING:
    from libtorch_ffi._C import Tensor
    from libtorch_ffi.array_api._elementwise import Operand

_arange, _imag, _real = map(one, ("arange", "imag", "real"))
_searchsorted, _where = map(one, ("searchsorted", "where"))
_nonzero, _sort, _unique = map(many, ("nonzero_numpy", "sort", "_unique2"))


class UniqueAll(NamedTuple):
    """The distinct elements, where each is first, which one each element is, and how many of each there are."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """The distinct elements, and how many of each there are."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """The distinct elements, and which one each element is."""

    values: Tensor
    inverse_indices: Tensor


def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Return the elements in order along a dimension."""
    return _sort(x, dim=axis, descending=descending, stable=stable)[0]


def argsort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Return the places of the elements in their order along a dimension."""
    return _sort(x, dim=axis, descending=descending, stable=stable)[1]


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """Return for each dimension the places of the elements that are other than zero.

    Raises
    ------
    ValueError
        If the tensor has no dimensions.
    """
    if x.ndim == 0:
        raise ValueError("nonzero() takes a tensor with dimensions")
    return tuple(_nonzero(x))


def searchsorted(x1: Tensor, x2: Operand, /, *, side: str = "left", sorter: Tensor | None = None) -> Tensor:
    """Return where elements would have to be put into a sorted vector.

    Parameters
    ----------
    x1
        The vector.
    x2
        The elements.
    side
        Before (``"left"``) or behind (``"right"``) equal ones.
    sorter
        The places of the vector's elements in order, where it is not sorted.
    """
    values, wanted = both_tensors(x1, x2)
    return _searchsorted(values.contiguous(), wanted.contiguous(), side=side, sorter=sorter)


def where(condition: Tensor, x1: Operand, x2: Operand, /) -> Tensor:
    """Return elements of one tensor where a condition holds, and of another elsewhere."""
    if not isinstance(x1, core.Tensor) and not isinstance(x2, core.Tensor):
        raise TypeError("where() takes a tensor to choose from, and not two numbers")
    result_type(x1, x2)
    return _where(condition, *both_tensors(x1, x2))


def unique_all(x: Tensor, /) -> UniqueAll:
    """Return the distinct elements in order, and all that is known of them."""
    values, inverse, counts = _distinct(x)
    return UniqueAll(values, _first(inverse, counts), inverse, counts)


def unique_counts(x: Tensor, /) -> UniqueCounts:
    """Return the distinct elements in order, and how many of each there are."""
    values, _, counts = _distinct(x, inverse=False)
    return UniqueCounts(values, counts)


def unique_inverse(x: Tensor, /) -> UniqueInverse:
    """Return the distinct elements in order, and which one each element is."""
    values, inverse, _ = _distinct(x, counts=False)
    return UniqueInverse(values, inverse)


def unique_values(x: Tensor, /) -> Tensor:
    """Return the distinct elements in order."""
    return _distinct(x, inverse=False, counts=False)[0]


def _distinct(x: Tensor, *, inverse: bool = True, counts: bool = True) -> tuple[Tensor, ...]:
    """Return the distinct elements in order, which one each element is, and how many of each there are.

    Complex numbers are in the order of their real parts, and then of their imaginary ones.
    """
    if not x.dtype.is_complex:
        return tuple(_unique(x, True, inverse, counts))
    real, imaginary = (_unique(part(x), True, True, False)[1] for part in (_real, _imag))
    _, places, numbers = _unique(real * x.numel() + imaginary, True, True, True)
    return x.reshape((-1,))[_first(places, numbers)], places, numbers


def _first(inverse: Tensor, counts: Tensor) -> Tensor:
    """Return where each distinct element is first."""
    places = _arange(inverse.numel(), device=inverse.device)
    none = places.new_zeros(counts.shape)
    first: Tensor = none.scatter_reduce(0, inverse.flatten(), places, "amin", include_self=False)
    return first
