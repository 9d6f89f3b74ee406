"""How a tensor prints: ``tensor([1., 2.], grad_fn=<MulBackward0>)``.

Owns the text of `Tensor` and the options that shape it; the digits, widths and abbreviations are those that torch
prints, so that texts compare and doctests carry over. It reads a tensor (at most its edges, where it is large) and
never changes one. Every element becomes a Python number first, and only Python numbers are formatted.
"""

from __future__ import annotations

import math

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal, TypeAlias

    from libtorch_ffi._C import Tensor

    Number: TypeAlias = bool | int | float | complex
    Nested: TypeAlias = Number | list["Nested"]

__all__ = ["get_printoptions", "set_printoptions"]

_cat, _clone, _resolve_conj, _resolve_neg = map(one, ("cat", "clone", "resolve_conj", "resolve_neg"))

_PROFILES: dict[str, dict[str, float]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


class _Options:
    """What `set_printoptions` sets."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: Literal["default", "short", "full"] | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors print from now on; what is left out stays as it is.

    Parameters
    ----------
    precision
        Digits after the point; 4 at first.
    threshold
        A tensor of more elements prints only its edges; 1000 at first.
    edgeitems
        So many elements stand at each edge of a dimension that is abbreviated; 3 at first.
    linewidth
        Characters that a line may take; 80 at first.
    profile
        Sets the four above at once, before they are looked at.
    sci_mode
        Whether floats print as ``1.0000e+00``; None, also where it is left out, lets their range decide.
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    values = dict(_PROFILES[profile]) if profile is not None else {}
    values |= {name: value for name, value in given.items() if value is not None}
    for name, value in values.items():
        setattr(_options, name, value)
    _options.sci_mode = sci_mode


def get_printoptions() -> dict[str, float | bool | None]:
    """Return the options as they are, by the names of the parameters of `set_printoptions`."""
    return {name: getattr(_options, name) for name in ("precision", "threshold", "edgeitems", "linewidth", "sci_mode")}


def tensor_repr(tensor: Tensor) -> str:
    """Return the text of a tensor; what ``repr`` and ``str`` of it call."""
    mode = core.is_grad_enabled()
    core.set_grad_enabled(False)
    try:
        return _whole(tensor)
    finally:
        core.set_grad_enabled(mode)


# The frame: contents, then what a reader cannot tell from them.


def _whole(tensor: Tensor) -> str:
    prefix = "nested_tensor(" if tensor.is_nested else "tensor("
    suffixes = [] if tensor.device.type == "cpu" else [f"device='{tensor.device}'"]
    plain = tensor.detach()
    if tensor.is_nested:
        contents = _nested(plain)
    elif tensor.layout not in (core.strided, core._mkldnn):  # noqa: SLF001 - torch's name
        contents = _sparse(plain, len(prefix), suffixes)
    elif tensor.is_quantized:
        contents = _quantized(plain, len(prefix), suffixes)
    else:
        contents = _dense(plain, len(prefix), suffixes)
    if tensor.layout != core.strided:
        suffixes.append(f"layout={tensor.layout}")
    suffixes += _recorded(tensor)
    return _joined(prefix + contents, suffixes, len(prefix), breaks=tensor.is_sparse)


def _recorded(tensor: Tensor) -> list[str]:
    if tensor.grad_fn is not None:
        return [f"grad_fn=<{tensor.grad_fn.name().rpartition('::')[2]}>"]
    return ["requires_grad=True"] if tensor.requires_grad else []


def _joined(text: str, suffixes: list[str], indent: int, *, breaks: bool) -> str:
    """Append the suffixes, each on the last line where it still fits; `breaks` puts the first on a new one."""
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if breaks or length + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            length = indent + len(suffix)
            breaks = False
        else:
            text += ", " + suffix
            length += len(suffix) + 2
    return text + ")"


def _is_default(dtype: object) -> bool:
    """Whether a dtype is what literals of its kind have, and so need not be named."""
    real = core.get_default_dtype()
    return dtype in (real, real.to_complex(), core.int64, core.bool)


def _shape(tensor: Tensor) -> str:
    return f"size={tuple(tensor.shape)}"


def _dense(tensor: Tensor, indent: int, suffixes: list[str]) -> str:
    if tensor.is_meta or tensor.numel() == 0:
        if tensor.is_meta or tensor.dim() != 1:
            suffixes.append(_shape(tensor))
        if tensor.dtype != core.get_default_dtype():
            suffixes.append(f"dtype={tensor.dtype}")
        return "..." if tensor.is_meta else "[]"
    if not _options.edgeitems:
        suffixes.append(_shape(tensor))
    if not _is_default(tensor.dtype):
        suffixes.append(f"dtype={tensor.dtype}")
    return _elements(tensor if tensor.layout == core.strided else tensor.to_dense(), indent)


def _sparse(tensor: Tensor, indent: int, suffixes: list[str]) -> str:
    suffixes.append(_shape(tensor))
    if not tensor.is_meta:
        suffixes.append(f"nnz={tensor._nnz()}")  # noqa: SLF001 - torch's name
    if not _is_default(tensor.dtype):
        suffixes.append(f"dtype={tensor.dtype}")
    parts = [
        _part(name, part, indent, shaped=tensor.is_meta or part.numel() == 0) for name, part in _sparse_parts(tensor)
    ]
    return (",\n" + " " * indent).join(parts)


def _sparse_parts(tensor: Tensor) -> list[tuple[str, Tensor]]:
    if tensor.layout == core.sparse_coo:
        return [("indices", tensor._indices()), ("values", tensor._values())]  # noqa: SLF001 - torch's names
    if tensor.layout in (core.sparse_csr, core.sparse_bsr):
        names = ("crow_indices", "col_indices", "values")
    else:
        names = ("ccol_indices", "row_indices", "values")
    return [(name, getattr(tensor, name)()) for name in names]


def _part(name: str, tensor: Tensor, indent: int, *, shaped: bool) -> str:
    """Return one of the tensors that a sparse one is made of."""
    opening = f"{name}=tensor("
    contents = "..." if tensor.is_meta else _elements(tensor.detach(), indent + len(opening))
    return opening + contents + (f", {_shape(tensor)}" if shaped else "") + ")"


def _quantized(tensor: Tensor, indent: int, suffixes: list[str]) -> str:
    suffixes += [_shape(tensor), f"dtype={tensor.dtype}", f"quantization_scheme={tensor.qscheme()}"]
    if tensor.qscheme() in (core.per_tensor_affine, core.per_tensor_symmetric):
        suffixes += [f"scale={tensor.q_scale()}", f"zero_point={tensor.q_zero_point()}"]
    else:
        suffixes += [
            f"scale={tensor.q_per_channel_scales()}",
            f"zero_point={tensor.q_per_channel_zero_points()}",
            f"axis={tensor.q_per_channel_axis()}",
        ]
    return _elements(tensor.dequantize(), indent)


def _nested(tensor: Tensor) -> str:
    lines = ["\n".join(f"  {line}" for line in _whole(item).split("\n")) for item in tensor.unbind()]
    return "[\n" + ",\n".join(lines) + "\n]"


# The contents: the elements that are shown, as Python numbers, and one way of writing them all.


def _elements(tensor: Tensor, indent: int) -> str:
    if tensor.numel() == 0:
        return "[]"
    summarized = tensor.numel() > _options.threshold
    shown = _readable(tensor)
    cut = [summarized and length > 2 * _options.edgeitems for length in tensor.shape]
    for dimension, cuts in enumerate(cut):
        shown = _edges(shown, dimension) if cuts else shown
    values: Nested = shown.tolist()
    return _block(values, cut, indent, _formatter(values, tensor.dtype))


def _readable(tensor: Tensor) -> Tensor:
    """Return the same elements in a dtype that becomes Python numbers, with nothing left to compute."""
    if tensor._is_zerotensor():  # noqa: SLF001 - torch's name
        tensor = _clone(tensor)
    tensor = _resolve_neg(_resolve_conj(tensor))
    if tensor.dtype == core.complex32:
        return tensor.to(core.complex64)
    if tensor.dtype.is_floating_point and tensor.dtype != core.float64:
        return tensor.to(core.float32)
    return tensor


def _edges(tensor: Tensor, dimension: int) -> Tensor:
    """Return the first and the last few along a dimension."""
    count = _options.edgeitems
    last = tensor.shape[dimension] - count
    return _cat([tensor.narrow(dimension, 0, count), tensor.narrow(dimension, last, count)], dimension)


def _flat(values: Nested) -> Iterator[Number]:
    if isinstance(values, list):
        for value in values:
            yield from _flat(value)
    else:
        yield values


class _Plain:
    """Writes numbers as Python does, all as wide as the widest."""

    def __init__(self, numbers: list[Number]) -> None:
        self.width = max([1, *(len(str(number)) for number in numbers)])

    def __call__(self, number: Number) -> str:
        return str(number).rjust(self.width)


class _Float:
    """Writes floats: all whole (``1.``), all with a fraction (``1.0000``) or all with an exponent (``1.0000e+00``).

    Zeros, infinities and NaNs have no say in which; and beside whole numbers a NaN has no point.
    """

    def __init__(self, numbers: list[float]) -> None:
        telling = [number for number in numbers if number != 0 and math.isfinite(number)]
        self.whole = all(number.is_integer() for number in telling)
        self.scientific = self._is_scientific([abs(number) for number in telling])
        self.width = max([1, *(len(self._digits(number)) for number in telling)])

    def _is_scientific(self, sizes: list[float]) -> bool:
        if not sizes or _options.sci_mode is not None:
            return bool(sizes and _options.sci_mode)
        return max(sizes) / min(sizes) > 1e3 or max(sizes) > 1e8 or (not self.whole and min(sizes) < 1e-4)  # noqa: PLR2004

    def _digits(self, number: float) -> str:
        if self.scientific:
            return f"{number:.{_options.precision}e}"
        if self.whole:
            return f"{number:.0f}" + ("." if math.isfinite(number) else "")
        return f"{number:.{_options.precision}f}"

    def __call__(self, number: float) -> str:
        return self._digits(number).rjust(self.width)


class _Complex:
    """Writes complex numbers: real and imaginary parts each in a way of their own."""

    def __init__(self, numbers: list[complex]) -> None:
        self.real = _Float([number.real for number in numbers])
        self.imaginary = _Float([number.imag for number in numbers])
        self.width = self.real.width + self.imaginary.width + 1

    def __call__(self, number: complex) -> str:
        imaginary = self.imaginary(number.imag).lstrip() + "j"
        sign = "" if imaginary[0] in "+-" else "+"
        return self.real(number.real) + sign + imaginary


def _formatter(values: Nested, dtype: core.dtype) -> _Plain | _Float | _Complex:
    numbers = list(_flat(values))
    if dtype.is_complex:
        return _Complex(numbers)
    return _Float(numbers) if dtype.is_floating_point else _Plain(numbers)  # type: ignore[arg-type]


def _block(values: Nested, cut: list[bool], indent: int, write: _Plain | _Float | _Complex) -> str:
    """Write nested lists in brackets, each line `indent` characters in; `cut` tells what dimensions lack a middle."""
    if not isinstance(values, list):
        return write(values)  # type: ignore[arg-type]
    if not isinstance(values[0] if values else 0, list) and len(cut) == 1:
        return _vector(values, cut=cut[0], indent=indent, write=write)
    blocks = [_block(value, cut[1:], indent + 1, write) for value in values]
    if cut[0]:
        blocks.insert(_options.edgeitems, "...")
    return "[" + ("," + "\n" * (len(cut) - 1) + " " * (indent + 1)).join(blocks) + "]"


def _vector(values: list[Nested], *, cut: bool, indent: int, write: _Plain | _Float | _Complex) -> str:
    texts = [write(value) for value in values]  # type: ignore[arg-type]
    if cut:
        texts.insert(_options.edgeitems, " ..." if texts else "...")
    per_line = max(1, (_options.linewidth - indent) // (write.width + 2))
    lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
