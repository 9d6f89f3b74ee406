"""SGD, Adam, AdamW, RMSprop and Adagrad, as ``torch::optim`` has them.

Owns torch's signatures, defaults and checks of the options; the step is `Native`'s. Options that choose among torch's
own implementations (``foreach``, ``fused``) are kept in the groups, so that a saved state fits torch's, and change
nothing: there is one implementation here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi.errors import UnsupportedError
from libtorch_ffi.optim.native import Native, check, check_learning_rate

if TYPE_CHECKING:
    from libtorch_ffi._C import Tensor
    from libtorch_ffi.optim.optimizer import Group, Parameters

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "RMSprop"]

_full_like, _scalar_tensor = one("full_like"), one("scalar_tensor")


class SGD(Native):
    """Gradient descent, with momentum if asked for: libtorch's ``torch::optim::SGD``.

    Parameters
    ----------
    params
        As `Optimizer` takes them.
    lr
        The learning rate.
    momentum, dampening
        The momentum, and what part of a gradient it leaves out.
    weight_decay
        The factor of a parameter that is added to its gradient.
    nesterov
        Nesterov's momentum; needs a momentum and no dampening.
    maximize
        Climb instead of descend.
    foreach, differentiable, fused
        As torch has them; see the module.

    Raises
    ------
    ValueError
        If an option is out of its range.
    """

    _kind = "SGD"
    _takes_complex = True

    def __init__(  # noqa: PLR0913 - torch's signature
        self,
        params: Parameters,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_learning_rate(lr)
        check(momentum >= 0.0, "momentum value", momentum)
        check(weight_decay >= 0.0, "weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        options = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, options)


class Adam(Native):
    """Adam, by libtorch's ``torch::optim::Adam``.

    Parameters
    ----------
    params
        As `Optimizer` takes them.
    lr
        The learning rate.
    betas
        How much of the means of gradients, and of their squares, a step keeps.
    eps
        What is added to the denominator.
    weight_decay
        The factor of a parameter that is added to its gradient.
    amsgrad
        Divide by the largest mean of squares so far.
    foreach, maximize, capturable, differentiable, fused
        As torch has them; see the module.
    decoupled_weight_decay
        Shrink the parameter itself, as `AdamW` does.

    Raises
    ------
    ValueError
        If an option is out of its range.
    """

    _kind = "Adam"

    def __init__(  # noqa: PLR0913 - torch's signature
        self,
        params: Parameters,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check(eps >= 0.0, "epsilon value", eps)
        check(0.0 <= betas[0] < 1.0, "beta parameter at index 0", betas[0])
        check(0.0 <= betas[1] < 1.0, "beta parameter at index 1", betas[1])
        check(weight_decay >= 0.0, "weight_decay value", weight_decay)
        options = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, options)

    def _prepare(self) -> None:
        """Take the optimizer that the groups ask for: libtorch has one with decoupled weight decay and one without."""
        self._choose()
        super()._prepare()

    def add_param_group(self, param_group: Group) -> None:
        """Add a group, which decouples weight decay or not, as the others do."""
        super().add_param_group(param_group)
        try:
            self._choose()
        except UnsupportedError:
            self.param_groups.pop()
            raise

    def _choose(self) -> None:
        choices = {bool(group.get("decoupled_weight_decay")) for group in self.param_groups or [self.defaults]}
        if len(choices) > 1:
            raise UnsupportedError(
                f"{type(self).__name__}: decoupled_weight_decay is True in one group and False in another, and "
                "libtorch has two optimizers for the two; make one optimizer for each"
            )
        self._kind = "AdamW" if choices == {True} else "Adam"


class AdamW(Adam):
    """Adam with decoupled weight decay, by libtorch's ``torch::optim::AdamW``; the options are those of `Adam`."""

    def __init__(  # noqa: PLR0913 - torch's signature
        self,
        params: Parameters,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )


class RMSprop(Native):
    """RMSprop, by libtorch's ``torch::optim::RMSprop``.

    Parameters
    ----------
    params
        As `Optimizer` takes them.
    lr
        The learning rate.
    alpha
        How much of the mean of squares a step keeps.
    eps
        What is added to the denominator.
    weight_decay
        The factor of a parameter that is added to its gradient.
    momentum
        The momentum.
    centered
        Divide by an estimate of the gradient's deviation.
    capturable, foreach, maximize, differentiable
        As torch has them; see the module.

    Raises
    ------
    ValueError
        If an option is out of its range.
    """

    _kind = "RMSprop"

    def __init__(  # noqa: PLR0913, PLR0917 - torch's signature
        self,
        params: Parameters,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check(eps >= 0.0, "epsilon value", eps)
        check(momentum >= 0.0, "momentum value", momentum)
        check(weight_decay >= 0.0, "weight_decay value", weight_decay)
        check(alpha >= 0.0, "alpha value", alpha)
        options = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, options)


class Adagrad(Native):
    """Adagrad, by libtorch's ``torch::optim::Adagrad``.

    Parameters
    ----------
    params
        As `Optimizer` takes them.
    lr, lr_decay
        The learning rate, and by how much it falls with the steps.
    weight_decay
        The factor of a parameter that is added to its gradient.
    initial_accumulator_value
        What the sums of squares begin with.
    eps
        What is added to the denominator.
    foreach, maximize, differentiable, fused
        As torch has them; see the module.

    Raises
    ------
    ValueError
        If an option is out of its range.
    """

    _kind = "Adagrad"

    def __init__(  # noqa: PLR0913, PLR0917 - torch's signature
        self,
        params: Parameters,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_learning_rate(lr)
        check(lr_decay >= 0.0, "lr_decay value", lr_decay)
        check(weight_decay >= 0.0, "weight_decay value", weight_decay)
        check(initial_accumulator_value >= 0.0, "initial_accumulator_value value", initial_accumulator_value)
        check(eps >= 0.0, "epsilon value", eps)
        options = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, options)

    def add_param_group(self, param_group: Group) -> None:
        """Add a group, whose sums begin with its ``initial_accumulator_value``."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for parameter in group["params"]:
            total = _full_like(parameter.detach(), group["initial_accumulator_value"])
            self._core.set_state(parameter, {"step": _scalar_tensor(0.0), "sum": total})
