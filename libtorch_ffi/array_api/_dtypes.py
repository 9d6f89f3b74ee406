"""What dtypes are to each other, as the standard has it.

Owns promotion, which goes by dtype alone and not by dimensions, kinds of dtypes, and their limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from libtorch_ffi import _dtypes
from libtorch_ffi._aten import lacking
from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from libtorch_ffi._C import Tensor

    Number: TypeAlias = bool | int | float | complex
    Kind: TypeAlias = core.dtype | str | tuple["Kind", ...]

if not hasattr(core, "uint16"):
    raise lacking("uint16, uint32 and uint64, dtypes that the array API standard asks for", "2.3")

KINDS: dict[str, tuple[core.dtype, ...]] = {
    "bool": (core.bool,),
    "signed integer": (core.int8, core.int16, core.int32, core.int64),
    "unsigned integer": (core.uint8, core.uint16, core.uint32, core.uint64),
    "real floating": (core.float32, core.float64, core.float16, core.bfloat16),
    "complex floating": (core.complex64, core.complex128),
}
"""The simple kinds. The two short formats are not the standard's, and are real numbers all the same."""

_UNIONS = {
    "integral": ("signed integer", "unsigned integer"),
    "numeric": ("signed integer", "unsigned integer", "real floating", "complex floating"),
}


_TOGETHER = ("bool", "integral", ("real floating", "complex floating"))
"""Kinds whose dtypes the standard promotes to one another."""


def isdtype(dtype: core.dtype, kind: Kind) -> bool:
    """Tell whether a dtype is of a kind.

    Parameters
    ----------
    dtype
        The dtype.
    kind
        A dtype, the name of a kind (``"bool"``, ``"signed integer"``, ``"unsigned integer"``, ``"integral"``,
        ``"real floating"``, ``"complex floating"``, ``"numeric"``), or a tuple of those, of which one suffices.

    Raises
    ------
    TypeError, ValueError
        If it is none of them.
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, one) for one in kind)
    if isinstance(kind, core.dtype):
        return dtype == kind
    if not isinstance(kind, str):
        raise TypeError(f"a kind is a dtype, a text or a tuple of them, not {type(kind).__name__}")
    if kind not in KINDS and kind not in _UNIONS:
        raise ValueError(f"{kind!r} is no kind of dtypes: {', '.join(map(repr, (*KINDS, *_UNIONS)))} are")
    return any(dtype in KINDS[name] for name in _UNIONS.get(kind, (kind,)))


def is_integer(dtype: core.dtype) -> bool:
    """Tell whether a dtype is an integer one, and not bool."""
    return not (dtype.is_floating_point or dtype.is_complex or dtype == core.bool)


def _dtype_of(value: Tensor | core.dtype) -> core.dtype:
    if isinstance(value, core.dtype):
        return value
    if isinstance(value, core.Tensor):
        return value.dtype
    raise TypeError(f"a tensor, a dtype or a number was expected, not {type(value).__name__}")


def result_type(*arrays_and_dtypes: Tensor | core.dtype | Number) -> core.dtype:
    """Return the dtype that an operation on these has.

    Parameters
    ----------
    *arrays_and_dtypes
        Tensors and dtypes, of which there must be one, and numbers, which only say of which kind the result is.

    Raises
    ------
    TypeError, ValueError
        If one is something else, or all are numbers.
    """
    numbers = [value for value in arrays_and_dtypes if isinstance(value, (bool, int, float, complex))]
    dtypes = [_dtype_of(value) for value in arrays_and_dtypes if not isinstance(value, (bool, int, float, complex))]
    if not dtypes:
        raise ValueError("result_type() needs a tensor or a dtype among its arguments")
    found = dtypes[0]
    for dtype in dtypes[1:]:
        found = _promoted(found, dtype)
    for number in numbers:
        found = _widened(found, number)
    return found


def _promoted(first: core.dtype, second: core.dtype) -> core.dtype:
    if first != second and is_integer(first) and is_integer(second):
        return _promoted_integers(first, second)
    result: Any = core.function_packet("aten::promote_types")
    promoted: core.dtype = first if first == second else result(first, second)
    return promoted


def _promoted_integers(first: core.dtype, second: core.dtype) -> core.dtype:
    """Return the smallest dtype that holds all numbers of two; libtorch has no answer for uint16, uint32 and uint64."""
    unsigned = KINDS["unsigned integer"]
    if (first in unsigned) == (second in unsigned):
        return max(first, second, key=lambda dtype: dtype.itemsize)
    size = max(dtype.itemsize * (2 if dtype in unsigned else 1) for dtype in (first, second))
    for dtype in KINDS["signed integer"]:
        if dtype.itemsize == size:
            return dtype
    raise TypeError(f"no integer dtype holds all numbers of {first} and {second}: cast one of the two with astype()")


def _widened(dtype: core.dtype, number: Number) -> core.dtype:
    """Return a dtype of the number's kind, where the dtype's own is a lower one."""
    if isinstance(number, complex):
        return dtype if dtype.is_complex else (_real(dtype)).to_complex()
    if isinstance(number, float):
        return dtype if dtype.is_complex else _real(dtype)
    if isinstance(number, bool) or dtype != core.bool:
        return dtype
    return core.int64


def _real(dtype: core.dtype) -> core.dtype:
    return dtype if dtype.is_floating_point else core.get_default_dtype()


def can_cast(from_: Tensor | core.dtype, to: core.dtype, /) -> bool:
    """Tell whether a dtype is promoted to another by the standard: within its kind, or from real to complex."""
    start = _dtype_of(from_)
    kinds = [next((kinds for kinds in _TOGETHER if isdtype(dtype, kinds)), None) for dtype in (start, to)]
    if kinds[0] is None or kinds[0] != kinds[1]:
        return False
    try:
        return _promoted(start, to) == to
    except TypeError:  # uint64 and a signed dtype
        return False


def astype(x: Tensor, dtype: core.dtype, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """Return a tensor of another dtype.

    Parameters
    ----------
    x
        The tensor.
    dtype
        The dtype; from a complex one only a complex one.
    copy
        Whether to copy even where nothing is to be done.
    device
        Where the result is to lie.
    """
    if x.dtype.is_complex and not dtype.is_complex and dtype != core.bool:
        raise TypeError(f"a tensor of {x.dtype} is not cast to {dtype}: take real() or imag() of it")
    return x.to(device=x.device if device is None else device, dtype=dtype, copy=copy)


@dataclass(frozen=True)
class FloatLimits:
    """The limits of a floating point dtype: bits, eps, max, min, smallest_normal and the dtype itself."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: core.dtype


@dataclass(frozen=True)
class IntegerLimits:
    """The limits of an integer dtype: bits, max, min and the dtype itself."""

    bits: int
    max: int
    min: int
    dtype: core.dtype


def finfo(type: Tensor | core.dtype, /) -> FloatLimits:  # noqa: A002 - the standard's name
    """Return the limits of a floating point dtype, or of a complex one's parts."""
    dtype = _dtype_of(type)
    dtype = dtype.to_real() if dtype.is_complex else dtype
    found = _dtypes.finfo(dtype)
    return FloatLimits(found.bits, found.eps, found.max, found.min, found.smallest_normal, dtype)


def iinfo(type: Tensor | core.dtype, /) -> IntegerLimits:  # noqa: A002 - the standard's name
    """Return the limits of an integer dtype."""
    dtype = _dtype_of(type)
    found = _dtypes.iinfo(dtype)
    return IntegerLimits(found.bits, int(found.max), int(found.min), dtype)
