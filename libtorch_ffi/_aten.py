"""Operators for the modules of this package that call them, typed by what they answer.

Owns the look-up, which fails when the module is imported rather than when the operator is first called. Programs have
`libtorch_ffi.ops` for that.
"""

from __future__ import annotations

from libtorch_ffi._binding import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from libtorch_ffi._C import OverloadPacket, Tensor


def one(name: str) -> Callable[..., Tensor]:
    """Return an operator of aten that answers a tensor."""
    return _packet(name)


def many(name: str) -> Callable[..., tuple[Tensor, ...]]:
    """Return an operator of aten that answers several tensors."""
    return _packet(name)


def overload_of(name: str, overload: str) -> Callable[..., Tensor]:
    """Return one overload of an operator of aten that answers a tensor."""
    found: Callable[..., Tensor] = getattr(_packet(name), overload)
    return found


def _packet(name: str) -> OverloadPacket:
    packet = core.function_packet(f"aten::{name}")
    if packet is None:
        raise AttributeError(f"libtorch has no operator aten::{name}")
    return packet
