"""Shapes, and elements by their places, by the standard's signatures.

Owns the standard's checks of axes that aten does not make. Results are views where aten's are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._aten import many, one
from libtorch_ffi._binding import core
from libtorch_ffi.array_api._dtypes import result_type

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from libtorch_ffi._C import Tensor

    Axes: TypeAlias = int | tuple[int, ...]

_broadcast_to, _cat, _flip, _moveaxis = map(one, ("broadcast_to", "cat", "flip", "moveaxis"))
_permute, _repeat, _roll, _stack, _tile = map(one, ("permute", "repeat_interleave", "roll", "stack", "tile"))
_select, _take_along, _unsqueeze, _where = map(one, ("index_select", "take_along_dim", "unsqueeze", "where"))
_broadcast_tensors, _unbind = many("broadcast_tensors"), many("unbind")


def broadcast_arrays(*arrays: Tensor) -> list[Tensor]:
    """Return views of tensors, expanded to the shape that they have in common."""
    return list(_broadcast_tensors(arrays))


def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Tensor:
    """Return a view of a tensor, expanded to a shape."""
    return _broadcast_to(x, shape)


def _alike(arrays: Sequence[Tensor]) -> list[Tensor]:
    dtype = result_type(*arrays)
    return [array.to(dtype) for array in arrays]


def concat(arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> Tensor:
    """Return tensors joined along a dimension; all of their elements in a row where `axis` is None."""
    tensors = _alike(arrays)
    if axis is None:
        return _cat([tensor.reshape((-1,)) for tensor in tensors], 0)
    if any(tensor.ndim == 0 for tensor in tensors):
        raise ValueError("tensors without dimensions are joined with axis=None only")
    return _cat(tensors, axis)


def stack(arrays: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    """Return tensors side by side along a new dimension."""
    return _stack(_alike(arrays), axis)


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """Return the parts of a tensor along a dimension."""
    return tuple(_unbind(x, axis))


def expand_dims(x: Tensor, /, *, axis: int = 0) -> Tensor:
    """Return a view with one more dimension, of length 1."""
    return _unsqueeze(x, axis)


def squeeze(x: Tensor, /, axis: Axes) -> Tensor:
    """Return a view without some dimensions of length 1.

    Raises
    ------
    ValueError
        If one has another length.
    """
    axes = (axis,) if isinstance(axis, int) else axis
    for one_axis in axes:
        if x.shape[one_axis] != 1:
            raise ValueError(f"dimension {one_axis} of shape {tuple(x.shape)} is not of length 1")
    result: Tensor = x.squeeze(axes) if axes else x
    return result


def flip(x: Tensor, /, *, axis: Axes | None = None) -> Tensor:
    """Return a copy with the elements in reverse along dimensions, by default along all."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    return _flip(x, axes)


def moveaxis(x: Tensor, source: Axes, destination: Axes, /) -> Tensor:
    """Return a view with dimensions moved to other places."""
    return _moveaxis(x, source, destination)


def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Tensor:
    """Return a view with the dimensions in another order."""
    return _permute(x, axes)


def repeat(x: Tensor, repeats: int | Tensor, /, *, axis: int | None = None) -> Tensor:
    """Return each element as often as is said, along a dimension, or of all elements in a row."""
    source = x.reshape((-1,)) if axis is None else x
    dim = 0 if axis is None else axis
    if isinstance(repeats, core.Tensor):
        lengths = repeats.to(core.int64)
        repeats = lengths if lengths.ndim else lengths.expand((source.shape[dim],))
    return _repeat(source, repeats, dim)


def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Tensor:
    """Return the elements in another shape.

    Parameters
    ----------
    x
        The tensor.
    shape
        The shape; one length may be -1, for what is left.
    copy
        True for memory of its own, False for ValueError where it cannot be shared.
    """
    if copy:
        x = x.clone()
    result: Tensor = x.reshape(shape)
    if copy is False and result.untyped_storage() != x.untyped_storage():
        raise ValueError(f"a tensor of shape {tuple(x.shape)} and strides {x.stride()} needs a copy to be {shape}")
    return result


def roll(x: Tensor, /, shift: Axes, *, axis: Axes | None = None) -> Tensor:
    """Return the elements moved on along dimensions, those that leave at the end coming back at the beginning."""
    if axis is None:
        return _roll(x, shift)
    shifts, axes = ((value,) if isinstance(value, int) else value for value in (shift, axis))
    return _roll(x, shifts * len(axes) if len(shifts) == 1 else shifts, axes)


def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Tensor:
    """Return a tensor laid beside itself, so often along each dimension."""
    return _tile(x, repetitions)


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """Return the elements at some places of a dimension, which a vector may leave out.

    Raises
    ------
    ValueError
        If no dimension is said, and the tensor has several.
    """
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take() needs an axis for a tensor of {x.ndim} dimensions")
        axis = 0
    return _select(x, axis, _from_the_end(indices, x.shape[axis]))


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """Return for each line along a dimension the elements at its own places."""
    return _take_along(x, _from_the_end(indices, x.shape[axis]), axis)


def _from_the_end(indices: Tensor, length: int) -> Tensor:
    places = indices.to(core.int64)
    return _where(places < 0, places + length, places)
