"""Activations as modules, under torch's names.

Owns their names and options; `libtorch_ffi.nn.functional` computes them, one element at a time but for the softmaxes
and `GLU`, which go along a dimension, and `PReLU`, which learns its slope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi.nn import functional
from libtorch_ffi.nn.function import Function
from libtorch_ffi.nn.module import Module, Parameter

if TYPE_CHECKING:
    from libtorch_ffi._C import Tensor

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]

_full = one("full")


class CELU(Function, of="celu"):
    """``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(alpha=alpha, inplace=inplace)


class ELU(Function, of="elu"):
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(alpha=alpha, inplace=inplace)


class GELU(Function, of="gelu"):
    """``x`` times the chance that a normal number is below it; `approximate` may be ``"tanh"``."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)


class GLU(Function, of="glu"):
    """One half of the input along `dim`, times the sigmoid of the other."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


class Hardsigmoid(Function, of="hardsigmoid"):
    """The sigmoid in three straight lines."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class Hardswish(Function, of="hardswish"):
    """SiLU in straight lines and a parabola."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class Hardtanh(Function, of="hardtanh"):
    """``x`` between two numbers, and the nearer of them outside."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(min_val=min_val, max_val=max_val, inplace=inplace)


class LeakyReLU(Function, of="leaky_relu"):
    """``x`` above 0, ``negative_slope * x`` below."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class LogSigmoid(Function, of="logsigmoid"):
    """The logarithm of the sigmoid."""


class LogSoftmax(Function, of="log_softmax"):
    """The logarithm of the softmax along `dim`."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__(dim=dim)


class Mish(Function, of="mish"):
    """``x * tanh(softplus(x))``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class ReLU(Function, of="relu"):
    """``max(x, 0)``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class ReLU6(Function, of="relu6"):
    """``min(max(x, 0), 6)``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class SELU(Function, of="selu"):
    """ELU with the scale at which layers keep mean 0 and variance 1."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class SiLU(Function, of="silu"):
    """``x * sigmoid(x)``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class Sigmoid(Function, of="sigmoid"):
    """``1 / (1 + exp(-x))``."""


class Softmax(Function, of="softmax"):
    """``exp(x)``, at a sum of 1 along `dim`."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__(dim=dim)


class Softplus(Function, of="softplus"):
    """``log(1 + exp(beta * x)) / beta``; a straight line from `threshold` on."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__(beta=beta, threshold=threshold)


class Softsign(Function, of="softsign"):
    """``x / (1 + abs(x))``."""


class Tanh(Function, of="tanh"):
    """The hyperbolic tangent."""


class PReLU(Module):
    """``x`` above 0, ``weight * x`` below: one learned slope, or one for each channel."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(_full((num_parameters,), init))

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor of the input's shape."""
        result: Tensor = functional.prelu(input, self.weight)
        return result

    def extra_repr(self) -> str:
        """Return how many slopes there are."""
        return f"num_parameters={self.num_parameters}"
