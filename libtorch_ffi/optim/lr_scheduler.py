"""Learning rates that change as training goes on.

Owns the schedules, under torch's names and with torch's arithmetic: each computes the next rate from the present one
where torch does, so that the rates are torch's to the last bit. Writes ``lr`` into an optimizer's groups, and touches
nothing else of it.
"""

from __future__ import annotations

import math
import types
import warnings
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from libtorch_ffi.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, SupportsFloat

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "ReduceLROnPlateau",
    "StepLR",
]


class Group(NamedTuple):
    """A parameter group, as a schedule meets it: its number, its present rate and the one to begin with."""

    number: int
    rate: float
    base: float


class LRScheduler:
    """The base of the schedules that go by the count of their steps.

    Parameters
    ----------
    optimizer
        Whose learning rates to change. They are changed at once, to those of the first epoch.
    last_epoch
        The epoch to go on from, where the optimizer's groups have their ``initial_lr``; -1 to begin.

    Attributes
    ----------
    base_lrs : list of float
        The rate of each group to begin with.
    last_epoch : int
        How many steps there were, from 0.

    Raises
    ------
    TypeError
        If `optimizer` is none.
    KeyError
        If training goes on and a group has no ``initial_lr``.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = _checked(optimizer)
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{number}] when resuming scheduler with "
                    "last_epoch >= 0: load the state that the optimizer had, or begin with last_epoch=-1"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._advance()

    def get_last_lr(self) -> list[float]:
        """Return the present rate of each group."""
        return self._last_lr

    def get_lr(self) -> list[float]:
        """Return the rate of each group in the epoch `last_epoch`, computed from the present one."""
        groups = zip(self.optimizer.param_groups, self.base_lrs, strict=True)
        return [self._next(Group(number, group["lr"], base)) for number, (group, base) in enumerate(groups)]

    def _next(self, now: Group) -> float:
        """Return the rate of a group in the epoch `last_epoch`."""
        raise NotImplementedError

    @property
    def _begins(self) -> bool:
        """Whether the rates of the first epoch are asked for."""
        return self._step_count == 0

    def step(self) -> None:
        """Go to the next epoch. Call it after the optimizer's `step`."""
        if self._step_count == 1 and not self.optimizer._was_stepped:  # noqa: SLF001 - this package's own
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`: the first value of the learning "
                "rate schedule is skipped. Call `optimizer.step()` first.",
                stacklevel=2,
            )
        self._advance()

    def _advance(self) -> None:
        self.last_epoch += 1
        self._last_lr = self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate
        self._step_count += 1

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the schedule remembers, but the optimizer."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another schedule of the same kind was.

        Parameters
        ----------
        state_dict
            What `state_dict` returned.
        """
        self.__dict__.update(state_dict)


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
        count = len(_checked(optimizer).param_groups)
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


class ReduceLROnPlateau:
    """Times `factor` where a figure has stopped to improve.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    mode
        ``"min"`` where less is better, ``"max"`` where more is.
    factor
        Below 1.
    patience
        How many epochs without improvement are borne.
    threshold, threshold_mode
        What counts as improvement: a share of the best figure (``"rel"``) or a difference from it (``"abs"``).
    cooldown
        How many epochs after a change do not count.
    min_lr
        The lowest rate, or one for each group.
    eps
        A change smaller than this is not made.

    Raises
    ------
    TypeError
        If `optimizer` is none.
    ValueError
        If an option is out of its range.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - torch's signature
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError("Factor should be < 1.0.")
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown!")
        self.optimizer = _checked(optimizer)
        count = len(optimizer.param_groups)
        self.min_lrs = [min_lr] * count if isinstance(min_lr, (int, float)) else list(min_lr)
        if len(self.min_lrs) != count:
            raise ValueError(f"expected {count} min_lrs, got {len(self.min_lrs)}")
        self.mode, self.factor, self.patience, self.cooldown, self.eps = mode, factor, patience, cooldown, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.best = math.inf if mode == "min" else -math.inf
        self.last_epoch = self.cooldown_counter = self.num_bad_epochs = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """Return the present rate of each group."""
        return self._last_lr

    @property
    def in_cooldown(self) -> bool:
        """Whether epochs do not count at the moment."""
        return self.cooldown_counter > 0

    def step(self, metrics: SupportsFloat) -> None:
        """End an epoch.

        Parameters
        ----------
        metrics
            The figure that it came to.
        """
        figure = float(metrics)
        self.last_epoch += 1
        if self._is_better(figure):
            self.best, self.num_bad_epochs = figure, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _is_better(self, figure: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "abs":
            return sign * figure > sign * (self.best + sign * self.threshold)
        return sign * figure > sign * (self.best * (1.0 + sign * self.threshold))

    def _reduce(self) -> None:
        for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, lowest)
            if old - new > self.eps:
                group["lr"] = new

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the schedule remembers, but the optimizer."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another schedule was.

        Parameters
        ----------
        state_dict
            What `state_dict` returned.
        """
        self.__dict__.update(state_dict)


def _checked(optimizer: Optimizer) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer
