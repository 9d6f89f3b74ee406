"""Schedules made of schedules: one after the other, or all at once.

Owns `SequentialLR`, for a warm-up before another schedule, and `ChainedScheduler`. The rates are those of the schedules
within, which share one optimizer.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from libtorch_ffi.optim.lr_scheduler.schedule import LRScheduler, Remembering, checked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from libtorch_ffi.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Composed(Remembering):
    """What holds schedules of one optimizer, as `_schedulers`."""

    _schedulers: list[LRScheduler]
    _last_lr: list[float]

    def _set(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler]) -> None:
        self.optimizer, self._schedulers = checked(optimizer), list(schedulers)
        for number, schedule in enumerate(self._schedulers):
            if not isinstance(schedule, LRScheduler):
                raise TypeError(f"schedule {number} is {type(schedule).__name__}, which does not go by the step alone")
            if schedule.optimizer is not optimizer:
                raise ValueError(f"schedule {number} is of another optimizer: all have to be of one")

    def get_last_lr(self) -> list[float]:
        """Return the present rate of each group."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the schedules remember, but the optimizer."""
        return {**super().state_dict(), "_schedulers": [schedule.state_dict() for schedule in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another of the same schedules was."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "_schedulers"})
        for schedule, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            schedule.load_state_dict(state)


class SequentialLR(_Composed):
    """One schedule after the other, each from its beginning.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    schedulers
        The schedules, all of this optimizer.
    milestones
        The epochs at which the second, the third and so on begin.

    Raises
    ------
    TypeError
        If one is no schedule that goes by the count of its steps.
    ValueError
        If one is of another optimizer, or there are not as many milestones as schedules but one.
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]) -> None:
        self._set(optimizer, schedulers)
        if len(milestones) != len(self._schedulers) - 1:
            raise ValueError(
                f"Sequential Schedulers expects number of schedulers provided to be one more than the number of "
                f"milestone points, but got number of schedulers {len(self._schedulers)} and the number of milestones "
                f"to be equal to {len(milestones)}"
            )
        self._milestones, self.last_epoch = list(milestones), 0
        self._begin(self._schedulers[0])  # each has begun when it was made, on the rates of the one before

    def _begin(self, schedule: LRScheduler) -> None:
        schedule.restart()
        self._last_lr = schedule.get_last_lr()

    def step(self) -> None:
        """Go to the next epoch. Call it after the optimizer's `step`."""
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        schedule = self._schedulers[number]
        if number and self._milestones[number - 1] == self.last_epoch:
            self._begin(schedule)
        else:
            schedule.step()
            self._last_lr = schedule.get_last_lr()


class ChainedScheduler(_Composed):
    """Several schedules at once, each of which changes the rates that the ones before it have made.

    Parameters
    ----------
    schedulers
        The schedules, at least one, all of one optimizer.

    Raises
    ------
    TypeError
        If one is no schedule that goes by the count of its steps.
    ValueError
        If there are none, or they are of several optimizers.
    """

    def __init__(self, schedulers: Sequence[LRScheduler]) -> None:
        if not schedulers:
            raise ValueError("a ChainedScheduler is made of at least one schedule, and got none")
        self._set(schedulers[0].optimizer, schedulers)
        self._last_lr = self._rates()

    def _rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        """Go to the next epoch. Call it after the optimizer's `step`."""
        for schedule in self._schedulers:
            schedule.step()
        self._last_lr = self._rates()
