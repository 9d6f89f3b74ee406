"""What the six optimizers of libtorch share: the step, and a state that lies in C++.

Owns the class `Native`. Before each step the compiled core reads the groups' options; the arithmetic is libtorch's.
The optimizers themselves, with their options, are `libtorch_ffi.optim.algorithms` and `libtorch_ffi.optim.lbfgs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from libtorch_ffi._binding import core
from libtorch_ffi.autograd import enable_grad
from libtorch_ffi.errors import UnsupportedError
from libtorch_ffi.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, ClassVar

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.optim.optimizer import Closure, Group

__all__ = ["Native", "State", "check", "check_learning_rate"]


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

    def __repr__(self) -> str:
        return f"State({dict(self)!r})"

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


def check(valid: bool, what: str, value: object) -> None:
    """Raise ValueError, as torch says it, where an option is out of its range."""
    if not valid:
        raise ValueError(f"Invalid {what}: {value}")


def check_learning_rate(lr: float | Tensor) -> None:
    """Do the same for a learning rate, a number or a tensor of one element."""
    if isinstance(lr, core.Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    check(bool(lr >= 0.0), "learning rate", lr)
