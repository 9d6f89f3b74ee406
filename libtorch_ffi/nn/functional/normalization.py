"""Normalization, as torch's ``nn.functional`` has it.

Owns torch's order of the arguments and its checks of shapes. A batch comes first, channels second.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libtorch_ffi._C import Tensor

_avg_pool2d, _avg_pool3d, _div, _pad = one("avg_pool2d"), one("avg_pool3d"), one("div"), one("pad")
_batch_norm, _group_norm, _instance_norm = one("batch_norm"), one("group_norm"), one("instance_norm")
_layer_norm, _rms_norm, _vector_norm = one("layer_norm"), one("rms_norm"), one("linalg_vector_norm")


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return channels of mean 0 and variance 1, times `weight` plus `bias`.

    Parameters
    ----------
    input
        Of shape (batch, channels, …).
    running_mean, running_var
        Of shape (channels,): what is subtracted and divided by; in training the batch's own are, and these follow.
    weight, bias
        Of shape (channels,).
    training
        Use the batch's own mean and variance.
    momentum
        How far the running ones follow.
    eps
        What is added to the variance.

    Raises
    ------
    ValueError
        If a channel has one value only in training.
    """
    if training:
        _check_values_of_a_channel(tuple(input.shape))
    return _batch_norm(
        input, weight, bias, running_mean, running_var, training, momentum, eps, core.get_switch("cudnn.enabled")
    )


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return channels of mean 0 and variance 1, each of each sample by itself; otherwise `batch_norm`.

    Raises
    ------
    ValueError
        If a channel of a sample has one value only.
    """
    if use_input_stats and math.prod(input.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    enabled = core.get_switch("cudnn.enabled")
    return _instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, enabled)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return mean 0 and variance 1 over the last dimensions, `normalized_shape`; times `weight` plus `bias`."""
    return _layer_norm(input, normalized_shape, weight, bias, eps, core.get_switch("cudnn.enabled"))


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Return a root mean square of 1 over the last dimensions, which are `normalized_shape`; times `weight`."""
    return _rms_norm(input, normalized_shape, weight, eps)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Return mean 0 and variance 1 over each of `num_groups` groups of channels of each sample.

    Raises
    ------
    RuntimeError
        If the input has no channels.
    ValueError
        If a group has one value only.
    """
    if input.dim() < 2:  # noqa: PLR2004 - batch and channels
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.dim()}")
    batch, channels, *rest = input.shape
    _check_values_of_a_channel((batch * channels // num_groups, num_groups, *rest))
    return _group_norm(input, num_groups, weight, bias, eps, core.get_switch("cudnn.enabled"))


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Return the input divided by ``(k + alpha * mean)**beta``, the mean being that of the squares of `size` channels.

    Raises
    ------
    ValueError
        If the input has less than three dimensions.
    """
    if input.dim() < 3:  # noqa: PLR2004 - batch, channels and a place
        raise ValueError(
            f"Expected 3D or higher dimensionality                          input (got {input.dim()} dimensions)"
        )
    if input.numel() == 0:
        return input
    squares, around = input.mul(input), (size // 2, (size - 1) // 2)
    if input.dim() == 3:  # noqa: PLR2004 - batch, channels and a place
        means = _avg_pool2d(_pad(squares.unsqueeze(1), (0, 0, *around)), (size, 1), stride=1).squeeze(1)
    else:
        batch, channels, first, *_ = input.shape
        whole = _pad(squares.view(batch, 1, channels, first, -1), (0, 0, 0, 0, *around))
        means = _avg_pool3d(whole, (size, 1, 1), stride=1).squeeze(1).view(input.shape)
    result: Tensor = input / means.mul(alpha).add(k).pow(beta)
    return result


def normalize(
    input: Tensor, p: float = 2.0, dim: int | Sequence[int] = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """Return vectors along `dim` of norm 1: divided by their `p`-norm, or by `eps` where that is less."""
    norm = _vector_norm(input, p, [dim] if isinstance(dim, int) else dim, True).clamp_min(eps).expand_as(input)
    return _div(input, norm) if out is None else _div(input, norm, out=out)


def _check_values_of_a_channel(size: tuple[int, ...]) -> None:
    if size[0] * math.prod(size[2:]) == 1:
        shape = core.Size(size)
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {shape}")
