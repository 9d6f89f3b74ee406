"""Operators that do not come with libtorch: libraries that register their own.

Owns loading them, and `Namespace`, through which ``ops`` gives every operator out.
"""

from __future__ import annotations

from libtorch_ffi._binding import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from libtorch_ffi._C import OverloadPacket

__all__ = ["Namespace", "load_library"]


class Namespace:
    """The operators of one namespace of the dispatcher, as attributes.

    Parameters
    ----------
    name
        Such as ``aten``.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, operator: str) -> OverloadPacket:
        """Look an operator up; the next time it is an attribute."""
        packet = core.ops_packet(f"{self.__name__}::{operator}")
        if packet is None:
            raise AttributeError(f"libtorch has no operator {self.__name__}::{operator}")
        setattr(self, operator, packet)
        return packet

    def __dir__(self) -> list[str]:
        prefix = f"{self.__name__}::"
        return sorted({name[len(prefix) :].partition(".")[0] for name in core.operators() if name.startswith(prefix)})

    def __repr__(self) -> str:
        return f"<libtorch_ffi.ops.{self.__name__}>"


def load_library(path: str | os.PathLike[str]) -> None:
    """Load a shared library that registers operators; from then on they are here.

    Parameters
    ----------
    path
        A library that was built against the same libtorch, with ``TORCH_LIBRARY`` in it. Its code runs: load only what
        you trust.

    Raises
    ------
    OSError
        If it cannot be loaded; the text is the loader's.
    """
    import ctypes
    import os

    ctypes.CDLL(os.fspath(path))
    core.refresh()
