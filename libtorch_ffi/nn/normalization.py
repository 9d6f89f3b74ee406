"""Layers that bring numbers to mean 0 and variance 1, under torch's names.

Owns their weights, biases and running figures; `libtorch_ffi.nn.functional` computes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.nn import functional
from libtorch_ffi.nn.module import Module, Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libtorch_ffi._C import Tensor

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "LayerNorm", "RMSNorm"]

_ones, _zeros = map(one, ("ones", "zeros"))


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
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.register_parameter("weight", Parameter(_ones(shape)) if elementwise_affine else None)
        self.register_parameter("bias", Parameter(_zeros(shape)) if elementwise_affine and bias else None)

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor of the input's shape."""
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the sizes and options."""
        affine, bias = f"elementwise_affine={self.elementwise_affine}", self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, {affine}, bias={bias}"


class RMSNorm(Module):
    """The last dimensions, whose sizes are given, at a mean square of 1, times a weight."""

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.register_parameter("weight", Parameter(_ones(shape)) if elementwise_affine else None)

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor of the input's shape."""
        result: Tensor = functional.rms_norm(input, self.normalized_shape, self.weight, self.eps)
        return result

    def extra_repr(self) -> str:
        """Return the sizes and options."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """The channels of (batch, channels, …) in groups, each at mean 0 and variance 1, times a weight plus a bias."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *, bias: bool = True
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_groups has to divide the {num_channels} channels; it is {num_groups}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.register_parameter("weight", Parameter(_ones(num_channels)) if affine else None)
        self.register_parameter("bias", Parameter(_zeros(num_channels)) if affine and bias else None)

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor of the input's shape."""
        result: Tensor = functional.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)
        return result

    def extra_repr(self) -> str:
        """Return the sizes and options."""
        shown = f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
        return f"{shown}, bias={self.bias is not None}"


class _BatchNorm(Module):
    _dimensions: ClassVar[tuple[int, ...]]

    def __init_subclass__(cls, dimensions: tuple[int, ...] | None = None) -> None:
        super().__init_subclass__()
        if dimensions is not None:
            cls._dimensions = dimensions

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", Parameter(_ones(num_features)) if affine else None)
        self.register_parameter("bias", Parameter(_zeros(num_features)) if affine and bias else None)
        kept = track_running_stats
        self.register_buffer("running_mean", _zeros(num_features) if kept else None)
        self.register_buffer("running_var", _ones(num_features) if kept else None)
        self.register_buffer("num_batches_tracked", _zeros((), dtype=core.int64) if kept else None)

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor of the input's shape."""
        if input.dim() not in self._dimensions:
            raise ValueError(f"expected {'D or '.join(map(str, self._dimensions))}D input (got {input.dim()}D input)")
        share = self.momentum or 0.0
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1.0 / self.num_batches_tracked.item() if self.momentum is None else share
        by_batch = self.training or self.running_mean is None
        running = (self.running_mean, self.running_var)
        return functional.batch_norm(input, *running, self.weight, self.bias, by_batch, share, self.eps)

    def extra_repr(self) -> str:
        """Return the channels and options."""
        numbers = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"
        affine = f"affine={self.affine}, bias={self.bias is not None}"
        return f"{numbers}, {affine}, track_running_stats={self.track_running_stats}"


class BatchNorm1d(_BatchNorm, dimensions=(2, 3)):
    """The channels of (batch, channels) or (batch, channels, length); see `BatchNorm2d`."""


class BatchNorm2d(_BatchNorm, dimensions=(4,)):
    """The channels of images at mean 0 and variance 1 over the batch, or in evaluation over what training has seen.

    Parameters
    ----------
    num_features, eps, affine, bias
        The channels; what is added to the variance; whether to have a weight and a bias; whether to have that bias.
    momentum
        How far the running mean and variance follow each batch; None for the mean of all.
    track_running_stats
        Keep them; without them the batch's own are used in evaluation too.
    """


class BatchNorm3d(_BatchNorm, dimensions=(5,)):
    """The channels of (batch, channels, depth, height, width); see `BatchNorm2d`."""
