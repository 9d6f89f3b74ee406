"""Every operator of libtorch, by its exact name: ``ops.aten.add.Tensor``.

Owns the namespaces: ``ops.<namespace>.<operator>`` is an overload packet, which chooses an overload by its arguments,
and ``ops.<namespace>.<operator>.<overload>`` one overload (``default`` where it has no name).
"""

from __future__ import annotations

from libtorch_ffi._binding import core
from libtorch_ffi.library import Namespace, load_library, namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Namespace", "load_library"]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module 'libtorch_ffi.ops' has no attribute {name!r}")
    found = namespace(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*__all__, *(name.partition("::")[0] for name in core.operators())})
