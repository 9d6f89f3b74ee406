"""The modes of a thread: whether operations are recorded.

Owns `no_grad` and its kin, each a context manager and a decorator. The modes themselves are libtorch's; each object
here remembers what was before it.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar, overload

from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

__all__ = [
    "Mode",
    "enable_grad",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
    "set_multithreading_enabled",
]

P = ParamSpec("P")
R = TypeVar("R")
Y = TypeVar("Y")
S = TypeVar("S")


class Mode:
    """A context manager that is a decorator too: each call of the function runs in a context of its own."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function: each call runs in the mode, and of a generator all that it does between its yields."""
        import inspect

        stepwise = inspect.isgeneratorfunction(function)

        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            if stepwise:
                return _stepped(function(*args, **kwargs), self._again)  # type: ignore[arg-type, return-value]
            with self._again():
                return function(*args, **kwargs)

        return wrapper

    def _again(self) -> Mode:
        return type(self)()

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError


def _stepped(generator: Generator[Y, S, R], mode: Callable[[], Mode]) -> Generator[Y, S, R]:
    """Run a generator in a mode, and whoever takes what it yields outside."""
    try:
        with mode():
            value = next(generator)
        while True:
            try:
                sent = yield value
            except BaseException as error:  # noqa: BLE001, PERF203 - whatever is thrown in, the generator handles it
                with mode():
                    value = generator.throw(error)
            else:
                with mode():
                    value = generator.send(sent)
    except StopIteration as end:
        result: R = end.value
        return result


class _GradMode(Mode):
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
        """Make the mode, or at once a function that runs in it."""
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


class inference_mode(Mode):  # noqa: N801 - torch's name
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


class set_multithreading_enabled(Mode):  # noqa: N801 - torch's name
    """Sets at once whether `backward` uses a thread for each device; as a context manager, until its end.

    Parameters
    ----------
    mode
        Whether it does.
    """

    def __init__(self, mode: bool) -> None:
        self._enabled = mode
        self._before = core.is_multithreading_enabled()
        core.set_multithreading_enabled(mode)

    def _again(self) -> set_multithreading_enabled:
        return set_multithreading_enabled(self._enabled)

    def __enter__(self) -> None:
        """Stay as set."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        core.set_multithreading_enabled(self._before)
