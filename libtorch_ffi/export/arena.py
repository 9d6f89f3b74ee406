"""One stretch of memory for the weights of a program, in huge pages where the kernel gives them.

A call with a small batch reads each weight once, and a processor that knows few pages at a time looks most of them up
again: in pages of 2 MiB there are 512 times fewer. Knows nothing of archives or tensors.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALIGNMENT = 64
"""Bytes that the address of each part is a multiple of: as of libtorch's own memory, and what wide vectors ask for."""


def _rounded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


class Arena:
    """Memory that is taken part by part; it is given back when nothing uses any of its parts.

    Parameters
    ----------
    sizes
        Bytes of the parts that will be taken, in any order.

    Raises
    ------
    OSError
        If there is not so much memory.
    """

    def __init__(self, sizes: Iterable[int]) -> None:
        size = sum(map(_rounded, sizes))
        memory = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):  # a kernel that was built without them
                memory.madvise(mmap.MADV_HUGEPAGE)
        self._memory = memoryview(memory)
        self._taken = 0

    def take(self, size: int) -> memoryview:
        """Return the next part, of so many bytes, all of them zero."""
        part = self._memory[self._taken : self._taken + size]
        self._taken += _rounded(size)
        return part
