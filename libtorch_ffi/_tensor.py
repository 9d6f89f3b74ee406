"""The methods of Tensor that are written in Python.

Owns what torch defines on its Tensor beside the operators of aten, and what needs arguments that no schema has. The
compiled core puts every operator with a ``self`` on the type; `complete` adds these, and wins over an operator of the
same name. Methods that are functions of torch as well (`norm`, `unique`, `stft`) are in `_functions`, those of pickling
and copying in `_pickling`; both are imported when they are first called.

Left out of torch.Tensor, each for its reason:

- ``storage``, ``storage_type``: torch's typed storages, which it has deprecated; `untyped_storage` is here.
- ``share_memory_``, ``is_shared``: shared memory needs torch's own helper process; buffers of pickle protocol 5 and
  ``multiprocessing.shared_memory`` (by `from_numpy`) move tensors between processes.
- ``eig``, ``lstsq``, ``lu``, ``solve``, ``symeig``, ``reinforce``, ``volatile``, ``resize``, ``resize_as``: removed or
  deprecated in torch itself; ``linalg`` has the first five.
- ``__torch_function__``, ``__torch_dispatch__``, ``_make_subclass``, ``_dtensor__new__``, ``_view_func`` and other
  parts of torch's own machinery in Python.
- ``ipu``, ``xpu``, ``mtia``, ``is_ipu``, ``is_maia``: devices of which no official libtorch is made; ``to("xpu")``
  works where a libtorch has it.
- ``module_load``, ``grad_dtype``: of torch.nn and of torch 2.13 alone.
"""

from __future__ import annotations

from libtorch_ffi import _C as core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any, SupportsIndex

    import numpy as np

    from libtorch_ffi._C import Tensor
    from libtorch_ffi._dlpack import DLDeviceType
    from libtorch_ffi.types import Device, DType, Number


def complete(tensor_type: type[Tensor]) -> None:
    """Add the methods below to the type."""
    for method in _METHODS:
        setattr(tensor_type, method.__name__, method)
    for name, getter in _PROPERTIES.items():
        setattr(tensor_type, name, property(getter))
    tensor_type.__array_priority__ = 1000  # above NumPy's arrays: array + tensor asks the tensor first


def backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradient of this tensor to the leaves that it depends on.

    Parameters
    ----------
    gradient
        The gradient of some scalar with respect to this tensor, of its shape; may be left out for a tensor of one
        element.
    retain_graph
        Keep the graph, to differentiate once more; by default what `create_graph` is.
    create_graph
        Record the differentiation, so that it can be differentiated itself.
    inputs
        Only these leaves gather gradients; by default all do.

    Raises
    ------
    RuntimeError
        If nothing was recorded that led to this tensor, or the graph was used up.
    """
    leaves = [] if inputs is None else [inputs] if isinstance(inputs, core.Tensor) else list(inputs)
    if inputs is not None and not leaves:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    core.backward([self], [] if gradient is None else [gradient], retain_graph, create_graph, leaves)


def numpy(self: Tensor, *, force: bool = False) -> np.ndarray[Any, Any]:
    """Return a NumPy array over this tensor's memory.

    Parameters
    ----------
    force
        Detach, move to the host and resolve what has to be: a copy where the memory cannot be shared.

    Raises
    ------
    TypeError, RuntimeError
        If the memory cannot be shared as it is: on another device, sparse, requiring grad, of a dtype that NumPy lacks.
    """
    array: np.ndarray[Any, Any] = core.to_numpy(self, force)
    return array


def __array__(self: Tensor, dtype: np.typing.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
    """Return a NumPy array; what NumPy's functions call.

    Raises
    ------
    ValueError
        If `copy` is False, and another dtype is asked for.
    """
    array: np.ndarray[Any, Any] = core.to_numpy(self, False)
    if dtype is not None and array.dtype != dtype:
        if copy is False:
            raise ValueError(f"can't make an array of dtype {dtype} of a tensor of {self.dtype} without a copy")
        return array.astype(dtype)
    return array.copy() if copy else array


def __dlpack__(
    self: Tensor,
    *,
    stream: int | None = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
) -> object:
    """Return a DLPack capsule over this tensor's memory, for another library to consume once.

    Parameters
    ----------
    stream
        On a CUDA device, the consumer's stream by its address, which waits for the work that makes the tensor; 1 or
        None for the default stream, -1 for no waiting. On the CPU, None or -1.
    max_version
        The newest version that the consumer reads; a capsule without a version is made where that is none, or older
        than 1.0.
    dl_device
        Where the memory is to lie, as ``(type, index)``: on the tensor's own device, or ``(1, 0)`` for the CPU.
    copy
        True for a copy, False for an error where one is needed.

    Raises
    ------
    BufferError
        If the memory cannot be exported: it requires grad, is not strided, has a dtype or device that DLPack lacks.
    """
    from libtorch_ffi import _dlpack

    return _dlpack.export(self, stream, max_version, dl_device, copy)


def __dlpack_device__(self: Tensor) -> tuple[DLDeviceType, int]:
    """Return the device as DLPack's type and index.

    Raises
    ------
    BufferError
        If DLPack has no such device.
    """
    from libtorch_ffi import _dlpack

    kind, index = core.dlpack_device(self)
    return _dlpack.DLDeviceType(kind), index


def __array_namespace__(self: Tensor, *, api_version: str | None = None) -> ModuleType:
    """Return the namespace of the array API standard, `libtorch_ffi.array_api`.

    Raises
    ------
    ValueError
        If another version of the standard is asked for than those that it keeps to.
    """
    from libtorch_ffi import array_api

    del self
    if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
        raise ValueError(
            f"the version {api_version!r} of the array API standard is not known; {array_api.__array_api_version__} is"
        )
    return array_api


def to_device(self: Tensor, device: Device, /, *, stream: object = None) -> Tensor:
    """Return the tensor on a device; the array API standard's name of ``to``.

    Raises
    ------
    ValueError
        If a stream is given: set it with ``cuda.stream``.
    """
    if stream is not None:
        raise ValueError(f"to_device() takes no stream, and was given {stream!r}: use `with cuda.stream(...)`")
    return self.to(device)


def _cuda_array_interface(self: Tensor) -> dict[str, Any]:
    """Return the description of a CUDA tensor's memory that Numba and CuPy read; it is no attribute elsewhere."""
    from libtorch_ffi import _dlpack

    return _dlpack.cuda_array_interface(self)


def __array_wrap__(
    self: Tensor, array: np.ndarray[Any, Any], context: object = None, return_scalar: bool = False
) -> Tensor:
    """Return what a NumPy function answered for a tensor as a tensor."""
    del self, context, return_scalar
    if array.dtype == bool:
        array = array.astype("uint8")  # as torch does, for programs that count on it
    return core.from_numpy(array)


def __format__(self: Tensor, spec: str) -> str:
    """Format as a number where there are no dimensions; otherwise only as text."""
    if self.dim() == 0 and not self.is_meta:
        return format(self.item(), spec)
    return object.__format__(self, spec)


def __reversed__(self: Tensor) -> Tensor:
    """Return a copy with the first dimension reversed."""
    return _operator("flip")(self, (0,)) if self.dim() else self


def __copy__(self: Tensor) -> Tensor:
    """Return another tensor over the same memory."""
    from libtorch_ffi import _pickling

    return _pickling.shallow(self)


def __deepcopy__(self: Tensor, memo: dict[object, Any]) -> Tensor:
    """Return a tensor over memory of its own."""
    from libtorch_ffi import _pickling

    return _pickling.deep(self, memo)


def __reduce_ex__(self: Tensor, protocol: SupportsIndex) -> tuple[Any, ...]:
    """Take the tensor apart for a pickle; from protocol 5 on its elements are a buffer that may travel out of band."""
    from libtorch_ffi import _pickling

    return _pickling.reduce(self, int(protocol))


def as_subclass(self: Tensor, cls: type[Tensor]) -> Tensor:
    """Return a tensor over the same memory that is an instance of a subclass of Tensor."""
    return core.Tensor.__new__(cls, self)


def apply_(self: Tensor, function: Callable[[Any], Any]) -> Tensor:
    """Replace each element by what a Python function answers for it; slow, and for the CPU only."""
    return _replaced(self, function, self)


def map_(self: Tensor, other: Tensor, function: Callable[[Any, Any], Any]) -> Tensor:
    """Replace each element by what a Python function answers for it and for `other`'s."""
    return _replaced(self, function, self, other)


def map2_(self: Tensor, first: Tensor, second: Tensor, function: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replace each element by what a Python function answers for it and for those of two others."""
    return _replaced(self, function, self, first, second)


def _replaced(self: Tensor, function: Callable[..., Any], *tensors: Tensor) -> Tensor:
    for tensor in tensors:
        if tensor.device.type != "cpu":
            raise TypeError("a Python function is applied to the elements of CPU tensors only: call cpu() first")
        if tensor.requires_grad:
            raise RuntimeError("Can't apply a Python function to a Tensor that requires grad: call detach() first")
    columns = [tensor.expand(self.shape).flatten().tolist() for tensor in tensors]
    values = core.tensor([function(*row) for row in zip(*columns, strict=True)], dtype=self.dtype)
    self.copy_(values.view(self.shape))
    return self


def dim_order(self: Tensor) -> tuple[int, ...]:
    """Return the dimensions from the one with the largest stride to the one with the smallest."""
    return tuple(sorted(range(self.dim()), key=self.stride().__getitem__, reverse=True))


def new(self: Tensor, *args: object, device: Device | None = None) -> Tensor:
    """Return a tensor of this one's dtype: of given sizes, uninitialized, or of given data."""
    place = self.device if device is None else device
    if len(args) == 1 and not isinstance(args[0], (int, core.Size)):
        return core.tensor(args[0], dtype=self.dtype, device=place)
    sizes = args[0] if args and isinstance(args[0], core.Size) else args
    result: Tensor = self.new_empty(sizes or (0,), device=place)
    return result


def new_tensor(
    self: Tensor,
    data: object,
    *,
    dtype: DType | None = None,
    device: Device | None = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Return a new tensor of some data, by default of this one's dtype and on its device."""
    return core.tensor(
        data,
        dtype=self.dtype if dtype is None else dtype,
        device=self.device if device is None else device,
        requires_grad=requires_grad,
        pin_memory=pin_memory,
    )


def type_(self: Tensor, dtype: DType | str | None = None, non_blocking: bool = False) -> Tensor | str:
    """Return the name of the tensor's type (``torch.FloatTensor``), or the tensor as another dtype.

    Parameters
    ----------
    dtype
        A dtype, or the name of a type.
    non_blocking
        Do not wait for a copy from or to a device.
    """
    from libtorch_ffi import _dtypes

    if dtype is None:
        return _dtypes.type_name(self)
    if isinstance(dtype, str):
        place, dtype = _dtypes.parse_type_name(dtype)
        return self.to(place, dtype, non_blocking)
    return self.to(dtype, non_blocking)


def polygamma(self: Tensor, n: int) -> Tensor:
    """Return the nth derivative of the digamma function."""
    return _operator("polygamma")(n, self)


def where(self: Tensor, condition: Tensor, other: Tensor | Number) -> Tensor:
    """Return this tensor's elements where a condition holds, and `other`'s elsewhere."""
    return _operator("where")(condition, self, other)


def to_sparse_coo(self: Tensor) -> Tensor:
    """Return the tensor in the layout sparse_coo."""
    return _operator("to_sparse")(self)


def _operator(name: str) -> Callable[..., Tensor]:
    from libtorch_ffi._aten import one  # which needs the methods to be complete

    return one(name)


class _Borrowed:
    """A method that is a function of the package, which takes this one's place when it is first asked for."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __get__(self, instance: Tensor | None, owner: type[Tensor]) -> Callable[..., object]:
        import libtorch_ffi

        setattr(core.Tensor, self.__name__, getattr(libtorch_ffi, self.__name__))
        found: Callable[..., object] = getattr(owner if instance is None else instance, self.__name__)
        return found


type_.__name__ = type_.__qualname__ = "type"  # as a function of that name it would hide Python's in this module

_METHODS: list[Callable[..., Any] | _Borrowed] = [
    backward,
    numpy,
    __array__,
    __array_namespace__,
    __array_wrap__,
    __copy__,
    __deepcopy__,
    __dlpack__,
    __dlpack_device__,
    __format__,
    __reduce_ex__,
    __reversed__,
    apply_,
    as_subclass,
    dim_order,
    map_,
    map2_,
    new,
    new_tensor,
    polygamma,
    to_device,
    to_sparse_coo,
    type_,
    where,
    *map(_Borrowed, ("nonzero", "norm", "stft", "unique", "unique_consecutive")),
]

_PROPERTIES: dict[str, Callable[[Tensor], Any]] = {"__cuda_array_interface__": _cuda_array_interface}
