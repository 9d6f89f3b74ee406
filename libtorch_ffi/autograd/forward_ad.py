"""Tangents that are carried along with the values: forward-mode differentiation.

Owns the level (`dual_level`) that tangents live in, and the making and taking apart of dual tensors. libtorch has one
level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from libtorch_ffi import ops
from libtorch_ffi._binding import core
from libtorch_ffi.autograd.grad_mode import Mode

if TYPE_CHECKING:
    from types import TracebackType

    from libtorch_ffi._C import Tensor

__all__ = [
    "UnpackedDualTensor",
    "dual_level",
    "enter_dual_level",
    "exit_dual_level",
    "make_dual",
    "unpack_dual",
]

_current = -1


class UnpackedDualTensor(NamedTuple):
    """A value and its tangent, which is None where there is none."""

    primal: Tensor
    tangent: Tensor | None


def enter_dual_level() -> int:
    """Begin a level of tangents, and return its number."""
    global _current  # noqa: PLW0603 - the process has one level, as libtorch has
    level: int = core.enter_dual_level()
    if level != _current + 1:
        raise RuntimeError("Entering a new forward AD level but the current level is not valid.")
    _current = level
    return level


def exit_dual_level(*, level: int | None = None) -> None:
    """End a level: its tangents are dropped.

    Parameters
    ----------
    level
        The innermost, which is the default.
    """
    global _current  # noqa: PLW0603 - likewise
    if level is None:
        level = _current
    if level != _current:
        raise RuntimeError("Trying to exit a forward AD level that was not the last one that was created.")
    core.exit_dual_level(level)
    _current -= 1


class dual_level(Mode):  # noqa: N801 - torch's name
    """A level of tangents inside a ``with`` block."""

    def __enter__(self) -> None:
        enter_dual_level()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        exit_dual_level()


def _level(level: int | None) -> int:
    level = _current if level is None else level
    if level < 0:
        raise RuntimeError("There is no level of forward AD: open one with `with dual_level():`")
    return level


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """Return a view of a tensor that carries a tangent.

    Parameters
    ----------
    tensor
        The value, of a floating point or complex dtype.
    tangent
        Of the same shape and dtype.
    level
        The level that the tangent lives in.
    """
    dual: Tensor = ops.aten._make_dual(tensor, tangent, level=_level(level))
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """Return the value and the tangent of a tensor.

    Parameters
    ----------
    tensor
        What a computation with `make_dual` gave.
    level
        The level that the tangent lives in.
    """
    if level is None and _current < 0:
        return UnpackedDualTensor(tensor, None)
    primal, tangent = ops.aten._unpack_dual(tensor, level=_level(level))
    return UnpackedDualTensor(primal, tangent)
