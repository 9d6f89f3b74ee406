"""Poolings as modules, under torch's names: the largest or the mean of each window, or of each part; and `Upsample`.

Owns their names and options; `libtorch_ffi.nn.functional` computes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libtorch_ffi.nn.function import Function

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    Sizes: TypeAlias = int | Sequence[int]

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Upsample",
]


class _MaxPool(Function):
    """The largest of each window, whose step is its size where `stride` is None."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        step = kernel_size if stride is None else stride
        super().__init__(kernel_size=kernel_size, stride=step, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
        self.return_indices = return_indices

    def _given(self) -> dict[str, Any]:
        given = super()._given()
        return {**given, "return_indices": True} if self.return_indices else given


class MaxPool1d(_MaxPool, of="max_pool1d"):
    """The largest of each window of (batch, channels, length)."""


class MaxPool2d(_MaxPool, of="max_pool2d"):
    """The largest of each window of (batch, channels, height, width)."""


class MaxPool3d(_MaxPool, of="max_pool3d"):
    """The largest of each window of (batch, channels, depth, height, width)."""


class _AvgPool(Function):
    """The mean of each window, whose step is its size where `stride` is None."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        step = kernel_size if stride is None else stride
        super().__init__(kernel_size=kernel_size, stride=step, padding=padding)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def _given(self) -> dict[str, Any]:
        return {**super()._given(), "ceil_mode": self.ceil_mode, "count_include_pad": self.count_include_pad}

    def extra_repr(self) -> str:
        """Return the options that torch shows."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._options)


class AvgPool1d(_AvgPool, of="avg_pool1d"):
    """The mean of each window of (batch, channels, length)."""

    def extra_repr(self) -> str:
        """Return the options that torch shows, as the tuples that they are there."""
        given = {name: getattr(self, name) for name in self._options}
        return ", ".join(f"{name}={(size,) if isinstance(size, int) else size}" for name, size in given.items())


class AvgPool2d(_AvgPool, of="avg_pool2d"):
    """The mean of each window of (batch, channels, height, width)."""


class AvgPool3d(_AvgPool, of="avg_pool3d"):
    """The mean of each window of (batch, channels, depth, height, width)."""


class _Adaptive(Function):
    """As many parts as `output_size` says, whatever the input's size; None keeps a dimension."""

    def __init__(self, output_size: int | Sequence[int | None] | None) -> None:
        super().__init__(output_size=output_size)


class AdaptiveAvgPool1d(_Adaptive, of="adaptive_avg_pool1d"):
    """The mean of each of `output_size` parts, over length."""


class AdaptiveAvgPool2d(_Adaptive, of="adaptive_avg_pool2d"):
    """The mean of each of `output_size` parts, over height and width."""


class AdaptiveAvgPool3d(_Adaptive, of="adaptive_avg_pool3d"):
    """The mean of each of `output_size` parts, over depth, height and width."""


class AdaptiveMaxPool1d(_Adaptive, of="adaptive_max_pool1d"):
    """The largest of each of `output_size` parts, over length."""


class AdaptiveMaxPool2d(_Adaptive, of="adaptive_max_pool2d"):
    """The largest of each of `output_size` parts, over height and width."""


class AdaptiveMaxPool3d(_Adaptive, of="adaptive_max_pool3d"):
    """The largest of each of `output_size` parts, over depth, height and width."""


class Upsample(Function, of="interpolate"):
    """Images of another size, given by itself or as a factor."""

    def __init__(
        self,
        size: Sizes | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        super().__init__(size=size, scale_factor=scale_factor, mode=mode, align_corners=align_corners)

    def extra_repr(self) -> str:
        """Return the size or the factor, and the mode."""
        given = "size" if self.scale_factor is None else "scale_factor"
        return f"{given}={getattr(self, given)!r}, mode={self.mode!r}"
