"""Layers, under torch's names, with torch's first numbers for the same seed.

Owns the layers that most networks are made of. Each holds its parameters, made in float32 on the CPU, and hands them to
a function of `libtorch_ffi.nn.functional`, which checks them; `Module.to` moves them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.nn import functional, init
from libtorch_ffi.nn.module import Module, Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libtorch_ffi._C import Tensor

__all__ = ["GELU", "BatchNorm2d", "Conv2d", "Dropout", "Embedding", "LayerNorm", "Linear", "ReLU"]

_empty, _ones, _zeros = map(one, ("empty", "ones", "zeros"))
_IMAGES = 4
"""The dimensions of a batch of images: batch, channels, height, width."""


class _Affine(Module):
    """What has a weight and perhaps a bias, which begin as torch's linear layers and convolutions do."""

    def _make(self, shape: tuple[int, ...], *, bias: bool) -> None:
        self.weight = Parameter(_empty(shape))
        self.register_parameter("bias", Parameter(_empty(shape[0])) if bias else None)
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = math.prod(shape[1:])
        if bias and fan_in:
            init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))


class Linear(_Affine):
    """``x @ weight.T + bias``, for x of shape (…, in_features)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self._make((out_features, in_features), bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the product, of shape (…, out_features)."""
        result: Tensor = functional.linear(input, self.weight, self.bias)
        return result


class Conv2d(_Affine):
    """A convolution over images of shape (batch, in_channels, height, width), with zeros around them.

    Parameters
    ----------
    in_channels, out_channels, groups, bias
        Channels of the input and of the result; in how many parts, with kernels of their own; whether to add a bias.
    kernel_size, stride, padding, dilation
        One number, or one for height and one for width; `padding` may be ``"same"`` or ``"valid"``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"groups has to divide the channels, {in_channels} and {out_channels}; it is {groups}")
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        self._make((out_channels, in_channels // groups, *kernel), bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution, of shape (batch, out_channels, …)."""
        options = (self.stride, self.padding, self.dilation, self.groups)
        result: Tensor = functional.conv2d(input, self.weight, self.bias, *options)
        return result


class Embedding(Module):
    """A table of vectors, looked up by number; no gradient reaches the row `padding_idx`, which begins as zeros."""

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None) -> None:
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"padding_idx is a row of the {num_embeddings}, not {padding_idx}")
        self.padding_idx = padding_idx if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(_empty((num_embeddings, embedding_dim)))
        init.normal_(self.weight)
        if self.padding_idx is not None:
            init.zeros_(self.weight.data[self.padding_idx])

    def forward(self, input: Tensor) -> Tensor:
        """Return the rows that ints of any shape name, of shape (…, embedding_dim)."""
        return functional.embedding(input, self.weight, self.padding_idx)


class LayerNorm(Module):
    """The last dimensions, whose sizes are given, at mean 0 and variance 1, times a weight plus a bias."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps = shape, eps
        self.register_parameter("weight", Parameter(_ones(shape)) if elementwise_affine else None)
        self.register_parameter("bias", Parameter(_zeros(shape)) if elementwise_affine and bias else None)

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor of the input's shape."""
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class BatchNorm2d(Module):
    """The channels of images at mean 0 and variance 1 over the batch, or in evaluation over what training has seen.

    Parameters
    ----------
    num_features, eps, affine
        The channels; what is added to the variance; whether to have a weight and a bias.
    momentum
        How far the running mean and variance follow each batch; None for the mean of all.
    track_running_stats
        Keep them; without them the batch's own are used in evaluation too.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.register_parameter("weight", Parameter(_ones(num_features)) if affine else None)
        self.register_parameter("bias", Parameter(_zeros(num_features)) if affine else None)
        kept = track_running_stats
        self.register_buffer("running_mean", _zeros(num_features) if kept else None)
        self.register_buffer("running_var", _ones(num_features) if kept else None)
        self.register_buffer("num_batches_tracked", _zeros((), dtype=core.int64) if kept else None)

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor of the input's shape, (batch, channels, height, width)."""
        if input.dim() != _IMAGES:
            raise ValueError(f"expected 4D input (got {input.dim()}D input)")
        share = self.momentum or 0.0
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1.0 / self.num_batches_tracked.item() if self.momentum is None else share
        by_batch = self.training or self.running_mean is None
        running = (self.running_mean, self.running_var)
        return functional.batch_norm(input, *running, self.weight, self.bias, by_batch, share, self.eps)


class Dropout(Module):
    """In training, zeros in place of elements drawn with probability `p`, and the others larger by as much."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor of the input's shape."""
        return functional.dropout(input, self.p, self.training, self.inplace)


class ReLU(Module):
    """`functional.relu` as a module."""

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor of the input's shape."""
        return functional.relu(input)


class GELU(Module):
    """`functional.gelu` as a module."""

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor of the input's shape."""
        result: Tensor = functional.gelu(input)
        return result
