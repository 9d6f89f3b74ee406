"""Tensors that are given one by one, or as one sequence: torch takes both.

Owns that rule alone; what the tensors are for is the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from libtorch_ffi._C import Tensor

    Spread: TypeAlias = Tensor | Sequence[Tensor]

__all__ = ["spread"]


def spread(tensors: tuple[Spread, ...]) -> Sequence[Any]:
    """Return tensors that were given one by one, or as one sequence."""
    first = tensors[0] if len(tensors) == 1 else None
    return first if isinstance(first, (list, tuple)) else tensors
