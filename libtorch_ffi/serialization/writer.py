"""Objects as the pickles that torch writes for them.

Owns the opcodes, and which objects there are: those that `libtorch_ffi.serialization.machine` reads back. torch's
functions are named in what is written and not asked for, so torch need not be there. What is the same object twice is
so again when it is read, and tensors keep their storages in common.
"""

from __future__ import annotations

import os
import struct
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

from libtorch_ffi import _dtypes
from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from libtorch_ffi._C import Tensor, UntypedStorage

_empty = one("empty")

_BATCH = 1000
"""So many items are put into a container at once, as Python's own pickler does it."""

_MOST_SHORT = 255
"""Bytes of the longest int that torch's own reader takes."""

_WITHOUT_CLASS = ("complex32", "uint16", "uint32", "uint64")
"""Dtypes with a legacy name of which torch has no class of storages."""


class Writer:
    """Writes one object.

    Attributes
    ----------
    storages
        The storages of the object's tensors as tensors of bytes, by the keys that the pickle has for them.
    """

    def __init__(self) -> None:
        self.storages: dict[str, Tensor] = {}
        self._out = bytearray(b"\x80\x02")
        self._memo: dict[int, int] = {}
        self._alive: list[object] = []
        self._keys: dict[UntypedStorage, tuple[str, core.dtype]] = {}

    def pickle(self, value: object) -> bytes:
        """Return the pickle.

        Raises
        ------
        ArchiveError
            If the object has a part that is no tensor, number, text or plain container of them.
        """
        try:
            self._write(value)
        except RecursionError:
            raise ArchiveError("the object is nested too deep to be saved, or contains itself") from None
        return bytes(self._out) + b"."

    def _write(self, value: Any) -> None:  # noqa: ANN401 - whatever is saved
        if id(value) in self._memo:
            self._out += b"j" + struct.pack("<I", self._memo[id(value)])
            return
        write = _WRITERS.get(type(value))
        if write is not None:
            write(self, value)
        elif isinstance(value, core.Tensor):
            self._tensor(value)
        else:
            raise ArchiveError(
                f"a {type(value).__module__}.{type(value).__qualname__} cannot be saved: only tensors, numbers, texts, "
                f"and dicts, lists, tuples and sets of them are{_instead(value)}"
            )

    def _keep(self, value: object) -> None:
        """Let later mentions of the object on the stack's top be references to it."""
        self._memo[id(value)] = len(self._alive)
        self._out += b"r" + struct.pack("<I", len(self._alive))
        self._alive.append(value)

    # Numbers and texts

    def _constant(self, value: bool | None) -> None:
        self._out += {None: b"N", True: b"\x88", False: b"\x89"}[value]

    def _int(self, value: int) -> None:
        if -(1 << 31) <= value < 1 << 31:
            self._out += b"J" + struct.pack("<i", value)
            return
        digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        short = len(digits) <= _MOST_SHORT
        self._out += (b"\x8a" + bytes([len(digits)]) if short else b"\x8b" + struct.pack("<I", len(digits))) + digits

    def _float(self, value: float) -> None:
        self._out += b"G" + struct.pack(">d", value)

    def _text(self, value: str) -> None:
        data = value.encode("utf-8", "surrogatepass")
        self._out += b"X" + struct.pack("<I", len(data)) + data
        self._keep(value)

    def _bytes(self, value: bytes) -> None:
        self._call("_codecs", "encode", value.decode("latin1"), "latin1")

    def _bytearray(self, value: bytearray) -> None:
        self._call("__builtin__", "bytearray", bytes(value))
        self._keep(value)

    def _complex(self, value: complex) -> None:
        self._call("__builtin__", "complex", value.real, value.imag)

    # Containers

    def _tuple(self, value: tuple[Any, ...]) -> None:
        self._out += b"("
        for item in value:
            self._write(item)
        self._out += b"t"
        self._keep(value)

    def _list(self, value: list[Any]) -> None:
        self._out += b"]"
        self._keep(value)
        for start in range(0, len(value), _BATCH):
            self._out += b"("
            for item in value[start : start + _BATCH]:
                self._write(item)
            self._out += b"e"

    def _dict(self, value: dict[Any, Any]) -> None:
        self._out += b"}"
        self._keep(value)
        self._items(value)

    def _ordered(self, value: OrderedDict[Any, Any]) -> None:
        self._call("collections", "OrderedDict")
        self._keep(value)
        self._items(value)
        metadata = vars(value).get("_metadata")
        if metadata is not None:  # what torch's modules add to their state dicts
            self._write({"_metadata": metadata})
            self._out += b"b"

    def _items(self, value: dict[Any, Any]) -> None:
        items = list(value.items())
        for start in range(0, len(items), _BATCH):
            self._out += b"("
            for key, item in items[start : start + _BATCH]:
                self._write(key)
                self._write(item)
            self._out += b"u"

    def _set(self, value: set[Any]) -> None:
        self._call("__builtin__", "set", list(value))
        self._keep(value)

    def _counter(self, value: Counter[Any]) -> None:
        self._call("collections", "Counter", dict(value))
        self._keep(value)

    # torch's own

    def _tensor(self, tensor: Tensor) -> None:
        plain = tensor.detach()
        if plain.layout != core.strided or plain.is_quantized or plain.is_nested:
            raise ArchiveError(
                f"a tensor of layout {plain.layout} and {plain.dtype} cannot be saved: "
                "call to_dense(), dequantize() or unbind() first"
            )
        if plain.is_meta:
            self._name("torch._utils", "_rebuild_meta_tensor_no_storage")
            self._arguments(plain.dtype, tuple(plain.shape), plain.stride(), tensor.requires_grad)
        else:
            self._strided(plain.resolve_conj().resolve_neg(), tensor.requires_grad)
        self._keep(tensor)

    def _strided(self, tensor: Tensor, requires_grad: bool) -> None:
        legacy = None if _short(tensor.dtype) in _WITHOUT_CLASS else _dtypes.LEGACY.get(_short(tensor.dtype))
        self._name("torch._utils", "_rebuild_tensor_v3" if legacy is None else "_rebuild_tensor_v2")
        self._out += b"("
        self._storage(tensor, legacy)
        hooks: OrderedDict[int, object] = OrderedDict()  # of which torch writes none
        for part in (tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), requires_grad, hooks):
            self._write(part)
        if legacy is None:
            self._write(tensor.dtype)
        self._out += b"tR"

    def _storage(self, tensor: Tensor, legacy: str | None) -> None:
        storage = tensor.untyped_storage()
        key, dtype = self._keys.setdefault(storage, (str(len(self._keys)), tensor.dtype))
        if dtype != tensor.dtype:
            raise ArchiveError(
                f"tensors of {dtype} and {tensor.dtype} share one storage, which no file can say: clone() one of them"
            )
        if key not in self.storages:
            memory: Tensor = _empty((0,), dtype=core.uint8, device=tensor.device)
            self.storages[key] = memory.set_(storage, 0, (storage.nbytes(),), (1,))
        self._out += b"("
        self._write("storage")
        self._name(*(("torch.storage", "UntypedStorage") if legacy is None else ("torch", f"{legacy}Storage")))
        count = storage.nbytes() // (1 if legacy is None else tensor.itemsize)
        for part in (key, str(tensor.device), count):
            self._write(part)
        self._out += b"tQ"

    def _size(self, value: core.Size) -> None:
        self._call("torch", "Size", tuple(value))

    def _device(self, value: core.device) -> None:
        self._call("torch", "device", value.type, *(() if value.index is None else (value.index,)))

    def _dtype(self, value: core.dtype) -> None:
        self._name("torch", _short(value))

    def _layout(self, value: core.layout) -> None:
        self._call("torch.serialization", "_get_layout", str(value))

    # Names and calls

    def _name(self, module: str, name: str) -> None:
        self._out += f"c{module}\n{name}\n".encode()

    def _arguments(self, *arguments: object) -> None:
        self._out += b"("
        for argument in arguments:
            self._write(argument)
        self._out += b"tR"

    def _call(self, module: str, name: str, *arguments: object) -> None:
        self._name(module, name)
        self._alive.append(arguments)  # an id is taken again once its object is gone
        self._arguments(*arguments)


def _instead(value: object) -> str:
    """Return what to save in the place of an object, as the end of a message."""
    if callable(getattr(value, "state_dict", None)):
        return "; save its state_dict()"
    if type(value).__module__ == "numpy":
        return "; save tensor(array)" if getattr(value, "ndim", 0) else "; save its item(), a number of Python's"
    if isinstance(value, dict):
        return "; save dict(it)"
    return "; save str(path)" if isinstance(value, os.PathLike) else ""


def _short(dtype: core.dtype) -> str:
    return str(dtype).removeprefix("torch.")


_WRITERS: dict[type, Callable[[Writer, Any], None]] = {
    type(None): Writer._constant,
    bool: Writer._constant,
    int: Writer._int,
    float: Writer._float,
    complex: Writer._complex,
    str: Writer._text,
    bytes: Writer._bytes,
    bytearray: Writer._bytearray,
    tuple: Writer._tuple,
    list: Writer._list,
    dict: Writer._dict,
    OrderedDict: Writer._ordered,
    set: Writer._set,
    Counter: Writer._counter,
    core.Size: Writer._size,
    core.device: Writer._device,
    core.dtype: Writer._dtype,
    core.layout: Writer._layout,
}
