"""A schedule that begins again and again: `CosineAnnealingWarmRestarts`.

Owns its count of epochs since the last beginning, which may be told a fraction of an epoch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from libtorch_ffi.optim.lr_scheduler.schedule import Group, LRScheduler

if TYPE_CHECKING:
    from libtorch_ffi.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingWarmRestarts"]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Down to `eta_min` along half a cosine, again and again.

    Parameters
    ----------
    optimizer
        Whose learning rates to change.
    T_0
        How many epochs the first way down takes.
    T_mult
        How many times as long each takes as the one before.
    eta_min
        The lowest rate.
    last_epoch
        As `LRScheduler` has it.

    Raises
    ------
    ValueError
        If `T_0` or `T_mult` is no positive int.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,  # noqa: N803 - torch's name
        T_mult: int = 1,  # noqa: N803 - likewise
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is a positive int, not {value!r}")
        self.T_0 = self.T_i = T_0
        self.T_mult, self.eta_min = T_mult, eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def _next(self, now: Group) -> float:
        return self.eta_min + (now.base - self.eta_min) * (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2

    def step(self, epoch: float | None = None) -> None:
        """Go to the next epoch, or to the one given, which may be a fraction: ``epoch + batch / batches``."""
        if epoch is None:
            super().step()
            return
        if epoch < 0:
            raise ValueError(f"an epoch is not negative, but got {epoch}")
        begun = 0 if self.T_mult == 1 else int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
        if self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            self.T_i = self.T_0 * self.T_mult**begun
            self.T_cur = epoch - self.T_0 * (self.T_mult**begun - 1) / (self.T_mult - 1)
        self.last_epoch = math.floor(epoch)
        self._write()

    def _advance(self) -> None:
        self.T_cur += 1
        if self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        super()._advance()

    def restart(self) -> None:
        """Begin anew with the first rates, as when it was made."""
        self.T_cur, self.T_i = -1, self.T_0
        super().restart()
