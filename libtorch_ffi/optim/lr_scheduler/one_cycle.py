"""One cycle: the rate goes up and far down again, and momentum the other way.

Owns `OneCycleLR`, with torch's arithmetic. It is the only schedule that writes more than ``lr`` into the groups: the
ends between which it goes, and ``momentum`` or the first of ``betas``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from libtorch_ffi.optim.lr_scheduler.schedule import LRScheduler, checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libtorch_ffi.optim.lr_scheduler.schedule import Group
    from libtorch_ffi.optim.optimizer import Optimizer

__all__ = ["OneCycleLR"]

_SHAPES = ("cos", "linear")


class OneCycleLR(LRScheduler):
    """Up to `max_lr` and down again to next to nothing, in a number of steps that is known: one step a batch.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    max_lr
        The highest rate, or one for each group.
    total_steps
        How many steps there will be; or say `epochs` and `steps_per_epoch`.
    epochs, steps_per_epoch
        Their product is the number of steps.
    pct_start
        The share of the steps that go upward, from 0.0 to 1.0.
    anneal_strategy
        ``"cos"`` or ``"linear"``: the way between two rates.
    cycle_momentum
        Let momentum go the other way; of an Adam, the first of its betas.
    base_momentum, max_momentum
        The ends of that, or one for each group.
    div_factor
        The rate begins at ``max_lr / div_factor``,
    final_div_factor
        and ends at the first one divided by this.
    three_phase
        Go down to the first rate as fast as up, and then on to the last one.
    last_epoch
        As `LRScheduler` has it, in steps.

    Raises
    ------
    TypeError
        If `optimizer` is none.
    ValueError
        If an option is out of its range, or the optimizer has no momentum to cycle; from `step`, after the last step.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - torch's signature
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        checked(optimizer)
        self.total_steps = _steps(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in _SHAPES:
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase=three_phase)
        self.cycle_momentum = cycle_momentum
        highest = _each(optimizer, "max_lr", max_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, highest, strict=True):
                first = rate / div_factor
                group.update(initial_lr=first, max_lr=rate, min_lr=first / final_div_factor)
        if cycle_momentum:
            self._begin_momentum(optimizer, base_momentum, max_momentum, begins=last_epoch == -1)
        super().__init__(optimizer, last_epoch)

    def _begin_momentum(
        self,
        optimizer: Optimizer,
        base: float | Sequence[float],
        highest: float | Sequence[float],
        *,
        begins: bool,
    ) -> None:
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        self.use_beta1 = "betas" in optimizer.defaults
        ends = zip(_each(optimizer, "base_momentum", base), _each(optimizer, "max_momentum", highest), strict=True)
        if begins:
            for group, (low, high) in zip(optimizer.param_groups, ends, strict=True):
                group.update(base_momentum=low, max_momentum=high)

    def _next(self, now: Group) -> float:
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"Tried to step {self.last_epoch} times. The specified number of total steps is {self.total_steps}"
            )
        return self._between(self.optimizer.param_groups[now.number], "lr")

    def _advance(self) -> None:
        super()._advance()
        if not self.cycle_momentum:
            return
        for group in self.optimizer.param_groups:
            momentum = self._between(group, "momentum")
            if self.use_beta1:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum

    def _between(self, group: dict[str, Any], what: str) -> float:
        """Return the rate or the momentum that a group has in this step."""
        begun = 0.0
        for phase in self._schedule_phases[:-1]:
            if self.last_epoch <= phase["end_step"]:
                break
            begun = phase["end_step"]
        else:
            phase = self._schedule_phases[-1]
        length = phase["end_step"] - begun
        share = (self.last_epoch - begun) / length if length else 1.0
        start, end = (float(group[phase[f"{side}_{what}"]]) for side in ("start", "end"))
        if self._anneal_func_type == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)


def _steps(total: int | None, epochs: int | None, each: int | None) -> int:
    if total is not None:
        return _positive("total_steps", total)
    if epochs is None or each is None:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    return _positive("epochs", epochs) * _positive("steps_per_epoch", each)


def _positive(name: str, value: int) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {value}")
    return value


def _each(optimizer: Optimizer, name: str, value: float | Sequence[float]) -> list[float]:
    """Return one value for each group."""
    count = len(optimizer.param_groups)
    values = [value] * count if isinstance(value, (int, float)) else list(value)
    if len(values) != count:
        raise ValueError(f"{name} must have the same length as optimizer.param_groups, {count}, not {len(values)}")
    return values


def _phases(total: int, upward: float, *, three_phase: bool) -> list[dict[str, Any]]:
    """Return the phases as torch's schedules have them in their state: where each ends, and what it goes between."""
    rates = ["initial_lr", "max_lr", *(["initial_lr"] if three_phase else []), "min_lr"]
    momenta = ["max_momentum", "base_momentum", "max_momentum", *(["max_momentum"] if three_phase else [])]
    ends = [upward * total - 1, *([2 * upward * total - 2] if three_phase else []), total - 1]
    return [
        {
            "end_step": end,
            "start_lr": rates[i],
            "end_lr": rates[i + 1],
            "start_momentum": momenta[i],
            "end_momentum": momenta[i + 1],
        }
        for i, end in enumerate(ends)
    ]
