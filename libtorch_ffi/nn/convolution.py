"""Convolutions and transposed ones, over one, two and three dimensions, under torch's names.

Owns their shapes and options; `libtorch_ffi.nn.functional` computes them, with zeros around the input (torch's other
``padding_mode`` are `functional.pad` before the layer). Weights begin as torch's do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from libtorch_ffi.nn import functional
from libtorch_ffi.nn.layers import Affine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from libtorch_ffi._C import Tensor

    Sizes: TypeAlias = int | Sequence[int]

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _Convolution(Affine):
    _dimensions: ClassVar[int]

    def __init_subclass__(cls, dimensions: int | None = None) -> None:
        super().__init_subclass__()
        if dimensions is not None:
            cls._dimensions = dimensions

    def _set(self, in_channels: int, out_channels: int, groups: int, **sizes: Sizes | str) -> None:
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"groups has to divide the channels, {in_channels} and {out_channels}; it is {groups}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        for name, size in sizes.items():
            setattr(self, name, size if isinstance(size, str) else self._each(name, size))

    def _each(self, name: str, size: Sizes) -> tuple[int, ...]:
        """Return a size for each dimension."""
        each = (size,) * self._dimensions if isinstance(size, int) else tuple(size)
        if len(each) != self._dimensions:
            raise ValueError(f"{name} has a number for each of the {self._dimensions} dimensions, not {each}")
        return each

    def extra_repr(self) -> str:
        """Return the channels and what is not the default."""
        shown = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, default in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name, default)
            shown += f", {name}={value}" if value not in (default, (default,) * self._dimensions) else ""
        shown += f", groups={self.groups}" if self.groups != 1 else ""
        return shown + (", bias=False" if self.bias is None else "")


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        sizes = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        self._set(in_channels, out_channels, groups, **sizes)
        self._make((out_channels, in_channels // groups, *self.kernel_size), out_channels, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution, of shape (batch, out_channels, …)."""
        convolve = getattr(functional, f"conv{self._dimensions}d")
        options = (self.stride, self.padding, self.dilation, self.groups)
        result: Tensor = convolve(input, self.weight, self.bias, *options)
        return result


class Conv1d(_Conv, dimensions=1):
    """A convolution over (batch, in_channels, length); see `Conv2d`."""


class Conv2d(_Conv, dimensions=2):
    """A convolution over images of shape (batch, in_channels, height, width), with zeros around them.

    Parameters
    ----------
    in_channels, out_channels, groups, bias
        Channels of the input and of the result; in how many parts, with kernels of their own; whether to add a bias.
    kernel_size, stride, padding, dilation
        One number, or one for height and one for width; `padding` may be ``"same"`` or ``"valid"``.
    """


class Conv3d(_Conv, dimensions=3):
    """A convolution over (batch, in_channels, depth, height, width); see `Conv2d`."""


class _ConvTranspose(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
    ) -> None:
        super().__init__()
        sizes = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        self._set(in_channels, out_channels, groups, output_padding=output_padding, **sizes)
        self._make((in_channels, out_channels // groups, *self.kernel_size), out_channels, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the transposed convolution, of shape (batch, out_channels, …)."""
        convolve = getattr(functional, f"conv_transpose{self._dimensions}d")
        options = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        result: Tensor = convolve(input, self.weight, self.bias, *options)
        return result


class ConvTranspose1d(_ConvTranspose, dimensions=1):
    """A transposed convolution over (batch, in_channels, length); see `ConvTranspose2d`."""


class ConvTranspose2d(_ConvTranspose, dimensions=2):
    """What a convolution's gradient does to images, (batch, in_channels, height, width): it makes them larger.

    Parameters
    ----------
    in_channels, out_channels, groups, bias
        As `Conv2d` has them.
    kernel_size, stride, padding, dilation
        Of the convolution that it is the gradient of: one number, or one for height and one for width.
    output_padding
        How much larger the result is on one side, where several sizes have one convolution.
    """


class ConvTranspose3d(_ConvTranspose, dimensions=3):
    """A transposed convolution over (batch, in_channels, depth, height, width); see `ConvTranspose2d`."""
