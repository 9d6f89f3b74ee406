"""L-BFGS, as ``torch::optim`` has it.

Owns torch's signature and defaults, and the step that evaluates the loss several times: the closure is called from C++.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi.optim.native import Native, check_learning_rate

if TYPE_CHECKING:
    from libtorch_ffi._C import Tensor
    from libtorch_ffi.optim.optimizer import Closure, Group, Parameters

__all__ = ["LBFGS"]


class LBFGS(Native):
    """L-BFGS, by libtorch's ``torch::optim::LBFGS``. It has one group, and keeps its state with the first parameter.

    Parameters
    ----------
    params
        As `Optimizer` takes them, in one group.
    lr
        The learning rate.
    max_iter, max_eval
        How often a step moves, and how often it evaluates the closure; by default 1.25 times as often.
    tolerance_grad, tolerance_change
        A step ends where no gradient is above the first, or no parameter moves by more than the second.
    history_size
        How many moves are remembered.
    line_search_fn
        ``"strong_wolfe"`` or None.

    Raises
    ------
    ValueError
        If the learning rate is negative, or there are several groups.
    """

    _kind = "LBFGS"

    def __init__(  # noqa: PLR0913, PLR0917 - torch's signature
        self,
        params: Parameters,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_learning_rate(lr)
        options = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, options)

    def add_param_group(self, param_group: Group) -> None:
        """Take the one group.

        Raises
        ------
        ValueError
            If there is one already.
        """
        if self.param_groups:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        super().add_param_group(param_group)

    def step(self, closure: Closure) -> Tensor:  # type: ignore[override] # torch's own: this one needs the closure
        """Take one step: up to `max_iter` moves.

        Parameters
        ----------
        closure
            Clears the gradients, computes the loss and its gradients, and returns the loss.

        Returns
        -------
        Tensor
            The loss before the step.
        """
        search = self.param_groups[0]["line_search_fn"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        self._was_stepped = True
        loss: Tensor = self._core.step_with(self.param_groups, closure)
        return loss
