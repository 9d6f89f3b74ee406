"""The schedule that goes by a figure of the training, and not by the count of its steps.

Owns `ReduceLROnPlateau`, with torch's arithmetic.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from libtorch_ffi.optim.lr_scheduler.schedule import Remembering, checked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import SupportsFloat

    from libtorch_ffi.optim.optimizer import Optimizer

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(Remembering):
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
        self.optimizer = checked(optimizer)
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
