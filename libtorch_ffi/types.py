"""What arguments of operators may be, for annotations.

Owns the unions that the stubs of the operators name and that a program can name as well; `Number` and `Device` are
torch's names. They say what the core takes as it is; it also takes what has an ``__index__`` for an int, and a tensor
without dimensions for a number.
"""

from __future__ import annotations

from libtorch_ffi._binding import core

__all__ = ["DType", "Device", "Ints", "Number", "Tensors"]

Number = int | float | bool | complex
"""A Python number."""

Ints = tuple[int, ...] | list[int]
"""A shape, strides, dimensions: a Size is one."""

Tensors = tuple[core.Tensor, ...] | list[core.Tensor]
"""Several tensors."""

DType = core.dtype | type[bool] | type[int] | type[float] | type[complex]
"""A dtype, or the Python type of its numbers."""

Device = core.device | str | int
"""A device, its name such as ``cuda:0``, or the index of an accelerator."""
