"""What a file of torch's may name: containers, numbers, dtypes, and the functions that make tensors of memory.

Owns the table for `libtorch_ffi.serialization.machine`, and the checks that stand between a file's numbers and a
tensor: sizes and strides that reach beyond their memory are refused here. torch's names are the keys; the functions
behind them are ours.
"""

from __future__ import annotations

import warnings
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libtorch_ffi import _dtypes
from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.errors import ArchiveError
from libtorch_ffi.serialization.machine import Builder, fault_of_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from libtorch_ffi._C import Tensor

_empty, _empty_strided = one("empty"), one("empty_strided")
_conj, _neg_view = one("_conj"), one("_neg_view")

_MOST_DIMENSIONS = 64


@dataclass(frozen=True)
class StorageKind:
    """The class of a storage: the dtype of its elements, or None where it only has bytes."""

    name: str
    dtype: core.dtype | None


@dataclass(frozen=True)
class Stored:
    """A storage of a file: its bytes, and the dtype that they were saved as."""

    memory: Tensor
    dtype: core.dtype | None


# Functions that make tensors, with the arguments that torch gives them


def tensor_v2(
    storage: Stored,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
    hooks: object = None,
    metadata: Mapping[str, object] | None = None,
) -> Tensor:
    """Make a strided tensor of a storage that has a dtype; ``torch._utils._rebuild_tensor_v2``."""
    del hooks  # functions, of which torch saves none
    if type(storage) is not Stored or storage.dtype is None:
        raise TypeError("the first argument is no storage with a dtype")
    return _finished(_view(storage.memory, storage.dtype, offset, size, stride), requires_grad, metadata)


def tensor_v3(
    storage: Stored,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
    hooks: object,
    dtype: core.dtype,
    metadata: Mapping[str, object] | None = None,
) -> Tensor:
    """Make a strided tensor of bytes; ``torch._utils._rebuild_tensor_v3``, for dtypes without a class of storages."""
    del hooks
    if type(storage) is not Stored or not isinstance(dtype, core.dtype):
        raise TypeError("the first argument is no storage, or the seventh no dtype")
    return _finished(_view(storage.memory, dtype, offset, size, stride), requires_grad, metadata)


def tensor_v1(storage: Stored, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Make a strided tensor; ``torch._utils._rebuild_tensor``."""
    return tensor_v2(storage, offset, size, stride, False)


def meta_tensor(dtype: core.dtype, size: tuple[int, ...], stride: tuple[int, ...], requires_grad: bool) -> Tensor:
    """Make a tensor without elements; ``torch._utils._rebuild_meta_tensor_no_storage``."""
    _check_integers(0, size, stride)
    return _finished(_empty_strided(size, stride, dtype=dtype, device="meta"), requires_grad, None)


def parameter(data: Tensor, requires_grad: bool, hooks: object = None, state: object = None) -> Tensor:
    """Make a parameter, which is a tensor that requires grad; ``torch._utils._rebuild_parameter``."""
    del hooks, state
    if not isinstance(data, core.Tensor):
        raise TypeError(f"a parameter is made of a tensor, not of a {type(data).__name__}")
    result: Tensor = data.detach().requires_grad_(bool(requires_grad))
    return result


def of_type(function: object, kind: object, arguments: object, state: object) -> Tensor:
    """Make a tensor that had attributes of its own, which are left out; ``torch._tensor._rebuild_from_type_v2``."""
    if type(function) is not Builder or function.call not in _MAKERS or type(arguments) is not tuple:
        raise TypeError("no function that makes tensors, or no arguments for it")
    if kind not in (_TENSOR, _PARAMETER):
        raise TypeError(f"{kind} is no class of tensors")
    if state:
        warnings.warn("a tensor of the file had attributes in Python, which are not loaded", stacklevel=2)
    made: Tensor = function.call(*arguments)
    return made


_MAKERS: tuple[Callable[..., Tensor], ...] = (tensor_v1, tensor_v2, tensor_v3, meta_tensor, parameter)
_TENSOR, _PARAMETER = "torch.Tensor", "torch.nn.parameter.Parameter"


def _view(memory: Tensor, dtype: core.dtype, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    _check_integers(offset, size, stride)
    if 0 not in size:
        last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        if (last + 1) * dtype.itemsize > memory.numel():
            raise ArchiveError(
                f"a tensor of shape {size}, strides {stride} and {dtype} from element {offset} on does not fit into a "
                f"storage of {memory.numel()} bytes"
            )
    elif offset * dtype.itemsize > memory.numel():
        offset = 0
    result = _empty((0,), dtype=dtype, device=memory.device)
    result.set_(memory.untyped_storage(), offset, size, stride)
    return result


def _check_integers(offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    numbers = [offset, *size, *stride]
    if any(type(number) is not int or not 0 <= number < 1 << 62 for number in numbers):
        raise ArchiveError(f"no tensor has offset {offset}, shape {size} and strides {stride}")
    if len(size) != len(stride) or len(size) > _MOST_DIMENSIONS:
        raise ArchiveError(f"a tensor has {len(size)} lengths and {len(stride)} strides")


def _finished(tensor: Tensor, requires_grad: bool, metadata: Mapping[str, object] | None) -> Tensor:
    marks = metadata or {}
    if type(marks) is not dict or set(marks) - {"conj", "neg"}:
        raise TypeError(f"tensors have no metadata {marks!r}")
    tensor = _conj(tensor) if marks.get("conj") else tensor
    tensor = _neg_view(tensor) if marks.get("neg") else tensor
    return tensor.requires_grad_() if requires_grad else tensor


# Everything else


def _bytes(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1") or type(text) is not str:
        raise TypeError(f"bytes are text in latin1, not in {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _bytearray(data: bytes = b"") -> bytearray:
    if type(data) is not bytes:
        raise TypeError("a bytearray is made of bytes")
    return bytearray(data)


def _set(items: list[Any]) -> set[Any]:
    if type(items) is not list or any(map(fault_of_key, items)):
        raise TypeError("a set is made of a list of numbers, texts and tuples of them")
    return set(items)


def _complex(real: float, imaginary: float) -> complex:
    return complex(float(real), float(imaginary))


def _size(lengths: tuple[int, ...]) -> core.Size:
    if type(lengths) is not tuple:
        raise TypeError("a Size is made of a tuple")
    return core.Size(lengths)


def _device(kind: str, index: int | None = None) -> core.device:
    return core.device(kind) if index is None else core.device(kind, index)


def _layout(name: str) -> core.layout:
    layouts = {str(one): one for one in vars(core).values() if isinstance(one, core.layout)}
    return layouts[name]


def _ordered(items: list[Any] | None = None) -> OrderedDict[Any, Any]:
    if items:
        raise TypeError("an OrderedDict of torch's is made empty, and filled")
    return OrderedDict()


def _counter(items: dict[Any, Any] | None = None) -> Counter[Any]:
    if items is not None and type(items) is not dict:
        raise TypeError("a Counter is made of a dict")
    return Counter(items)


def storage_kinds() -> dict[str, StorageKind]:
    """Return torch's classes of storages by their full names."""
    kinds = {
        f"torch.{legacy}Storage": StorageKind(f"{legacy}Storage", getattr(core, dtype))
        for dtype, legacy in _dtypes.LEGACY.items()
        if not legacy.startswith(("Q", "UInt", "ComplexHalf"))  # quantized; without a class of its own
    }
    return {**kinds, "torch.storage.UntypedStorage": StorageKind("UntypedStorage", None)}


def allowed() -> dict[str, object]:
    """Return everything that a file may name."""
    functions: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor": tensor_v1,
        "torch._utils._rebuild_tensor_v2": tensor_v2,
        "torch._utils._rebuild_tensor_v3": tensor_v3,
        "torch._utils._rebuild_meta_tensor_no_storage": meta_tensor,
        "torch._utils._rebuild_parameter": parameter,
        "torch._utils._rebuild_parameter_with_state": parameter,
        "torch._tensor._rebuild_from_type_v2": of_type,
        "torch.serialization._get_layout": _layout,
        "torch.Size": _size,
        "torch.device": _device,
        "collections.OrderedDict": _ordered,
        "collections.Counter": _counter,
        "_codecs.encode": _bytes,
        "builtins.bytes": _no_bytes,
        "builtins.bytearray": _bytearray,
        "builtins.complex": _complex,
        "builtins.set": _set,
    }
    dtypes = {str(value): value for value in vars(core).values() if isinstance(value, core.dtype)}
    builders = {name: Builder(name, function) for name, function in functions.items()}
    return {**dtypes, **storage_kinds(), **builders, _TENSOR: _TENSOR, _PARAMETER: _PARAMETER}
