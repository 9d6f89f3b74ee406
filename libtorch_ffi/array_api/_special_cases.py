"""Functions that libtorch computes otherwise than the standard where a zero, an infinity or no number is involved.

Owns those cases alone; all other results are the operators'. Complex acos, asin and atan are those of the hyperbolic
operators, since the others overflow at 1e10 in older releases (2.5, for one). Gradients are the operators' throughout:
the sign of a zero is set by adding and subtracting zero, since copysign has no gradient there.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.array_api._elementwise import both_tensors, promoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.array_api._elementwise import Operand

_acos, _acosh, _asin, _asinh, _atan, _atanh = map(one, ("acos", "acosh", "asin", "asinh", "atan", "atanh"))
_complex, _exp, _expm1, _floor, _log = map(one, ("complex", "exp", "expm1", "floor", "log"))
_floor_divide, _log1p, _remainder = map(one, ("floor_divide", "log1p", "remainder"))
_imag, _isfinite, _isinf, _real, _signbit = map(one, ("imag", "isfinite", "isinf", "real", "signbit"))
_where, _zeros_like = one("where"), one("zeros_like")


def _with_zeros_of_sign(values: Tensor, negative: Tensor) -> Tensor:
    """Return the same numbers, of which zeros are -0 or +0."""
    return _where(negative, -(0.0 - values), values + 0.0)


def floor_divide(x1: Operand, x2: Operand, /) -> Tensor:
    """Return the quotient of each pair of elements, rounded down.

    Of an infinity and a number that is the rounded quotient, where Python's ``//`` has no number or -1.
    """
    result = _floor_divide(*promoted(x1, x2))
    if not result.dtype.is_floating_point:
        return result
    first, second = both_tensors(x1, x2)
    return _where(_isinf(first) | _isinf(second), _floor(first / second), result)


def remainder(x1: Operand, x2: Operand, /) -> Tensor:
    """Return what is left of each element divided by the other, with the divisor's sign, which a zero has too."""
    result = _remainder(*promoted(x1, x2))
    if not result.dtype.is_floating_point:
        return result
    return _with_zeros_of_sign(result, _signbit(both_tensors(x1, x2)[1]))


def acos(x: Tensor, /) -> Tensor:
    """Return acos of each element; the imaginary part of a complex one has the sign that its own has not."""
    if not x.dtype.is_complex:
        return _acos(x)
    turned, below = _acosh(x), _signbit(_imag(x))
    real, imaginary = _real(turned), _imag(turned)
    return _complex(_where(below, -imaginary, imaginary), _where(below, real, -real))


def asin(x: Tensor, /) -> Tensor:
    """Return asin of each element; of a complex one by asinh, which is how the standard defines its special cases."""
    return _turned(_asinh, x) if x.dtype.is_complex else _asin(x)


def atan(x: Tensor, /) -> Tensor:
    """Return atan of each element; of a complex one by atanh, likewise."""
    return _turned(_atanh, x) if x.dtype.is_complex else _atan(x)


def _turned(hyperbolic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return -1j * f(1j * x), where the products are no products, so that every zero keeps its sign."""
    result = hyperbolic(_complex(-_imag(x), _real(x)))
    return _complex(_imag(result), -_real(result))


def exp(x: Tensor, /) -> Tensor:
    """Return exp of each element."""
    result = _exp(x)
    return _at_infinity(x, result, _exp(_real(x))) if x.dtype.is_complex and _exp_needs_that() else result


@functools.cache
def _exp_needs_that() -> bool:
    """Tell whether the operator leaves the real line where its argument lies on it, as older releases' does."""
    needed: bool = _imag(_exp(core.tensor(complex(math.inf, 0.0), device="cpu"))).isnan().item()
    return needed


def expm1(x: Tensor, /) -> Tensor:
    """Return expm1 of each element."""
    result = _expm1(x)
    if not x.dtype.is_complex:
        return result
    mended = _at_infinity(x, result, _expm1(_real(x)))
    return _complex(_real(mended) + 0.0, _imag(mended))


def _at_infinity(x: Tensor, result: Tensor, magnitude: Tensor) -> Tensor:
    """Return an exponential of complex numbers with what it is where a real part is infinite or no number.

    On the real line it stays there. Without a direction, which an imaginary part gives that is finite, it has the
    magnitude alone: infinite, or the limit that is real.
    """
    a, b = _real(x), _imag(x)
    undirected = _isinf(a) & ~_isfinite(b)
    imaginary = _where(~_isfinite(a) & (b == 0), b, _imag(result))
    vanishing = _where(undirected & (a < 0), _zeros_like(b), imaginary)
    return _complex(_where(undirected, magnitude, _real(result)), vanishing)


def log1p(x: Tensor, /) -> Tensor:
    """Return log1p of each element; of a complex one with an infinite part that is its log."""
    result = _log1p(x)
    if not x.dtype.is_complex:
        return result
    infinite = _isinf(x)
    return _where(infinite, _log(_where(infinite, x, 1.0)), result)
