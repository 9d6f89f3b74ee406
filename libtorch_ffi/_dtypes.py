"""Facts about dtypes: their limits, and the names that torch once gave to types of tensors.

Owns `finfo` and `iinfo`, which are computed from how many bits a format has for what, and the legacy names such as
``torch.FloatTensor``. The dtypes themselves are the compiled core's.
"""

from __future__ import annotations

from libtorch_ffi._binding import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Self

    from libtorch_ffi._C import Tensor, dtype

__all__ = ["finfo", "iinfo"]

_FLOATS: dict[str, tuple[int, int, int, float | None]] = {
    "float64": (52, -1022, 1023, None),
    "float32": (23, -126, 127, None),
    "float16": (10, -14, 15, None),
    "bfloat16": (7, -126, 127, None),
    "float8_e5m2": (2, -14, 15, None),
    "float8_e5m2fnuz": (2, -15, 15, None),
    "float8_e4m3fn": (3, -6, 8, 448.0),
    "float8_e4m3fnuz": (3, -7, 7, None),
}
"""Bits of the fraction, smallest and largest exponent, and the largest number where the format ends before all ones."""

_KNOWN: dict[tuple[type, dtype], Any] = {}
"""The limits that were asked for, by their class and dtype."""

_INTEGERS = ("uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64")
_QUANTIZED = {"quint8": "uint8", "qint8": "int8", "qint32": "int32", "quint4x2": "uint8"}


def _short(dtype: dtype) -> str:
    return str(dtype).removeprefix("torch.")


class _Limits:
    """What `finfo` and `iinfo` share: programs ask for them at each call of a function, so each is made once."""

    dtype: str
    bits: int
    max: float
    min: float

    @classmethod
    def _of(cls, dtype: core.dtype) -> Self:
        known: Self | None = _KNOWN.get((cls, dtype))
        if known is None:
            known = object.__new__(cls)
            vars(known).update(_float_facts(dtype) if issubclass(cls, finfo) else _integer_facts(dtype))
            _KNOWN[cls, dtype] = known
        return known

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name!r} of {type(self).__name__} is a fact of {self.dtype} and cannot be changed")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), self.dtype))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (getattr(core, self.dtype),)


def _float_facts(dtype: dtype) -> dict[str, str | int | float]:
    kind = dtype.to_real() if isinstance(dtype, core.dtype) and dtype.is_complex else dtype
    name = _short(kind)
    if name not in _FLOATS or not isinstance(kind, core.dtype):
        raise TypeError(
            f"torch.finfo() requires a floating point input type, but got {kind}. Use torch.iinfo to handle integers."
        )
    fraction, lowest, highest, largest = _FLOATS[name]
    most = (2 - 2.0**-fraction) * 2.0**highest if largest is None else largest
    return {
        "dtype": name,
        "bits": 8 * kind.itemsize,
        "eps": 2.0**-fraction,
        "max": most,
        "min": -most,
        "tiny": 2.0**lowest,
        "smallest_normal": 2.0**lowest,
        "resolution": 10.0 ** -int(fraction * 0.30102999566398120),
    }


def _integer_facts(dtype: dtype) -> dict[str, str | int | float]:
    name = _QUANTIZED.get(_short(dtype), _short(dtype))
    if name not in _INTEGERS or not isinstance(dtype, core.dtype):
        raise TypeError(
            f"torch.iinfo() requires an integer input type, but got {dtype}. Use torch.finfo to handle floats."
        )
    bits, signed = int(name.removeprefix("u").removeprefix("int")), not name.startswith("u")
    return {
        "dtype": _short(dtype),
        "bits": bits,
        "max": 2 ** (bits - signed) - 1,
        "min": -(2 ** (bits - 1)) if signed else 0,
    }


class finfo(_Limits):  # noqa: N801 - torch's name
    """The limits of a floating point dtype.

    Parameters
    ----------
    dtype
        A floating point dtype, or a complex one, whose parts are meant; by default the default dtype.

    Attributes
    ----------
    bits
        Bits that a number takes.
    eps
        From 1 to the next number.
    max, min
        The largest number and the smallest, which is its negative.
    tiny, smallest_normal
        The smallest positive number with a full fraction.
    resolution
        The power of ten of the digits that are always kept.
    dtype
        The name of the dtype.

    Raises
    ------
    TypeError
        If the dtype is no floating point one.
    """

    eps: float
    tiny: float
    smallest_normal: float
    resolution: float

    def __new__(cls, dtype: dtype | None = None) -> Self:
        return cls._of(core.get_default_dtype() if dtype is None else dtype)

    def __repr__(self) -> str:
        limits = ", ".join(f"{name}={getattr(self, name):g}" for name in ("resolution", "min", "max", "eps"))
        return f"finfo({limits}, smallest_normal={self.tiny:g}, tiny={self.tiny:g}, dtype={self.dtype})"


class iinfo(_Limits):  # noqa: N801 - torch's name
    """The limits of an integer dtype.

    Parameters
    ----------
    dtype
        An integer dtype, or a quantized one, whose integers are meant.

    Attributes
    ----------
    bits
        Bits that a number takes.
    max, min
        The largest number and the smallest.
    dtype
        The name of the dtype.

    Raises
    ------
    TypeError
        If the dtype is no integer one.
    """

    def __new__(cls, dtype: dtype) -> Self:
        return cls._of(dtype)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


LEGACY = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "uint8": "Byte",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "bool": "Bool",
    "complex32": "ComplexHalf",
    "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
    "quint8": "QUInt8",
    "qint8": "QInt8",
    "qint32": "QInt32",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
}


def type_name(tensor: Tensor) -> str:
    """Return what torch's ``type()`` says, such as ``torch.cuda.FloatTensor``."""
    name = _short(tensor.dtype)
    device = "" if tensor.device.type == "cpu" else f"{tensor.device.type}."
    sparse = "sparse." if tensor.is_sparse else ""
    return f"torch.{device}{sparse}{LEGACY.get(name, name.title())}Tensor"


def parse_type_name(name: str) -> tuple[str, dtype]:
    """Return the device and the dtype of such a name.

    Raises
    ------
    ValueError
        If there is no such type.
    """
    package, _, kind = name.rpartition(".")
    device = package.removeprefix("torch").removeprefix(".") or "cpu"
    for dtype, legacy in LEGACY.items():
        if kind == f"{legacy}Tensor" and package.startswith("torch") and "." not in device:
            found: core.dtype = getattr(core, dtype)
            return device, found
    raise ValueError(f"invalid type: {name!r}")
