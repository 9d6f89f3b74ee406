"""Tensors and operators in pickles, and copies of tensors.

Owns what a tensor is taken apart into and the functions that put it together again; pickles name those functions, so
their names and arguments stay. With protocol 5 the elements travel as one buffer, out of band where the reader of the
pickle asks for that, so that processes hand tensors on without copying them. A pickle holds the elements that the
tensor shows, never more of the memory that it is a view of; whether gradients are asked for is kept, the graph is not.
"""

from __future__ import annotations

import copy
import pickle

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.errors import LibraryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from libtorch_ffi._C import Tensor

    Reduced: TypeAlias = tuple[Callable[..., Tensor], tuple[Any, ...], dict[str, Any] | None]

_OUT_OF_BAND = 5
"""The first pickle protocol with buffers that may travel beside it."""

_as_strided, _clone, _empty_strided = map(one, ("as_strided", "clone", "empty_strided"))


def reduce(tensor: Tensor, protocol: int) -> Reduced:
    """Return a function and its arguments that make an equal tensor, and the attributes that a subclass may have.

    Parameters
    ----------
    tensor
        On any device, of any layout.
    protocol
        The pickle protocol; from 5 on the elements are a `pickle.PickleBuffer`.

    Raises
    ------
    NotImplementedError
        If its layout is one that only some operators know inside, such as oneDNN's.
    """
    kind, plain = type(tensor), tensor.detach()
    make: Callable[..., Tensor]
    parts: tuple[Any, ...]
    if plain.is_nested:
        make, parts = nested, (list(plain.unbind()), plain.layout)
    elif plain.is_quantized:
        make, parts = quantized, (plain.int_repr(), *_quantizer(plain))
    elif plain.is_meta:
        make, parts = meta, (tuple(plain.shape), plain.stride(), plain.dtype)
    elif plain.layout == core.strided:
        make, parts = strided, (*_memory(plain, protocol), plain.dtype, str(plain.device))
    elif plain.layout == core.sparse_coo:
        make, parts = sparse_coo, (plain._indices(), plain._values(), tuple(plain.shape), plain.is_coalesced())  # noqa: SLF001 - torch's names
    else:
        make, parts = compressed, (*_compressed_parts(plain), tuple(plain.shape), plain.layout)
    return finish, (kind, make, parts, tensor.requires_grad), getattr(tensor, "__dict__", None) or None


def finish(kind: type[Tensor], make: Callable[..., Tensor], parts: tuple[Any, ...], requires_grad: bool) -> Tensor:
    """Return the tensor that `make` makes of its parts, as an instance of `kind`."""
    tensor = make(*parts)
    if kind is not core.Tensor:
        tensor = core.Tensor.__new__(kind, tensor)
    return tensor.requires_grad_() if requires_grad else tensor


# Strided tensors: their elements in the order of their memory, where they fill it; else in the order of their indices.


def _memory(tensor: Tensor, protocol: int) -> tuple[object, tuple[int, ...], tuple[int, ...]]:
    tensor = tensor.cpu().resolve_conj().resolve_neg()
    if not tensor._is_dense():  # noqa: SLF001 - our own method
        tensor = tensor.contiguous()
    shape, stride = tuple(tensor.shape), tensor.stride()
    if tensor.numel() == 0:
        return b"", shape, stride
    flat = tensor.as_strided((tensor.numel(),), (1,)).view(core.uint8)
    buffer = pickle.PickleBuffer(flat)
    return buffer if protocol >= _OUT_OF_BAND else bytes(buffer), shape, stride


def strided(buffer: object, shape: tuple[int, ...], stride: tuple[int, ...], dtype: core.dtype, device: str) -> Tensor:
    """Make a strided tensor over a buffer with its elements.

    A buffer that may be written to becomes the tensor's memory. One that may not is copied: a tensor does not know that
    its memory is not to be written to, and to write to a page that is mapped for reading would end the process.
    """
    if 0 in shape:
        return _empty_strided(shape, stride, dtype=dtype, device=device)
    memory = memoryview(buffer)  # type: ignore[arg-type]
    flat = core.from_numpy(bytearray(memory) if memory.readonly else memory)
    elements: Tensor = flat.view(dtype)
    return _as_strided(elements, shape, stride).to(device)


# The other layouts: their parts are tensors, each pickled by itself.


def meta(shape: tuple[int, ...], stride: tuple[int, ...], dtype: core.dtype) -> Tensor:
    """Make a tensor without elements."""
    return _empty_strided(shape, stride, dtype=dtype, device="meta")


def sparse_coo(indices: Tensor, values: Tensor, shape: tuple[int, ...], coalesced: bool) -> Tensor:
    """Make a tensor of the layout sparse_coo."""
    make, mark = one("sparse_coo_tensor"), one("_coalesced_")  # 2.0 cannot make it coalesced
    return mark(make(indices, values, shape), coalesced)


def _compressed_parts(tensor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    if tensor.layout in (core.sparse_csr, core.sparse_bsr):
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    if tensor.layout in (core.sparse_csc, core.sparse_bsc):
        return tensor.ccol_indices(), tensor.row_indices(), tensor.values()
    raise NotImplementedError(f"a tensor of layout {tensor.layout} cannot be pickled: use to_dense() first")


def compressed(outer: Tensor, inner: Tensor, values: Tensor, shape: tuple[int, ...], layout: core.layout) -> Tensor:
    """Make a tensor of a compressed sparse layout."""
    make = one("sparse_compressed_tensor")
    return make(outer, inner, values, shape, layout=layout)


def _quantizer(tensor: Tensor) -> tuple[object, ...]:
    if tensor.qscheme() in (core.per_tensor_affine, core.per_tensor_symmetric):
        return tensor.q_scale(), tensor.q_zero_point(), None
    return tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points(), tensor.q_per_channel_axis()


def quantized(integers: Tensor, scale: float | Tensor, zero_point: int | Tensor, axis: int | None) -> Tensor:
    """Make a quantized tensor of its integers; for one quantized per channel, `axis` says along which dimension."""
    if axis is None:
        return one("_make_per_tensor_quantized_tensor")(integers, scale, zero_point)
    return one("_make_per_channel_quantized_tensor")(integers, scale, zero_point, axis)


def nested(tensors: list[Tensor], layout: core.layout) -> Tensor:
    """Make a nested tensor of the tensors in it."""
    return one("_nested_tensor_from_tensor_list")(tensors, layout=layout)


# What operators answer


def reduce_results(results: tuple[object, ...]) -> tuple[Callable[..., object], tuple[object, ...]]:
    """Return a function and its arguments that make equal results, such as `values` and `indices`."""
    operator: tuple[str, str] = getattr(type(results), "_operator")  # noqa: B009 - a tuple's own type has none
    return named_results, (*operator, tuple(results))


def named_results(operator: str, overload: str, results: tuple[object, ...]) -> object:
    """Put the results of an overload together again."""
    packet = core.ops_packet(operator)
    return getattr(packet, overload or "default").result_type(results)


# Operators, by their names


def packet(name: str) -> object:
    """Return what ``ops`` has under 'namespace::name'.

    Raises
    ------
    LibraryError
        If this process has no such operator: it is a custom one, whose library is not loaded here.
    """
    return _registered(core.ops_packet(name), name)


def function(name: str) -> object:
    """Return the function that chooses among the overloads of 'namespace::name'."""
    return _registered(core.function_packet(name), name)


def method(name: str) -> object:
    """Return the method of Tensor that does so."""
    found: object = getattr(core.Tensor, name.partition("::")[2])
    return found


def overload(name: str) -> object:
    """Return one overload, 'namespace::name.overload'."""
    operator, _, own = name.partition(".")
    found: object = getattr(packet(operator), own or "default")
    return found


def _registered(found: object, name: str) -> object:
    if found is None:
        raise LibraryError(
            f"this process has no operator {name}, which a pickle names: load its library first (ops.load_library), or "
            "define it"
        )
    return found


# Copies


def shallow(tensor: Tensor) -> Tensor:
    """Return another tensor over the same memory; what `copy.copy` asks for."""
    return finish(type(tensor), tensor.detach, (), tensor.requires_grad)


def deep(tensor: Tensor, memo: dict[Any, Any]) -> Tensor:
    """Return a tensor over memory of its own; what `copy.deepcopy` asks for.

    Tensors that are views of one memory, and are copied by one `copy.deepcopy`, become views of one copy.

    Raises
    ------
    RuntimeError
        If the tensor was computed and is part of a graph.
    """
    if id(tensor) in memo:
        known: Tensor = memo[id(tensor)]
        return known
    if not tensor.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. "
            "Copy tensor.detach() instead, which is no part of the graph."
        )
    result = finish(type(tensor), _cloned, (tensor.detach(), memo), tensor.requires_grad)
    if tensor.grad is not None:
        result.grad = copy.deepcopy(tensor.grad, memo)  # which keeps this handle, and so the id in the memo, taken
    memo[id(tensor)] = result
    return result


def _cloned(tensor: Tensor, memo: dict[Any, Any]) -> Tensor:
    if tensor.layout != core.strided or tensor.is_quantized or tensor.is_nested or tensor.is_meta:
        return _clone(tensor)
    if tensor.is_conj() or tensor.is_neg():
        return _clone(tensor)
    memory = tensor.untyped_storage()
    key = (memory, tensor.dtype)  # which also keeps the memory from being freed and taken by another meanwhile
    if key not in memo:
        count = memory.nbytes() // tensor.element_size()
        memo[key] = tensor.as_strided((count,), (1,), 0).clone()
    whole: Tensor = memo[key]
    return _as_strided(whole, tensor.shape, tensor.stride(), tensor.storage_offset())
