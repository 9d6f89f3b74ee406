"""Losses as modules, under torch's names.

Owns their names and options; `libtorch_ffi.nn.functional` computes them. What torch has deprecated in them
(``size_average``, ``reduce``) is left out: the options after the first are given by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libtorch_ffi.nn import functional
from libtorch_ffi.nn.function import Function

if TYPE_CHECKING:
    from libtorch_ffi._C import Tensor

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
]


class _Loss(Function):
    """A function of an input and a target; `reduction` is ``"mean"``, ``"sum"`` or ``"none"``."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # type: ignore[override] # of two tensors
        """Return the loss, a tensor of one element unless `reduction` is ``"none"``."""
        result: Tensor = getattr(functional, self._name)(input, target, **self._given())
        return result

    def extra_repr(self) -> str:
        """Return nothing, as torch does."""
        return ""


class _Weighted(_Loss):
    """One whose classes or elements have weights, a buffer."""

    def __init__(self, weight: Tensor | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.register_buffer("weight", weight)
        self._options = ("weight", *self._options)


class BCELoss(_Weighted, of="binary_cross_entropy"):
    """The cross entropy of probabilities and targets between 0 and 1."""

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(weight, reduction=reduction)


class CrossEntropyLoss(_Weighted, of="cross_entropy"):
    """The cross entropy of (batch, classes, …) before the softmax, and classes or their probabilities."""

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)


class HuberLoss(_Loss, of="huber_loss"):
    """The square of a difference below `delta`, a straight line above."""

    def __init__(self, *, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction, delta=delta)


class KLDivLoss(_Loss, of="kl_div"):
    """The divergence of logarithms of probabilities from a target; ``"batchmean"`` is its mean."""

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction=reduction, log_target=log_target)


class L1Loss(_Loss, of="l1_loss"):
    """The absolute difference."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class MSELoss(_Loss, of="mse_loss"):
    """The square of the difference."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class NLLLoss(_Weighted, of="nll_loss"):
    """The negative of the class's own element of (batch, classes, …), after `LogSoftmax`."""

    def __init__(self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)


class PoissonNLLLoss(_Loss, of="poisson_nll_loss"):
    """The negative log likelihood of counts."""

    def __init__(
        self, *, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
    ) -> None:
        super().__init__(log_input=log_input, full=full, eps=eps, reduction=reduction)


class SmoothL1Loss(_Loss, of="smooth_l1_loss"):
    """The absolute difference, a parabola below `beta`."""

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction, beta=beta)


class SoftMarginLoss(_Loss, of="soft_margin_loss"):
    """``log(1 + exp(-target * input))``, for targets of 1 and -1."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class BCEWithLogitsLoss(_Weighted, of="binary_cross_entropy_with_logits"):
    """The cross entropy of numbers before the sigmoid, and targets between 0 and 1; `pos_weight` is that of the 1s."""

    def __init__(
        self, weight: Tensor | None = None, *, reduction: str = "mean", pos_weight: Tensor | None = None
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.register_buffer("pos_weight", pos_weight)
        self._options = (*self._options, "pos_weight")
