"""Tensors of what a program has: arrays, buffers, numbers in lists.

Owns when memory is shared and when it is copied. The memory of NumPy and DLPack itself is the core's and
`libtorch_ffi._dlpack`'s.
"""

from __future__ import annotations

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libtorch_ffi._C import Tensor
    from libtorch_ffi.types import Device, DType

__all__ = ["asarray", "frombuffer"]

_empty = one("empty")


def asarray(
    obj: object,
    *,
    dtype: DType | None = None,
    device: Device | None = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor of some data, sharing its memory where it can.

    Parameters
    ----------
    obj
        A tensor, an array (an object with the buffer protocol, DLPack or NumPy's ``__array__``), a number, or nested
        sequences of numbers.
    dtype, device
        What the tensor is to have; by default what the data has.
    copy
        True never shares memory, False only shares: where it cannot, that is an error.
    requires_grad
        Whether gradients are to reach the tensor.

    Raises
    ------
    ValueError
        If `copy` is False and the data would have to be copied.
    """
    if copy:
        result = core.tensor(obj, dtype=dtype, device=device)
    else:
        source = obj if isinstance(obj, core.Tensor) else _over_memory(obj, dtype, must_share=copy is False)
        result = core.as_tensor(source, dtype=dtype, device=device)
        if copy is False and result.data_ptr() != source.data_ptr():
            raise ValueError(
                f"can't alias tensor of {source.dtype} on {source.device} as {result.dtype} on {result.device}: "
                "leave copy=False out to let it be copied"
            )
    if result.requires_grad and not requires_grad:
        result = result.detach()
    elif requires_grad:
        result.requires_grad = True
    return result


def _over_memory(obj: object, dtype: DType | None, *, must_share: bool) -> Tensor:
    if isinstance(obj, (bytes, bytearray, memoryview)):
        return frombuffer(obj, dtype=core.get_default_dtype() if dtype is None else dtype)
    if _has_memory(obj):
        return core.from_numpy(obj)
    if hasattr(type(obj), "__dlpack__") or hasattr(type(obj), "__array__") or type(obj).__name__ == "PyCapsule":
        return core.as_tensor(obj)
    if must_share:
        raise ValueError("can't alias arbitrary sequence into a tensor: leave copy=False out to let it be copied")
    return core.tensor(obj, dtype=dtype)


def _has_memory(obj: object) -> bool:
    try:
        memoryview(obj)  # type: ignore[arg-type] # that it may not be one is the question
    except TypeError:
        return False
    return True


def frombuffer(
    buffer: object, *, dtype: DType, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """Return a 1-dimensional tensor over the memory of an object with the buffer protocol.

    Parameters
    ----------
    buffer
        Such as bytes, a bytearray or an array; it is kept as long as the tensor.
    dtype
        How its bytes are read.
    count
        So many elements; negative for as many as there are.
    offset
        The first so many bytes are passed over.
    requires_grad
        Whether gradients are to reach the tensor.

    Raises
    ------
    ValueError
        If it is no such object, there are fewer bytes than asked for, or bytes that make no whole element.
    """
    try:
        memory = memoryview(buffer).cast("B")  # type: ignore[arg-type] # likewise
    except TypeError as error:
        raise ValueError(f"frombuffer() takes a contiguous object with Python's buffer protocol: {error}") from None
    kind = _empty((0,), dtype=dtype).dtype  # Python's float, say, means one as well
    count = _count(memory.nbytes, kind.itemsize, count, offset)
    result: Tensor = core.from_numpy(memory[offset : offset + count * kind.itemsize]).view(kind)
    result.requires_grad = requires_grad
    return result


def _count(length: int, size: int, count: int, offset: int) -> int:
    """Return how many elements of a size are meant; raise what torch raises where there are not as many."""
    left = length - offset
    if length == 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} bytes) minus 1"
        )
    if count < 0 and left % size:
        raise ValueError(
            f"buffer length ({left} bytes) after offset ({offset} bytes) must be a multiple of element size ({size})"
        )
    count = left // size if count < 0 else count
    if count * size > left:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must not be greater than "
            f"actual buffer length ({length} bytes)"
        )
    return count
