"""libtorch's six optimizers: SGD, Adam, AdamW, RMSprop, Adagrad and LBFGS, as torch::optim has them.

Owns torch's signatures, defaults and checks of the options. The step is libtorch's: before each, the compiled core
reads the groups' options. Options that choose among torch's own implementations (``foreach``, ``fused``) are kept in
the groups, so that a saved state fits torch's, and change nothing: there is one implementation here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.autograd import enable_grad
from libtorch_ffi.errors import UnsupportedError
from libtorch_ffi.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, ClassVar

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.optim.optimizer import Closure, Group, Parameters

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "RMSprop"]

_full_like, _scalar_tensor = one("full_like"), one("scalar_tensor")


class State(Mapping["Tensor", "dict[str, Any]"]):
    """What libtorch's optimizer remembers, by parameter; made anew each time that it is asked for.

    The tensors are the optimizer's own: what is written into them counts. The dicts are not.
    """

    def __init__(self, groups: list[Group], optimizer: core.OptimizerCore) -> None:
        self._groups, self._core = groups, optimizer

    def __getitem__(self, parameter: Tensor) -> dict[str, Any]:
        """Return the state of a parameter, under torch's names."""
        state = self._core.state(parameter)
        if state is None:
            raise KeyError(parameter)
        return state

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the parameters that have one, in their order."""
        for group in self._groups:
            yield from (parameter for parameter in group["params"] if self._core.state(parameter) is not None)

    def __len__(self) -> int:
        """Count them."""
        return sum(1 for _ in self)


class Native(Optimizer):
    """An optimizer of libtorch; see `Optimizer` for what it takes."""

    _kind: str
    _takes_complex: ClassVar[bool] = False
    _core: core.OptimizerCore

    def _prepare(self) -> None:
        self._core = core.OptimizerCore(self._kind)

    @property
    def state(self) -> State:  # type: ignore[override] # read only: it is libtorch's
        """What libtorch remembers of each parameter."""
        return State(self.param_groups, self._core)

    def _set_state(self, state: Mapping[Any, dict[str, Any]]) -> None:
        for parameter, fields in state.items():
            if isinstance(parameter, core.Tensor) and any(value is not None for value in fields.values()):
                self._core.set_state(parameter, fields)

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickles and copies hold."""
        return {**super().__getstate__(), "_kind": self._kind}

    def step(self, closure: Closure | None = None) -> Any:  # noqa: ANN401 - whatever the closure returns
        """Change the parameters by their gradients; those without one are left alone.

        Parameters
        ----------
        closure
            Computes the loss and its gradients anew, and returns the loss, which the step returns.

        Raises
        ------
        RuntimeError
            If the optimizer is in the middle of a step already.
        TypeError
            If an option in a group is not a number where it has to be one.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self._was_stepped = True
        self._core.step(self.param_groups)
        return loss

    def add_param_group(self, param_group: Group) -> None:
        """Add a group: a dict with the tensors under ``params``, and the options in which it differs."""
        super().add_param_group(param_group)
        for name in ("capturable", "differentiable"):
            if self.param_groups[-1].get(name):
                self.param_groups.pop()
                raise UnsupportedError(
                    f"{type(self).__name__}: {name}=True is torch's own, and libtorch's C++ optimizers have it not; "
                    f"expected {name}=False, which changes no result of a plain step"
                )

    def _check_parameter(self, parameter: object) -> None:
        super()._check_parameter(parameter)
        if isinstance(parameter, core.Tensor) and parameter.is_complex() and not self._takes_complex:
            raise UnsupportedError(
                f"{type(self).__name__}: a parameter is {parameter.dtype}, and libtorch's C++ optimizer would "
                "square its elements as complex numbers, where torch takes real and imaginary part apart; make the "
                "parameter a real tensor and view it by view_as_complex instead"
            )


def _check(valid: bool, what: str, value: object) -> None:
    if not valid:
        raise ValueError(f"Invalid {what}: {value}")


def _check_learning_rate(lr: float | Tensor) -> None:
    if isinstance(lr, core.Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    _check(bool(lr >= 0.0), "learning rate", lr)


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
        _check_learning_rate(lr)
        _check(momentum >= 0.0, "momentum value", momentum)
        _check(weight_decay >= 0.0, "weight_decay value", weight_decay)
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
        _check_learning_rate(lr)
        _check(eps >= 0.0, "epsilon value", eps)
        _check(0.0 <= betas[0] < 1.0, "beta parameter at index 0", betas[0])
        _check(0.0 <= betas[1] < 1.0, "beta parameter at index 1", betas[1])
        _check(weight_decay >= 0.0, "weight_decay value", weight_decay)
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
        _check_learning_rate(lr)
        _check(eps >= 0.0, "epsilon value", eps)
        _check(momentum >= 0.0, "momentum value", momentum)
        _check(weight_decay >= 0.0, "weight_decay value", weight_decay)
        _check(alpha >= 0.0, "alpha value", alpha)
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
        _check_learning_rate(lr)
        _check(lr_decay >= 0.0, "lr_decay value", lr_decay)
        _check(weight_decay >= 0.0, "weight_decay value", weight_decay)
        _check(initial_accumulator_value >= 0.0, "initial_accumulator_value value", initial_accumulator_value)
        _check(eps >= 0.0, "epsilon value", eps)
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
        _check_learning_rate(lr)
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
