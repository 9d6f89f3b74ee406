"""Schedules in which the rate of an epoch follows from its number and the rate before.

Owns the arithmetic, which is torch's: each computes the next rate from the present one where torch does, so that the
rates are torch's to the last bit.
"""

from __future__ import annotations

import math
import types
from collections import Counter
from typing import TYPE_CHECKING

from libtorch_ffi.optim.lr_scheduler.schedule import Group, LRScheduler, checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from libtorch_ffi.optim.optimizer import Optimizer

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "PolynomialLR",
    "StepLR",
]


class LambdaLR(LRScheduler):
    """The first rate times what a function makes of the epoch's number.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    lr_lambda
        The function, or one for each group.
    last_epoch
        As `LRScheduler` has it.

    Raises
    ------
    ValueError
        If there are not as many functions as groups.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        count = len(checked(optimizer).param_groups)
        self.lr_lambdas = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != count:
            raise ValueError(f"Expected {count} lr_lambdas, but got {len(self.lr_lambdas)}")
        super().__init__(optimizer, last_epoch)

    def _next(self, now: Group) -> float:
        return now.base * self.lr_lambdas[now.number](self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the schedule remembers; of its functions, the attributes of those that are objects."""
        kept = [None if isinstance(one, types.FunctionType) else one.__dict__.copy() for one in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another schedule was, with this one's functions."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "lr_lambdas"})
        for function, attributes in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if attributes is not None:
                function.__dict__.update(attributes)


class StepLR(LRScheduler):
    """Times `gamma` every `step_size` epochs.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    step_size
        In epochs.
    gamma
        The factor.
    last_epoch
        As `LRScheduler` has it.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, now: Group) -> float:
        return now.rate if self.last_epoch == 0 or self.last_epoch % self.step_size else now.rate * self.gamma


class MultiStepLR(LRScheduler):
    """Times `gamma` at each milestone.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    milestones
        Epochs; one that is named twice counts twice.
    gamma
        The factor.
    last_epoch
        As `LRScheduler` has it.
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, now: Group) -> float:
        times = self.milestones[self.last_epoch]
        return float(now.rate * self.gamma**times) if times else now.rate


class ConstantLR(LRScheduler):
    """Times `factor` for the first epochs.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    factor
        From 0 to 1.
    total_iters
        How many epochs.
    last_epoch
        As `LRScheduler` has it.

    Raises
    ------
    ValueError
        If `factor` is out of its range.
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"Constant multiplicative factor expected to be between 0 and 1, but got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _next(self, now: Group) -> float:
        if self.last_epoch == 0:
            return now.rate * self.factor
        return now.rate * (1.0 / self.factor) if self.last_epoch == self.total_iters else now.rate


class LinearLR(LRScheduler):
    """From one factor of the first rate to another, in a straight line.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    start_factor, end_factor
        The factors; the first above 0, both at most 1.
    total_iters
        How many epochs it takes.
    last_epoch
        As `LRScheduler` has it.

    Raises
    ------
    ValueError
        If a factor is out of its range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError("Starting multiplicative factor expected to be greater than 0 and less or equal to 1.")
        if not 0 <= end_factor <= 1:
            raise ValueError("Ending multiplicative factor expected to be between 0 and 1.")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _next(self, now: Group) -> float:
        if self.last_epoch == 0:
            return now.rate * self.start_factor
        if self._begins or self.last_epoch > self.total_iters:
            return now.rate
        rise = self.end_factor - self.start_factor
        return now.rate * (1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise))


class ExponentialLR(LRScheduler):
    """Times `gamma` every epoch.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    gamma
        The factor.
    last_epoch
        As `LRScheduler` has it.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, now: Group) -> float:
        return now.rate if self._begins else now.rate * self.gamma


class CosineAnnealingLR(LRScheduler):
    """Down to `eta_min` along half a cosine, and up again.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    T_max
        How many epochs the way down takes.
    eta_min
        The lowest rate.
    last_epoch
        As `LRScheduler` has it.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:  # noqa: N803 - torch's name
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _next(self, now: Group) -> float:
        if self._begins:
            return now.rate
        epoch, half, low = self.last_epoch, self.T_max, self.eta_min
        if (epoch - 1 - half) % (2 * half) == 0:
            return now.rate + (now.base - low) * (1 - math.cos(math.pi / half)) / 2
        return (1 + math.cos(math.pi * epoch / half)) / (1 + math.cos(math.pi * (epoch - 1) / half)) * (
            now.rate - low
        ) + low


class PolynomialLR(LRScheduler):
    """Down to 0 in `total_iters` epochs, as a power of those that are left.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    total_iters
        How many epochs it takes.
    power
        1 for a straight line.
    last_epoch
        As `LRScheduler` has it.
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def _next(self, now: Group) -> float:
        if self._begins or self.last_epoch > self.total_iters:
            return now.rate
        left, before = (1.0 - epoch / self.total_iters for epoch in (self.last_epoch, self.last_epoch - 1))
        return now.rate * float((left / before) ** self.power)
