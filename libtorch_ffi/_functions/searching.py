"""Looking for elements: which are not zero, which differ.

Owns how many results there are, which flags decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from libtorch_ffi._aten import many, one

if TYPE_CHECKING:
    from typing import Literal

    from libtorch_ffi._C import Tensor

__all__ = ["nonzero", "unique", "unique_consecutive"]

_nonzero = one("nonzero")
_nonzero_numpy = many("nonzero_numpy")
_unique = many("_unique2")
_unique_consecutive = many("unique_consecutive")
_unique_dim = many("unique_dim")


def nonzero(
    input: Tensor,  # noqa: A002 - torch's name
    *,
    out: Tensor | None = None,
    as_tuple: bool = False,
) -> Tensor | tuple[Tensor, ...]:
    """Return the indices of the elements that are not zero.

    Parameters
    ----------
    input
        Where to look.
    out
        Takes the result.
    as_tuple
        Answer a vector for each dimension, to index with, instead of a matrix with a row for each element.
    """
    if as_tuple:
        return _nonzero_numpy(input)
    return _nonzero(input) if out is None else _nonzero(input, out=out)


@overload
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: Literal[False] = False,
    return_counts: Literal[False] = False,
    dim: int | None = None,
) -> Tensor: ...
@overload
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Tensor | tuple[Tensor, ...]: ...
def unique(
    input: Tensor,  # noqa: A002 - torch's name
    sorted: bool = True,  # noqa: A002 - torch's name
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Tensor | tuple[Tensor, ...]:
    """Return the elements of a tensor, each once.

    Parameters
    ----------
    input
        Where to look.
    sorted
        In ascending order.
    return_inverse
        Also the indices of the input's elements among those.
    return_counts
        Also how often each is there.
    dim
        Compare the slices along this dimension instead of elements.

    Returns
    -------
    Tensor or tuple of Tensor
        The elements; in a tuple with what else was asked for.
    """
    if dim is None:
        results = _unique(input, sorted, return_inverse, return_counts)
    else:
        results = _unique_dim(input, dim, sorted, return_inverse, return_counts)
    return _asked_for(results, return_inverse, return_counts)


@overload
def unique_consecutive(
    input: Tensor,
    return_inverse: Literal[False] = False,
    return_counts: Literal[False] = False,
    dim: int | None = None,
) -> Tensor: ...
@overload
def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Tensor | tuple[Tensor, ...]: ...
def unique_consecutive(
    input: Tensor,  # noqa: A002 - torch's name
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Tensor | tuple[Tensor, ...]:
    """Return the elements of a tensor without those that equal the one before.

    Parameters
    ----------
    input
        Where to look.
    return_inverse
        Also the indices of the input's elements among those.
    return_counts
        Also how often each is there in a row.
    dim
        Compare the slices along this dimension instead of elements.

    Returns
    -------
    Tensor or tuple of Tensor
        The elements; in a tuple with what else was asked for.
    """
    results = _unique_consecutive(input, return_inverse, return_counts, dim)
    return _asked_for(results, return_inverse, return_counts)


def _asked_for(results: tuple[Tensor, ...], return_inverse: bool, return_counts: bool) -> Tensor | tuple[Tensor, ...]:
    values, inverse, counts = results
    extras = ([inverse] if return_inverse else []) + ([counts] if return_counts else [])
    return (values, *extras) if extras else values
