"""Fourier transforms of the array API standard.

Owns the standard's names of arguments; libtorch computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._aten import one

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from libtorch_ffi._binding import core
    from libtorch_ffi._C import Tensor
    from libtorch_ffi.types import Device

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]

_fftfreq, _rfftfreq = one("fft_fftfreq"), one("fft_rfftfreq")
_fftshift, _ifftshift = one("fft_fftshift"), one("fft_ifftshift")


def _along(name: str, text: str) -> Callable[..., Tensor]:
    """Return a transform along one dimension."""
    compute = one(f"fft_{name}")

    def function(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
        return compute(x, n, axis, norm)

    return _named(function, name, text)


def _over(name: str, text: str) -> Callable[..., Tensor]:
    """Return a transform over several dimensions."""
    compute = one(f"fft_{name}")

    def function(
        x: Tensor,
        /,
        *,
        s: Sequence[int] | None = None,
        axes: Sequence[int] | None = None,
        norm: str = "backward",
    ) -> Tensor:
        return compute(x, s, axes, norm)

    return _named(function, name, text)


def _named(function: Callable[..., Tensor], name: str, text: str) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


fft = _along("fft", "Return the Fourier transform along a dimension.")
ifft = _along("ifft", "Return the inverse of `fft`.")
rfft = _along("rfft", "Return the Fourier transform of real numbers along a dimension.")
irfft = _along("irfft", "Return the inverse of `rfft`.")
hfft = _along("hfft", "Return the Fourier transform of a Hermitian signal along a dimension.")
ihfft = _along("ihfft", "Return the inverse of `hfft`.")
fftn = _over("fftn", "Return the Fourier transform over dimensions.")
ifftn = _over("ifftn", "Return the inverse of `fftn`.")
rfftn = _over("rfftn", "Return the Fourier transform of real numbers over dimensions.")
irfftn = _over("irfftn", "Return the inverse of `rfftn`.")


def fftfreq(n: int, /, *, d: float = 1.0, dtype: core.dtype | None = None, device: Device | None = None) -> Tensor:
    """Return the frequencies of `fft` of n samples at distance d."""
    return _fftfreq(n, d, dtype=dtype, device=device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: core.dtype | None = None, device: Device | None = None) -> Tensor:
    """Return the frequencies of `rfft` of n samples at distance d."""
    return _rfftfreq(n, d, dtype=dtype, device=device)


def fftshift(x: Tensor, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """Return the elements with the zero frequency in the middle."""
    return _fftshift(x, axes)


def ifftshift(x: Tensor, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """Return the inverse of `fftshift`."""
    return _ifftshift(x, axes)
