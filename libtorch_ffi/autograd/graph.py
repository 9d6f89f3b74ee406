"""The graph itself: its nodes, and what they save.

Owns `saved_tensors_hooks` and `save_on_cpu`, which decide in which form tensors wait for backward. Nodes are the
compiled core's (`Node`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._binding import core
from libtorch_ffi._C import Node
from libtorch_ffi._hooks import Removable, RemovableHandle, register_hook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Any

    from libtorch_ffi._C import Tensor
    from libtorch_ffi._C import device as Device  # noqa: N812 - the name is an argument's, too

__all__ = ["Node", "RemovableHandle", "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks"]


class saved_tensors_hooks:  # noqa: N801 - torch's name
    """Sets in which form this thread saves tensors for backward, inside a ``with`` block.

    Parameters
    ----------
    pack_hook
        Gets a tensor that is to be saved; answers whatever is to be kept in its place.
    unpack_hook
        Gets that, when backward asks for the tensor; answers a tensor of the same content.
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        core.push_saved_tensor_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        core.pop_saved_tensor_hooks()


class save_on_cpu(saved_tensors_hooks):  # noqa: N801 - torch's name
    """Keeps what is saved for backward in the host's memory, inside a ``with`` block.

    Parameters
    ----------
    pin_memory
        Whether in pinned memory, which a CUDA device reads faster.
    device_type
        Of the device that pins it.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(tensor: Any) -> tuple[Device, Tensor]:
            kept = tensor.to(device="cpu", copy=True)
            return tensor.device, kept.pin_memory(device_type) if pin_memory else kept

        def unpack(packed: tuple[Device, Any]) -> Tensor:
            device, tensor = packed
            back: Tensor = tensor.to(device=device, non_blocking=pin_memory)
            return back

        super().__init__(pack, unpack)


class _Several:
    """The gradients of several tensors in one backward, until the last has come."""

    def __init__(self, count: int, hook: Callable[[list[Tensor | None]], None]) -> None:
        from threading import Lock

        self._hook = hook
        self._lock = Lock()
        self._gradients: list[Tensor | None] = [None] * count
        self._missing = count

    def arrived(self, index: int, gradient: Tensor) -> None:
        with self._lock:
            self._gradients[index] = gradient
            self._missing -= 1
            if self._missing:
                return
            gradients = self._gradients
            self._gradients = [None] * len(gradients)
            self._missing = len(gradients)
        self._hook(gradients)


class _Handles(Removable):
    """Removes several hooks as one."""

    def __init__(self, handles: list[RemovableHandle]) -> None:
        self._handles = handles

    def remove(self) -> None:
        """Remove them."""
        for handle in self._handles:
            handle.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable[[list[Tensor | None]], None]) -> _Handles:
    """Call a function when the gradients of all these tensors have been computed.

    Parameters
    ----------
    tensors
        Which; each backward has to reach all of them.
    fn
        Gets the list of gradients, in the order of the tensors.

    Returns
    -------
    handle
        Its ``remove()`` takes the hook away.
    """
    several = _Several(len(tensors), fn)

    def watch(index: int, tensor: Tensor) -> RemovableHandle:
        return register_hook(tensor, lambda gradient: several.arrived(index, gradient))

    return _Handles([watch(index, tensor) for index, tensor in enumerate(tensors)])
