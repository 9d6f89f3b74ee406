"""Functions of each element, by the standard's names and promotion.

Owns the way from the standard's dtypes to libtorch's operators: two tensors are brought to the dtype that both promote
to first, so that dimensions have no say in it; a number stays a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.array_api._dtypes import iinfo, is_integer, result_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from libtorch_ffi._C import Tensor

    Number: TypeAlias = bool | int | float | complex
    Operand: TypeAlias = Tensor | Number

_clamp_min, _clamp_max = one("clamp_min"), one("clamp_max")
_conj, _imag, _real, _sgn, _sign, _where = map(one, ("conj", "imag", "real", "sgn", "sign", "where"))
_isnan, _round, _view_as_complex, _view_as_real = map(one, ("isnan", "round", "view_as_complex", "view_as_real"))


def _unary(name: str, operator: str | None = None) -> Callable[[Tensor], Tensor]:
    """Return the standard's function of one tensor that an operator computes."""
    compute = one(operator or name)

    def function(x: Tensor, /) -> Tensor:
        return compute(x)

    return _named(function, name, f"Return {name} of each element.")


def _unary_of_reals(name: str) -> Callable[[Tensor], Tensor]:
    """Return such a function that leaves integers as they are."""
    compute = one(name)

    def function(x: Tensor, /) -> Tensor:
        return x.clone() if is_integer(x.dtype) else compute(x)

    return _named(function, name, f"Return {name} of each element.")


def _binary(name: str, operator: str | None = None) -> Callable[[Operand, Operand], Tensor]:
    """Return the standard's function of two operands, of which one may be a number, that an operator computes."""
    compute = one(operator or name)

    def function(x1: Operand, x2: Operand, /) -> Tensor:
        return compute(*promoted(x1, x2))

    return _named(function, name, f"Return {name} of each pair of elements.")


def _binary_of_tensors(name: str) -> Callable[[Operand, Operand], Tensor]:
    """Return such a function whose operator takes no numbers."""
    compute = one(name)

    def function(x1: Operand, x2: Operand, /) -> Tensor:
        return compute(*both_tensors(x1, x2))

    return _named(function, name, f"Return {name} of each pair of elements.")


def _named(function: Callable[..., Tensor], name: str, text: str) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


def promoted(x1: Operand, x2: Operand) -> tuple[Operand, Operand]:
    """Return two operands, of which tensors have the dtype that both promote to.

    Raises
    ------
    TypeError
        If both are numbers, or one is something else.
    """
    if isinstance(x1, core.Tensor) and isinstance(x2, core.Tensor):
        if x1.dtype == x2.dtype:
            return x1, x2
        dtype = result_type(x1, x2)
        return x1.to(dtype), x2.to(dtype)
    if isinstance(x1, core.Tensor):
        result_type(x1, x2)  # which refuses what is neither a tensor nor a number
        return x1, x2
    if isinstance(x2, core.Tensor):
        return core.tensor(x1, dtype=result_type(x1, x2), device=x2.device), x2
    raise TypeError(f"a tensor was expected, not {type(x1).__name__} and {type(x2).__name__}")


def both_tensors(x1: Operand, x2: Operand) -> tuple[Tensor, Tensor]:
    """Return two operands as tensors of the dtype that both promote to."""
    dtype = result_type(x1, x2)
    device = x1.device if isinstance(x1, core.Tensor) else x2.device if isinstance(x2, core.Tensor) else None

    def tensor(x: Operand) -> Tensor:
        return x.to(dtype) if isinstance(x, core.Tensor) else core.tensor(x, dtype=dtype, device=device)

    return tensor(x1), tensor(x2)


abs = _unary("abs")  # noqa: A001 - the standard's name
acosh = _unary("acosh")
asinh = _unary("asinh")
atanh = _unary("atanh")
bitwise_invert = _unary("bitwise_invert", "bitwise_not")
ceil = _unary_of_reals("ceil")
cos = _unary("cos")
cosh = _unary("cosh")
floor = _unary_of_reals("floor")
isfinite = _unary("isfinite")
isinf = _unary("isinf")
isnan = _unary("isnan")
log = _unary("log")
log2 = _unary("log2")
log10 = _unary("log10")
logical_not = _unary("logical_not")
negative = _unary("negative")
positive = _unary("positive", "clone")
reciprocal = _unary("reciprocal")
signbit = _unary("signbit")
sin = _unary("sin")
sinh = _unary("sinh")
sqrt = _unary("sqrt")
square = _unary("square")
tan = _unary("tan")
tanh = _unary("tanh")
trunc = _unary_of_reals("trunc")

add = _binary("add")
atan2 = _binary_of_tensors("atan2")
bitwise_and = _binary("bitwise_and")
bitwise_left_shift = _binary("bitwise_left_shift")
bitwise_or = _binary("bitwise_or")
bitwise_right_shift = _binary("bitwise_right_shift")
bitwise_xor = _binary("bitwise_xor")
copysign = _binary_of_tensors("copysign")
divide = _binary("divide")
equal = _binary("equal", "eq")
greater = _binary("greater")
greater_equal = _binary("greater_equal")
hypot = _binary_of_tensors("hypot")
less = _binary("less")
less_equal = _binary("less_equal")
logaddexp = _binary_of_tensors("logaddexp")
logical_and = _binary_of_tensors("logical_and")
logical_or = _binary_of_tensors("logical_or")
logical_xor = _binary_of_tensors("logical_xor")
maximum = _binary_of_tensors("maximum")
minimum = _binary_of_tensors("minimum")
multiply = _binary("multiply")
nextafter = _binary_of_tensors("nextafter")
not_equal = _binary("not_equal")
pow = _binary("pow")  # noqa: A001 - likewise
subtract = _binary("subtract")


def sign(x: Tensor, /) -> Tensor:
    """Return the sign of each element: -1, 0 or 1, not a number for such; of a complex one x / abs(x)."""
    if x.dtype.is_complex:
        return _sgn(x)
    return _where(_isnan(x), x, _sign(x)) if x.dtype.is_floating_point else _sign(x)


def round(x: Tensor, /) -> Tensor:  # noqa: A001 - likewise
    """Return the whole number next to each element, the even one of two."""
    if x.dtype.is_complex:
        return _view_as_complex(_round(_view_as_real(x.resolve_conj())))
    return x.clone() if is_integer(x.dtype) else _round(x)


def conj(x: Tensor, /) -> Tensor:
    """Return the conjugate of each element."""
    result: Tensor = _conj(x).resolve_conj()
    return result


def real(x: Tensor, /) -> Tensor:
    """Return the real part of each element."""
    return _real(x)


def imag(x: Tensor, /) -> Tensor:
    """Return the imaginary part of each complex element."""
    return _imag(x)


def clip(x: Tensor, /, min: Operand | None = None, max: Operand | None = None) -> Tensor:  # noqa: A002 - likewise
    """Return each element, or the bound that it is beyond.

    Parameters
    ----------
    x
        The tensor, whose dtype the result has.
    min, max
        Bounds: numbers, or tensors that are broadcast with `x`.
    """
    result = x
    if min is not None:
        result = _clamp_min(result, _bound(min, x.dtype))
    if max is not None:
        result = _clamp_max(result, _bound(max, x.dtype))
    return x.clone() if result is x else result


def _bound(bound: Operand, dtype: core.dtype) -> Operand:
    """Return a bound as the dtype can have it: beyond its limits it is no bound at all."""
    if isinstance(bound, core.Tensor):
        return bound.to(dtype)
    if isinstance(bound, int) and is_integer(dtype):
        limits = iinfo(dtype)
        return sorted((limits.min, bound, limits.max))[1]
    return bound
