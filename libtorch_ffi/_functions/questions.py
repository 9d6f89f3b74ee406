"""Questions about an object: is it a tensor, of which kind, what is its type called. Nothing here computes."""

from __future__ import annotations

from libtorch_ffi._binding import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

    from libtorch_ffi._C import Tensor

__all__ = ["is_conj", "is_inference", "is_neg", "is_storage", "is_tensor", "typename"]


def is_conj(input: Tensor) -> bool:  # noqa: A002 - torch's name
    """Return whether a tensor's elements are still to be conjugated."""
    return input.is_conj()


def is_neg(input: Tensor) -> bool:  # noqa: A002 - torch's name
    """Return whether a tensor's elements are still to be negated."""
    return input.is_neg()


def is_inference(input: Tensor) -> bool:  # noqa: A002 - torch's name
    """Return whether inference mode made a tensor."""
    return input.is_inference()


def is_tensor(obj: object) -> TypeGuard[Tensor]:
    """Return whether an object is a Tensor."""
    return isinstance(obj, core.Tensor)


def is_storage(obj: object) -> bool:
    """Return whether an object is an `UntypedStorage`."""
    return isinstance(obj, core.UntypedStorage)


def typename(obj: object) -> str:
    """Return the name of an object's type; of a tensor, what its ``type()`` says."""
    if isinstance(obj, core.Tensor):
        name: str = obj.type()
        return name
    kind = obj if isinstance(obj, type) else type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
