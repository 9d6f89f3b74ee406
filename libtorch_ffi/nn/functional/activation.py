"""Activations and dropout, as torch's ``nn.functional`` has them.

Owns the argument ``inplace``, torch's defaults and its checks. Each computes an elementwise function unless it says
otherwise, and answers a tensor of the input's shape: a new one, or with ``inplace`` the input.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Callable

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.types import DType


def _pair(name: str) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """Return an operator and its form that works in place, to be chosen by a bool."""
    return one(name), one(f"{name}_")


_ALPHA, _CELU, _DROPOUT = _pair("alpha_dropout"), _pair("celu"), _pair("dropout")
_ELU, _FEATURE, _FEATURE_ALPHA = _pair("elu"), _pair("feature_dropout"), _pair("feature_alpha_dropout")
_HARDSIGMOID, _HARDSWISH, _HARDTANH = _pair("hardsigmoid"), _pair("hardswish"), _pair("hardtanh")
_LEAKY, _MISH, _RELU, _RELU6 = _pair("leaky_relu"), _pair("mish"), _pair("relu"), _pair("relu6")
_RRELU, _SELU, _SILU, _THRESHOLD = _pair("rrelu"), _pair("selu"), _pair("silu"), _pair("threshold")
_glu, _softmax, _log_softmax = one("glu"), one("softmax"), one("log_softmax")
_empty_like, _zeros_like = one("empty_like"), one("zeros_like")


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return the larger of each element and 0."""
    return _RELU[inplace](input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """Return each element, but no less than 0 and no more than 6."""
    return _RELU6[inplace](input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Return each element that is above `threshold`, and `value` for the others."""
    return _THRESHOLD[inplace](input, threshold, value)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Return each element, but no less than `min_val` and no more than `max_val`.

    Raises
    ------
    ValueError
        If `min_val` is above `max_val`.
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _HARDTANH[inplace](input, min_val, max_val)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x where it is positive, and ``alpha * (exp(x) - 1)`` where not."""
    return _ELU[inplace](input, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return the self-normalizing `elu`, scaled by 1.0507 and with an alpha of 1.6733."""
    return _SELU[inplace](input)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x where it is positive, and ``alpha * (exp(x / alpha) - 1)`` where not."""
    return _CELU[inplace](input, alpha)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return x where it is positive, and ``negative_slope * x`` where not."""
    return _LEAKY[inplace](input, negative_slope)


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """Return `leaky_relu` with a slope drawn from `lower` to `upper` in training, and their mean otherwise."""
    return _RRELU[inplace](input, lower, upper, training)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ``relu6(x + 3) / 6``."""
    return _HARDSIGMOID[inplace](input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ``x * relu6(x + 3) / 6``."""
    return _HARDSWISH[inplace](input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ``x * sigmoid(x)``."""
    return _SILU[inplace](input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ``x * tanh(softplus(x))``."""
    return _MISH[inplace](input)


def tanhshrink(input: Tensor) -> Tensor:
    """Return ``x - tanh(x)``."""
    result: Tensor = input - input.tanh()
    return result


def softsign(input: Tensor) -> Tensor:
    """Return ``x / (1 + |x|)``."""
    result: Tensor = input / (input.abs() + 1)
    return result


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Return one half of a dimension times the sigmoid of its other half.

    Raises
    ------
    RuntimeError
        If the dimension's size is odd.
    """
    if input.dim() == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    return _glu(input, dim)


# Distributions over a dimension


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """Return exponentials that sum to 1 over a dimension.

    Parameters
    ----------
    input
        Logits.
    dim
        The dimension. Without it the first of tensors of 0, 1 or 3 dimensions and the second of others, and a warning.
    dtype
        What to compute in.
    """
    chosen = _dimension("softmax", input) if dim is None else dim
    return _softmax(input, chosen, dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """Return the `softmax` of what is negated."""
    chosen = _dimension("softmin", input) if dim is None else dim
    return _softmax(-input, chosen, dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """Return the logarithm of `softmax`, computed without its rounding."""
    chosen = _dimension("log_softmax", input) if dim is None else dim
    return _log_softmax(input, chosen, dtype)


def _dimension(name: str, input: Tensor) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=3,
    )
    return 0 if input.dim() in (0, 1, 3) else 1


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """Draw from the Gumbel-softmax distribution.

    Parameters
    ----------
    logits
        Of shape (…, classes).
    tau
        The temperature.
    hard
        Answer one-hot vectors, with the gradients of the soft ones.
    eps
        Has no effect any more.
    dim
        The classes' dimension.
    """
    if eps != 1e-10:  # noqa: PLR2004 - the default
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = -_empty_like(logits, memory_format=core.contiguous_format).exponential_().log()
    soft = _softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    one_hot = _zeros_like(logits, memory_format=core.contiguous_format).scatter_(dim, index, 1.0)
    result: Tensor = one_hot - soft.detach() + soft
    return result


# Dropout


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Return each element with probability ``1 - p``, divided by that, and 0 otherwise; all of them out of training.

    Raises
    ------
    ValueError
        If `p` is no probability.
    """
    _check_probability(p)
    return _DROPOUT[inplace](input, p, training)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Drop elements as `dropout` does, and keep mean and deviation of what `selu` made."""
    _check_probability(p)
    return _ALPHA[inplace](input, p, training)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Drop whole channels, and keep mean and deviation of what `selu` made."""
    _check_probability(p)
    return _FEATURE_ALPHA[inplace](input, p, training)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of a tensor of shape (channels, length) or (batch, channels, length).

    Raises
    ------
    RuntimeError
        If the tensor has another number of dimensions.
    """
    _check_probability(p)
    if input.dim() not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input.")
    return _channels(input, p, training, inplace, batched=input.dim() == 3)  # noqa: PLR2004 - as the docstring has it


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of a tensor of shape (batch, channels, height, width).

    A tensor of three dimensions is taken for (batch, channels, length), and warned of, as torch does.
    """
    _check_probability(p)
    if input.dim() not in (3, 4):
        _warn_of_dimensions("dropout2d", input)
    if input.dim() == 3:  # noqa: PLR2004 - as the docstring has it
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired "
            "- input is interpreted as shape (N, C, L); use dropout1d for that.",
            stacklevel=2,
        )
    return _FEATURE[inplace](input, p, training)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of a tensor of shape (channels, depth, height, width), or with a batch before them."""
    _check_probability(p)
    if input.dim() not in (4, 5):
        _warn_of_dimensions("dropout3d", input)
    return _channels(input, p, training, inplace, batched=input.dim() == 5)  # noqa: PLR2004 - as the docstring has it


def _channels(input: Tensor, p: float, training: bool, inplace: bool, *, batched: bool) -> Tensor:
    if batched:
        return _FEATURE[inplace](input, p, training)
    one_sample = input.unsqueeze_(0) if inplace else input.unsqueeze(0)
    dropped = _FEATURE[inplace](one_sample, p, training)
    result: Tensor = dropped.squeeze_(0) if inplace else dropped.squeeze(0)
    return result


def _check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _warn_of_dimensions(name: str, input: Tensor) -> None:
    warnings.warn(
        f"{name}: Received a {input.dim()}-D input to {name}, which is deprecated and will result in an error in a "
        "future release. To retain the behavior and silence this warning, please use dropout instead.",
        stacklevel=3,
    )
