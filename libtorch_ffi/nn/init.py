"""How the parameters of a network begin, under torch's names.

Owns the formulas; the numbers are drawn by libtorch, so that a seed gives torch's own. Every function fills a tensor in
place, records nothing for gradients, and returns the tensor. ``generator`` is a `Generator` to draw from.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from libtorch_ffi._aten import many, one
from libtorch_ffi.autograd import no_grad

if TYPE_CHECKING:
    from libtorch_ffi._C import Generator, Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_eye, _diag, _qr, _randperm = one("eye"), one("diag"), many("linalg_qr"), one("randperm")

_GAINS: dict[str, float] = {
    **dict.fromkeys(("linear", "sigmoid"), 1),
    **{f"conv{kind}{count}d": 1 for kind in ("", "_transpose") for count in (1, 2, 3)},
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return by how much a nonlinearity wants its weights larger.

    Parameters
    ----------
    nonlinearity
        Its name in ``nn.functional``.
    param
        The negative slope of ``"leaky_relu"``, 0.01 by default.

    Raises
    ------
    ValueError
        If nothing is known of it.
    """
    if nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    if nonlinearity != "leaky_relu":
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    slope = 0.01 if param is None else param
    if isinstance(slope, bool) or not isinstance(slope, (int, float)):
        raise ValueError(f"negative_slope {param} not a valid number")  # noqa: TRY004 - as torch
    return math.sqrt(2.0 / (1 + slope**2))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from the uniform distribution from `a` to `b`."""
    with no_grad():
        return _same(tensor.uniform_(a, b, generator=generator))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from the normal distribution."""
    with no_grad():
        return _same(tensor.normal_(mean, std, generator=generator))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with a number."""
    with no_grad():
        return _same(tensor.fill_(val))


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    with no_grad():
        return _same(tensor.zero_())


def eye_(tensor: Tensor) -> Tensor:
    """Make a matrix the identity, as far as it goes.

    Raises
    ------
    ValueError
        If it is no matrix.
    """
    _check_matrix(tensor)
    with no_grad():
        return _same(tensor.copy_(_eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device)))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Make a convolution's weight one that keeps as many channels as it can, in each group.

    Raises
    ------
    ValueError
        If it has not 3 to 5 dimensions, or its first is no multiple of `groups`.
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups:
        raise ValueError("dim 0 must be divisible by groups")
    of_group = tensor.shape[0] // groups
    centre = tuple(size // 2 for size in tensor.shape[2:])
    with no_grad():
        tensor.zero_()
        for group in range(groups):
            for channel in range(min(of_group, tensor.shape[1])):
                place = (group * of_group + channel, channel, *centre)
                tensor[place] = 1
    return tensor


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw uniformly, with the deviation ``gain * sqrt(2 / (fan_in + fan_out))``.

    Raises
    ------
    ValueError
        If the tensor has less than two dimensions.
    """
    bound = math.sqrt(3.0) * (gain * math.sqrt(2.0 / float(sum(_fans(tensor)))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Do the same from the normal distribution."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(sum(_fans(tensor)))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Draw uniformly, with the deviation ``gain / sqrt(fan)``.

    Parameters
    ----------
    tensor
        Of shape (outputs, inputs, …).
    a
        The negative slope of ``"leaky_relu"``.
    mode
        Which fan: ``"fan_in"`` keeps the deviation of what goes forward, ``"fan_out"`` that of what goes backward.
    nonlinearity
        As `calculate_gain` takes it.
    generator
        What to draw from.

    Raises
    ------
    ValueError
        If the tensor has less than two dimensions, or `mode` is another.
    """
    if _has_no_elements(tensor):
        return tensor
    bound = math.sqrt(3.0) * _deviation(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Do what `kaiming_uniform_` does, from the normal distribution."""
    if _has_no_elements(tensor):
        return tensor
    return normal_(tensor, 0, _deviation(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Make a random matrix with orthogonal rows or columns, times `gain`; further dimensions count as columns.

    Raises
    ------
    ValueError
        If the tensor has less than two dimensions.
    """
    if tensor.dim() < 2:  # noqa: PLR2004 - a matrix's
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = int(tensor.shape[0])
    columns = tensor.numel() // rows
    with no_grad():
        drawn = tensor.new_empty((rows, columns)).normal_(0, 1, generator=generator)
        basis, triangle = _qr(drawn.t() if rows < columns else drawn)
        basis = basis * _diag(triangle, 0).sign()
        tensor.view_as(drawn).copy_(basis.t() if rows < columns else basis)
        return _same(tensor.mul_(gain))


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _fans(tensor: Tensor) -> tuple[int, int]:
    """Return how many inputs and outputs an element of the result has."""
    if tensor.dim() < 2:  # noqa: PLR2004 - outputs and inputs
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    outputs, inputs, *field = tensor.shape
    return inputs * math.prod(field), outputs * math.prod(field)


def _deviation(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    modes = ["fan_in", "fan_out"]
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode.lower()} not supported, please use one of {modes}")
    fan = _fans(tensor)[modes.index(mode.lower())]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _has_no_elements(tensor: Tensor) -> bool:
    if 0 not in tensor.shape:
        return False
    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return True


def _check_matrix(tensor: Tensor) -> None:
    if tensor.dim() != 2:  # noqa: PLR2004 - rows and columns
        raise ValueError("Only tensors with 2 dimensions are supported")
