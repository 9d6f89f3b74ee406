"""Pooling, as torch's ``nn.functional`` has it where that is more than one operator.

Owns ``return_indices``, and the sizes that may be left out. The input is (batch, channels, …) or (channels, …).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from libtorch_ffi._aten import many, one

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from libtorch_ffi._C import Tensor

    Sizes: TypeAlias = int | Sequence[int]

_max_pool = {count: one(f"max_pool{count}d") for count in (1, 2, 3)}
_max_pool_with_indices = {count: many(f"max_pool{count}d_with_indices") for count in (1, 2, 3)}
_adaptive_avg = {count: one(f"adaptive_avg_pool{count}d") for count in (2, 3)}
_adaptive_max = {count: many(f"adaptive_max_pool{count}d") for count in (1, 2, 3)}
_avg_pool1d, _avg_pool2d = one("avg_pool1d"), one("avg_pool2d")


def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest element under a window that slides over one dimension; see `max_pool2d`."""
    return _largest(1, (input, kernel_size, stride or (), padding, dilation, ceil_mode), return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest element under a window that slides over two dimensions.

    Parameters
    ----------
    input
        Of shape (batch, channels, height, width), or without the batch.
    kernel_size
        The window's, a number for both sides or one for each; so are the next.
    stride
        From one window to the next, by default the window's size.
    padding
        How much of minus infinity is laid around.
    dilation
        From one element of the window to the next.
    ceil_mode
        Let windows reach over the border.
    return_indices
        Also return where the elements are, counted over a channel.

    Returns
    -------
    Tensor, or two of them with `return_indices`
    """
    return _largest(2, (input, kernel_size, stride or (), padding, dilation, ceil_mode), return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest element under a window that slides over three dimensions; see `max_pool2d`."""
    return _largest(3, (input, kernel_size, stride or (), padding, dilation, ceil_mode), return_indices)


def _largest(count: int, arguments: tuple[Any, ...], return_indices: bool) -> Any:
    return (_max_pool_with_indices if return_indices else _max_pool)[count](*arguments)


def adaptive_max_pool1d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """Return the largest elements of `output_size` parts of the last dimension, with their indices if asked for."""
    values, indices = _adaptive_max[1](input, output_size)
    return (values, indices) if return_indices else values


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Do the same over two dimensions. None in `output_size` stands for the input's own size."""
    values, indices = _adaptive_max[2](input, _filled(output_size, input, 2))
    return (values, indices) if return_indices else values


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Do the same over three dimensions."""
    values, indices = _adaptive_max[3](input, _filled(output_size, input, 3))
    return (values, indices) if return_indices else values


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Return means of `output_size` parts of two dimensions. None in it stands for the input's own size."""
    return _adaptive_avg[2](input, _filled(output_size, input, 2))


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Return means of `output_size` parts of three dimensions. None in it stands for the input's own size."""
    return _adaptive_avg[3](input, _filled(output_size, input, 3))


def _filled(output_size: Any, input: Tensor, count: int) -> Any:
    if isinstance(output_size, int):
        return output_size
    given = (None,) * count if output_size is None else tuple(output_size)
    if input.dim() <= count:
        raise ValueError(f"Input dimension should be at least {count + 1}")
    own = tuple(input.shape)[-len(given) :]
    return [size if wanted is None else wanted for wanted, size in zip(given, own, strict=True)]


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: int, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """Return the `norm_type`-norm under a window that slides over one dimension."""
    if math.isinf(norm_type):
        return _extreme(1, input, norm_type, (kernel_size, stride or (), 0, 1, ceil_mode))
    means = _avg_pool1d(input.pow(norm_type), kernel_size, stride or (), 0, ceil_mode)
    return _root(means, kernel_size, norm_type)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """Return the `norm_type`-norm under a window that slides over two dimensions."""
    if math.isinf(norm_type):
        return _extreme(2, input, norm_type, (kernel_size, stride or (), 0, 1, ceil_mode))
    means = _avg_pool2d(input.pow(norm_type), kernel_size, stride or (), 0, ceil_mode)
    return _root(means, kernel_size**2 if isinstance(kernel_size, int) else math.prod(kernel_size), norm_type)


def _extreme(count: int, input: Tensor, norm_type: float, arguments: tuple[Any, ...]) -> Tensor:
    if norm_type > 0:
        return _max_pool[count](input.abs(), *arguments)
    result: Tensor = -_max_pool[count](-input.abs(), *arguments)
    return result


def _root(means: Tensor, elements: int, norm_type: float) -> Tensor:
    result: Tensor = (means.sign() * means.abs().relu()).mul(elements).pow(1.0 / norm_type)
    return result
