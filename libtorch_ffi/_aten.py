"""Operators for the modules of this package that call them, typed by what they answer.

Owns the look-up, which fails when the module is imported rather than when the operator is first called; where an old
release lacks it, the call fails, and says which one has it. Programs have `libtorch_ffi.ops` for that.
"""

from __future__ import annotations

from libtorch_ffi._binding import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.errors import UnsupportedError

_SINCE = {"rms_norm": "2.4"}
"""Operators that came after 2.0, the oldest release that the package is for, and the first release that has them."""


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


def lacking(what: str, since: str) -> UnsupportedError:
    """Return the error that says which release of libtorch has what the one at hand lacks.

    Parameters
    ----------
    what
        The thing, as it stands after "libtorch 2.0.1 has no".
    since
        The first release that has it, such as ``"2.4"``.
    """
    from libtorch_ffi._load import read_record
    from libtorch_ffi.errors import UnsupportedError

    return UnsupportedError(
        f"libtorch {read_record()['version']}, which libtorch_ffi was built against, has no {what}; {since} and later "
        "ones do. Build against one of those: LIBTORCH_VERSION names it."
    )


def _packet(name: str) -> Callable[..., Any]:
    packet = core.function_packet(f"aten::{name}")
    if packet is not None:
        return packet
    if name not in _SINCE:
        raise AttributeError(f"libtorch has no operator aten::{name}")

    def missing(*_arguments: object, **_named: object) -> NoReturn:
        raise lacking(f"operator aten::{name}", _SINCE[name])

    return missing
