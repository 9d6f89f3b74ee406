"""Gradients: what is recorded, and what is asked of it.

Owns the modes of a thread (`no_grad` and its kin, each a context manager and a decorator) and the two questions,
`backward` and `grad`. The graph and the engine are libtorch's.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar, overload

from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from libtorch_ffi._C import Tensor

    Tensors = Tensor | Sequence[Tensor]
    Gradients = Tensor | Sequence[Tensor | None] | None

__all__ = ["backward", "enable_grad", "grad", "inference_mode", "no_grad", "set_grad_enabled"]

P = ParamSpec("P")
R = TypeVar("R")


class _Mode:
    """A context manager that is a decorator too: each call of the function runs in a context of its own."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._again():
                return function(*args, **kwargs)

        return wrapper

    def _again(self) -> _Mode:
        return type(self)()

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError


class _GradMode(_Mode):
    """Sets whether operations are recorded in this thread; puts back what was before, also when nested."""

    _enabled = True

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(core.is_grad_enabled())
        core.set_grad_enabled(self._enabled)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        core.set_grad_enabled(self._before.pop())


class no_grad(_GradMode):  # noqa: N801 - torch's name
    """Operations are not recorded: ``with no_grad():``, ``@no_grad()``, ``@no_grad``."""

    _enabled = False

    @overload
    def __new__(cls) -> no_grad: ...
    @overload
    def __new__(cls, function: Callable[P, R]) -> Callable[P, R]: ...  # type: ignore[misc]
    def __new__(cls, function: Callable[P, R] | None = None) -> no_grad | Callable[P, R]:  # type: ignore[misc]
        mode = super().__new__(cls)
        if function is None:
            return mode
        mode.__init__()  # type: ignore[misc]
        return mode(function)


class enable_grad(_GradMode):  # noqa: N801 - torch's name
    """Operations are recorded again, inside `no_grad`."""


class set_grad_enabled(_GradMode):  # noqa: N801 - torch's name
    """Sets at once whether operations are recorded; as a context manager, until its end.

    Parameters
    ----------
    mode
        Whether they are.
    """

    def __init__(self, mode: bool) -> None:
        self._enabled = bool(mode)
        self._before = [core.is_grad_enabled()]
        core.set_grad_enabled(self._enabled)

    def __enter__(self) -> None:
        """Stay as set."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate: the mode holds inside the function, not from now on."""
        core.set_grad_enabled(self._before[-1])
        return super().__call__(function)

    def _again(self) -> set_grad_enabled:
        return set_grad_enabled(self._enabled)


class inference_mode(_Mode):  # noqa: N801 - torch's name
    """Operations are not recorded, and their results can never be: cheaper than `no_grad`.

    Parameters
    ----------
    mode
        False leaves inference mode for the time of the context.
    """

    def __init__(self, mode: bool = True) -> None:
        self._enabled = mode
        self._guards: list[core.InferenceGuard] = []

    def _again(self) -> inference_mode:
        return inference_mode(self._enabled)

    def __enter__(self) -> None:
        self._guards.append(core.InferenceGuard(self._enabled))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._guards.pop()


def _as_list(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, core.Tensor) else list(tensors)


def _seeds(gradients: Gradients) -> list[Tensor | None]:
    if gradients is None:
        return []
    return [gradients] if isinstance(gradients, core.Tensor) else list(gradients)


def backward(
    tensors: Tensors,
    grad_tensors: Gradients = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradients of tensors to the leaves that they depend on.

    Parameters
    ----------
    tensors
        What to differentiate.
    grad_tensors
        For each, the gradient of some scalar with respect to it, of its shape; None for a tensor of one element.
    retain_graph
        Keep the graph, to differentiate once more; by default what `create_graph` is.
    create_graph
        Record the differentiation, so that it can be differentiated itself.
    inputs
        Only these leaves gather gradients; by default all do.
    """
    targets = [] if inputs is None else _as_list(inputs)
    if inputs is not None and not targets:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    core.backward(_as_list(tensors), _seeds(grad_tensors), retain_graph, create_graph, targets)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Gradients = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of outputs with respect to inputs.

    Parameters
    ----------
    outputs
        What to differentiate.
    inputs
        With respect to what; nothing is added to their ``grad``.
    grad_outputs
        For each output, the gradient of some scalar with respect to it; None for an output of one element.
    retain_graph
        Keep the graph, to differentiate once more; by default what `create_graph` is.
    create_graph
        Record the differentiation, so that it can be differentiated itself.
    allow_unused
        Answer None for an input that no output depends on, where it is an error otherwise.

    Returns
    -------
    tuple of Tensor or None
        One for each input, of its shape.
    """
    return core.grad(
        _as_list(outputs), _as_list(inputs), _seeds(grad_outputs), retain_graph, create_graph, bool(allow_unused)
    )
