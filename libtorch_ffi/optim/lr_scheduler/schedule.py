"""What the schedules that go by the count of their steps share.

Owns `LRScheduler`: the count, the first rates, and the writing of ``lr`` into an optimizer's groups. Which rate comes
next is each schedule's own.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

from libtorch_ffi.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Group", "LRScheduler", "checked"]


class Group(NamedTuple):
    """A parameter group, as a schedule meets it: its number, its present rate and the one to begin with."""

    number: int
    rate: float
    base: float


class Remembering:
    """What all schedules have: a state that can be kept."""

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


class LRScheduler(Remembering):
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
        self.optimizer = checked(optimizer)
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

    def restart(self) -> None:
        """Begin anew with the first rates, as when it was made."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self.last_epoch, self._step_count = -1, 0
        self._advance()

    def _advance(self) -> None:
        self.last_epoch += 1
        self._write()

    def _write(self) -> None:
        """Write the rates of the epoch `last_epoch` into the groups."""
        self._last_lr = self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate
        self._step_count += 1


def checked(optimizer: Optimizer) -> Optimizer:
    """Return an optimizer; a TypeError where it is none."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer
