"""Shapes: more dimensions, a common shape, a grid, parts, coordinates of flat indices.

Owns the rules of broadcasting for shapes without tensors. What is done to a tensor, an operator does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from libtorch_ffi._aten import many
from libtorch_ffi._binding import core
from libtorch_ffi._functions.spread import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libtorch_ffi._C import Tensor
    from libtorch_ffi._functions.spread import Spread

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_shapes",
    "broadcast_tensors",
    "meshgrid",
    "split",
    "unravel_index",
]

_atleast = {count: many(f"atleast_{count}d") for count in (1, 2, 3)}
_broadcast_tensors = many("broadcast_tensors")
_meshgrid = many("meshgrid")
_split = many("split")


@overload
def atleast_1d(tensor: Tensor, /) -> Tensor: ...
@overload
def atleast_1d(tensors: Sequence[Tensor], /) -> tuple[Tensor, ...]: ...
@overload
def atleast_1d(first: Tensor, second: Tensor, /, *more: Tensor) -> tuple[Tensor, ...]: ...
def atleast_1d(*tensors: Spread) -> Spread:
    """Return tensors with one dimension or more: one tensor for one, a tuple for many."""
    return _atleast[1](tensors[0] if len(tensors) == 1 else tensors)


@overload
def atleast_2d(tensor: Tensor, /) -> Tensor: ...
@overload
def atleast_2d(tensors: Sequence[Tensor], /) -> tuple[Tensor, ...]: ...
@overload
def atleast_2d(first: Tensor, second: Tensor, /, *more: Tensor) -> tuple[Tensor, ...]: ...
def atleast_2d(*tensors: Spread) -> Spread:
    """Return tensors with two dimensions or more: one tensor for one, a tuple for many."""
    return _atleast[2](tensors[0] if len(tensors) == 1 else tensors)


@overload
def atleast_3d(tensor: Tensor, /) -> Tensor: ...
@overload
def atleast_3d(tensors: Sequence[Tensor], /) -> tuple[Tensor, ...]: ...
@overload
def atleast_3d(first: Tensor, second: Tensor, /, *more: Tensor) -> tuple[Tensor, ...]: ...
def atleast_3d(*tensors: Spread) -> Spread:
    """Return tensors with three dimensions or more: one tensor for one, a tuple for many."""
    return _atleast[3](tensors[0] if len(tensors) == 1 else tensors)


def broadcast_shapes(*shapes: int | Sequence[int]) -> core.Size:
    """Return the shape that tensors of these shapes have in common once they are broadcast.

    Raises
    ------
    RuntimeError
        If they cannot be.
    ValueError
        If a length is negative.
    """
    sizes = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
    result = [1] * max(map(len, sizes), default=0)
    for size in sizes:
        for place in range(-1, -len(size) - 1, -1):
            length = size[place]
            if length < 0:
                raise ValueError(f"Trying to create tensor with negative dimension ({length}): ({length})")
            if result[place] not in (1, length) and length != 1:
                raise RuntimeError(
                    "Shape mismatch: objects cannot be broadcast to a single shape: "
                    f"lengths {result[place]} and {length} meet in dimension {place} of {', '.join(map(str, sizes))}"
                )
            result[place] = length if length != 1 else result[place]
    return core.Size(result)


def broadcast_tensors(*tensors: Spread) -> tuple[Tensor, ...]:
    """Return views of tensors, expanded to the shape that they have in common."""
    return _broadcast_tensors(spread(tensors))


def meshgrid(*tensors: Spread, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Return the coordinates of a grid.

    Parameters
    ----------
    *tensors
        For each dimension of the grid, its coordinates.
    indexing
        ``"ij"`` for the dimensions in the order of the tensors (also where it is left out), ``"xy"`` for the first two
        swapped.
    """
    return _meshgrid(spread(tensors), indexing="ij" if indexing is None else indexing)


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Return views of the parts of a tensor.

    Parameters
    ----------
    tensor
        What to split.
    split_size_or_sections
        The length of each part (the last may be shorter), or a length for each.
    dim
        The dimension that is split.
    """
    return _split(tensor, split_size_or_sections, dim)


def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Return for each dimension of a shape the coordinates of flat indices.

    Raises
    ------
    TypeError, ValueError
        If the indices are no integers; if a length is negative.
    """
    if indices.is_floating_point() or indices.is_complex() or indices.dtype == core.bool:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    lengths = [shape] if isinstance(shape, int) else list(shape)
    if any(length < 0 for length in lengths):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(lengths)}")
    coordinates = []
    for length in reversed(lengths):
        coordinates.append(indices % length)
        indices = indices.div(length, rounding_mode="floor")
    return tuple(reversed(coordinates))
