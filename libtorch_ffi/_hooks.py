"""Hooks on tensors and on nodes of the graph.

Owns the methods that register hooks, which `libtorch_ffi._binding` puts on Tensor and Node, and the handle that removes
one. A set of hooks is a mapping from numbers to functions, which the compiled core reads at the moment that it calls
them; so removing a hook is removing its entry.
"""

from __future__ import annotations

import weakref
from itertools import count

from libtorch_ffi import _C as core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from libtorch_ffi._C import Node, Tensor

__all__ = ["RemovableHandle", "complete"]

_numbers = count()


def complete(tensor_type: type[Tensor], node_type: type[Node]) -> None:
    """Add the methods below to the types."""
    for method in (register_hook, register_post_accumulate_grad_hook):
        setattr(tensor_type, method.__name__, method)
    node_type.register_hook = register_node_hook  # type: ignore[method-assign]
    node_type.register_prehook = register_prehook  # type: ignore[method-assign]


class _Table(dict[int, "Callable[..., Any]"]):
    """The hooks of one place, in the order of registration; the core owns it."""

    __slots__ = ("__weakref__",)


class Removable:
    """What a ``with`` block removes at its end."""

    def remove(self) -> None:
        """Take away what this stands for."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class RemovableHandle(Removable):
    """Removes a hook: by `remove`, or at the end of a ``with`` block.

    It does not keep the hook alive, nor what the hook is on.
    """

    def __init__(self, table: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self.id = next(_numbers)
        table[self.id] = hook
        self._table = weakref.ref(table)

    def remove(self) -> None:
        """Remove the hook; once more does nothing."""
        table = self._table()
        if table is not None:
            table.pop(self.id, None)


def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Call a function with this tensor's gradient, each time that one is computed.

    Parameters
    ----------
    hook
        Gets the gradient, which it must not change, and answers None or another gradient to take its place. Several run
        in the order of registration.

    Returns
    -------
    RemovableHandle
        Its ``remove()`` takes the hook away.

    Raises
    ------
    RuntimeError
        If the tensor does not require grad.
    """
    return RemovableHandle(core.tensor_hooks(self, _Table), hook)


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> RemovableHandle:
    """Call a function with this leaf, each time that its ``grad`` was added to.

    Parameters
    ----------
    hook
        Gets this object; answers None.

    Returns
    -------
    RemovableHandle
        Its ``remove()`` takes the hook away.

    Raises
    ------
    RuntimeError
        If the tensor does not require grad, or is no leaf.
    """
    return RemovableHandle(core.accumulate_hooks(self, _Table), hook)


def register_node_hook(self: Node, hook: Callable[..., Any]) -> RemovableHandle:
    """Call a function after this node has run in a backward.

    Parameters
    ----------
    hook
        Gets the gradients that the node gave and those that it got, as tuples; answers None, or others to take the
        place of the former.

    Returns
    -------
    RemovableHandle
        Its ``remove()`` takes the hook away.
    """
    return RemovableHandle(core.node_hooks(self, _Table), hook)


def register_prehook(self: Node, hook: Callable[..., Any]) -> RemovableHandle:
    """Call a function before this node runs in a backward.

    Parameters
    ----------
    hook
        Gets the gradients that the node is to get, as a tuple; answers None, or others to take their place.

    Returns
    -------
    RemovableHandle
        Its ``remove()`` takes the hook away.
    """
    return RemovableHandle(core.node_prehooks(self, _Table), hook)
