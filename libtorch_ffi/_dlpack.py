"""DLPack: memory shared with other array libraries, on any device.

Owns what the standard leaves to be decided around a capsule: who waits for which stream, what is copied, and how the
other library is asked. The capsules themselves are the compiled core's.
"""

from __future__ import annotations

import enum
import warnings
from typing import TYPE_CHECKING

from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from typing import Any, Protocol, TypeGuard

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.types import Device

    class Producer(Protocol):
        """Who offers memory by DLPack; older ones take fewer arguments."""

        def __dlpack_device__(self) -> tuple[int, int]: ...
        def __dlpack__(self, **arguments: object) -> object: ...


__all__ = ["DLDeviceType", "from_dlpack"]

_NEWEST = (1, 1)
"""The newest version of DLPack that the core reads."""

_NO_SYNCHRONIZATION = -1

_READ_ONLY = (
    "The given array is not writable, and tensors do not know that: writing to the tensor writes to the array. Copy it "
    "(copy=True) to protect its data."
)


class DLDeviceType(enum.IntEnum):
    """DLPack's numbers of the kinds of devices that a tensor may come from or go to."""

    kDLCPU = 1  # noqa: N815 - the standard's name
    kDLCUDA = 2  # noqa: N815 - the standard's name
    kDLCUDAHost = 3  # noqa: N815 - the standard's name
    kDLROCM = 10  # noqa: N815 - the standard's name
    kDLROCMHost = 11  # noqa: N815 - the standard's name
    kDLCUDAManaged = 13  # noqa: N815 - the standard's name


_STREAMED = (DLDeviceType.kDLCUDA, DLDeviceType.kDLROCM, DLDeviceType.kDLCUDAManaged)


# Exporting


def export(
    self: Tensor,
    stream: int | None,
    max_version: tuple[int, int] | None,
    dl_device: tuple[int, int] | None,
    copy: bool | None,
) -> object:
    """Return a capsule over a tensor's memory, or over a copy of it; what ``Tensor.__dlpack__`` answers."""
    copied = copy is True
    if dl_device is not None and tuple(dl_device) != core.dlpack_device(self):
        if copied or copy is None:
            self, copied = _moved(self, dl_device), True
        else:
            raise BufferError(
                f"can't export a tensor on {self.device} to DLPack's device {tuple(dl_device)} without a copy"
            )
    elif copied:
        self = self.clone()
    _hand_over(self, stream)
    return core.dlpack_capsule(self, max_version is not None and max_version[0] >= 1, copied)


def _moved(tensor: Tensor, dl_device: tuple[int, int]) -> Tensor:
    if tuple(dl_device) != (DLDeviceType.kDLCPU, 0):
        raise BufferError(
            f"can't export a tensor on {tensor.device} to DLPack's device {tuple(dl_device)}: call to(device) first"
        )
    return tensor.cpu()


def _hand_over(tensor: Tensor, stream: int | None) -> None:
    """Let the consumer's stream wait for the work that makes the tensor."""
    if stream is not None and type(stream) is not int:
        raise TypeError(f"stream must be int or None, not {type(stream).__name__}")
    if not tensor.is_cuda:
        if stream not in (None, _NO_SYNCHRONIZATION):
            raise ValueError(f"a tensor on {tensor.device} has no streams: stream must be None, not {stream}")
        return
    if stream != _NO_SYNCHRONIZATION:
        _wait(tensor, _consumer(tensor, stream))


def _consumer(tensor: Tensor, stream: int | None) -> core.Stream:
    """Return the stream that a number means, by the standard's table."""
    rocm = core.dlpack_device(tensor)[0] == DLDeviceType.kDLROCM
    legacy, reserved = (0, (1, 2)) if rocm else (1, (0, 2))
    if stream is None or stream == legacy:
        return core.default_stream(tensor.device)
    if stream in reserved or stream < 0:
        raise BufferError(
            f"stream {stream} is none that a tensor can be exported to: the default stream is {legacy} or None, "
            f"any other is meant by its address, and {_NO_SYNCHRONIZATION} asks for no synchronization"
        )
    return core.external_stream(tensor, stream)


def _wait(tensor: Tensor, consumer: core.Stream) -> None:
    current = core.current_stream(tensor.device)
    if consumer != current:
        event = core.Event("cuda")
        event.record(current)
        event.block(consumer)


# Importing


def from_dlpack(ext_tensor: object, *, device: Device | None = None, copy: bool | None = None) -> Tensor:
    """Return a tensor over the memory of another library's array.

    Parameters
    ----------
    ext_tensor
        An object with ``__dlpack__`` and ``__dlpack_device__``, or a DLPack capsule, which is consumed.
    device
        Where the tensor is to lie; by default where the array does.
    copy
        True for memory of the tensor's own, False for an error where memory cannot be shared.

    Warns
    -----
    UserWarning
        If the array's memory is read-only and shared: a tensor does not know that, and writing to it writes there.

    Raises
    ------
    BufferError
        If the memory cannot be a tensor's: its dtype, its device or its strides.
    RuntimeError
        If the capsule was consumed before.
    TypeError
        If it is neither.
    ValueError
        If `copy` is False and `device` is another one than the array's.
    """
    place = None if device is None else core.device(device)
    result, read_only = _taken(ext_tensor, place, copy)
    if read_only:
        warnings.warn(_READ_ONLY, stacklevel=2)
    return result


def view(array: object, shares: bool) -> Tensor:
    """Return the tensor over an array's memory; warn where it is read-only and shared with the caller's program."""
    result, read_only = _taken(array, None, None)
    if shares and read_only:
        warnings.warn(_READ_ONLY, stacklevel=2)
    return result


def _taken(array: object, place: core.device | None, copy: bool | None) -> tuple[Tensor, bool]:
    """Return the tensor, and whether its memory is shared and read-only."""
    capsule = _ask(array, place, copy) if _is_producer(array) else array
    tensor, read_only, copied = core.dlpack_tensor(capsule)
    if tensor.is_cuda:
        _wait_for_default(tensor)
    result = tensor if place is None else _placed(tensor, place, copy)
    copied = copied or result is not tensor
    if copy and not copied:
        return tensor.clone(), False
    return result, read_only and not copied


def _is_producer(array: object) -> TypeGuard[Producer]:
    return hasattr(array, "__dlpack__")


def _ask(array: Producer, place: core.device | None, copy: bool | None) -> object:
    """Ask an array for a capsule: by today's arguments, or by those of the standard's first version."""
    kind, index = array.__dlpack_device__()
    first = {"stream": _stream_for(kind)} if kind in _STREAMED else {}
    today: dict[str, Any] = {**first, "max_version": _NEWEST}
    if copy is not None:
        today["copy"] = copy
    if place is not None and place.type == "cpu" and (kind, index) != (DLDeviceType.kDLCPU, 0):
        if copy is False:
            raise ValueError(f"can't move an array from DLPack's device {(int(kind), index)} to cpu without a copy")
        today["dl_device"] = (int(DLDeviceType.kDLCPU), 0)
    try:
        return array.__dlpack__(**today)
    except TypeError as error:
        if "argument" not in str(error):  # not that it knows none of these, but what it says of the array
            raise
        return array.__dlpack__(**first)


def _stream_for(kind: int) -> int:
    """Return the number of the default stream, for which the array's owner is to get the data ready."""
    return 0 if kind == DLDeviceType.kDLROCM else 1


def _wait_for_default(tensor: Tensor) -> None:
    """Let the current stream wait for the default one, for which the data was asked."""
    current, default = core.current_stream(tensor.device), core.default_stream(tensor.device)
    if current != default:
        event = core.Event("cuda")
        event.record(default)
        event.block(current)


def _placed(tensor: Tensor, place: core.device, copy: bool | None) -> Tensor:
    result = tensor.to(place)
    if copy is False and result is not tensor:
        raise ValueError(f"can't move an array from {tensor.device} to {place} without a copy")
    return result


# CUDA's own interface


def cuda_array_interface(self: Tensor) -> dict[str, Any]:
    """Return the description of a CUDA tensor's memory, version 2 of Numba's interface.

    Raises
    ------
    AttributeError
        If it is no strided tensor on a CUDA device, or of a dtype that the interface has no name for.
    RuntimeError
        If it requires grad.
    """
    if not self.is_cuda:
        raise AttributeError(
            f"a tensor on {self.device} has no __cuda_array_interface__: cuda() copies it to a CUDA device"
        )
    if self.layout != core.strided:
        raise AttributeError(f"a tensor of layout {self.layout} has no __cuda_array_interface__: use to_dense() first")
    if self.requires_grad:
        raise RuntimeError("can't get __cuda_array_interface__ of a tensor that requires grad: use detach() first")
    strides = None if self.is_contiguous() else tuple(stride * self.itemsize for stride in self.stride())
    return {
        "typestr": typestr(self.dtype),
        "shape": tuple(self.shape),
        "strides": strides,
        "data": (self.data_ptr() if self.numel() else 0, False),
        "version": 2,
    }


def typestr(dtype: core.dtype) -> str:
    """Return NumPy's short name of a dtype, such as ``<f4``.

    Raises
    ------
    AttributeError
        If it has none.
    """
    if dtype == core.bool:
        return "|b1"
    name = str(dtype).removeprefix("torch.")
    kinds = {"float": "f", "complex": "c", "int": "i", "uint": "u"}
    kind = kinds.get(name.rstrip("0123456789"))
    if kind is None or name == "complex32":
        raise AttributeError(f"NumPy has no name for elements of dtype {dtype}")
    return f"{'|' if dtype.itemsize == 1 else '<'}{kind}{dtype.itemsize}"
