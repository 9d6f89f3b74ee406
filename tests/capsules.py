"""DLPack capsules made by hand, field by field, as a producer with a fault would make them.

Owns the standard's structures in ctypes and a list of the deleters that were called. The memory of a capsule lives as
long as the process.
"""

from __future__ import annotations

import ctypes
from typing import Any

_python = ctypes.pythonapi
_python.PyCapsule_New.restype = ctypes.py_object
_python.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class DLTensor(ctypes.Structure):
    """An array: its fields are the standard's."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Managed(ctypes.Structure):
    """An array that is handed over, with the function that takes it back."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("array", DLTensor),
    )


deleted: list[int] = []
"""The addresses of the arrays that were given back."""

_kept: list[object] = []


_delete = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(deleted.append)


def capsule(values: list[float], **fields: Any) -> tuple[object, int]:
    """Return a versioned capsule over 32-bit numbers, and the address of what it holds.

    Parameters
    ----------
    values
        The elements.
    **fields
        Fields of the structures that are to be otherwise; ``shape`` and ``strides`` as lists, or None for a null.
    """
    memory = (ctypes.c_float * max(len(values), 1))(*values)
    managed = Managed(major=1, minor=0, deleter=ctypes.cast(_delete, ctypes.c_void_p).value)
    managed.array = DLTensor(data=ctypes.addressof(memory), device_type=1, ndim=1, code=2, bits=32, lanes=1)
    lists = {"shape": fields.pop("shape", [len(values)]), "strides": fields.pop("strides", [1])}
    for name, numbers in lists.items():
        setattr(managed.array, name, None if numbers is None else (ctypes.c_int64 * len(numbers))(*numbers))
    for name, value in fields.items():
        setattr(managed if hasattr(managed, name) else managed.array, name, value)
    _kept.append((memory, managed))
    address = ctypes.addressof(managed)
    return _python.PyCapsule_New(address, b"dltensor_versioned", None), address
