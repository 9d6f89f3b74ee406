"""Modules whose functions are operators with a prefix: ``linalg.norm`` is ``aten::linalg_norm``.

Owns how such a module looks its names up and lists them. Holds no function itself.
"""

from __future__ import annotations

import sys

from libtorch_ffi._binding import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from libtorch_ffi._C import OverloadPacket


def namespace(
    module: str, prefix: str, others: dict[str, str] | None = None
) -> tuple[Callable[[str], OverloadPacket], Callable[[], list[str]]]:
    """Return a module's ``__getattr__`` and ``__dir__``.

    Parameters
    ----------
    module
        The module's name.
    prefix
        What its operators' names in aten begin with.
    others
        Names of the module whose operator is called otherwise.
    """
    renamed = others or {}

    def look_up(name: str) -> OverloadPacket:
        packet = None if name.startswith("__") else core.function_packet(f"aten::{renamed.get(name, prefix + name)}")
        if packet is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}: libtorch has no operator for it")
        setattr(sys.modules[module], name, packet)
        return packet

    def names() -> list[str]:
        operators = {name.partition(".")[0].removeprefix("aten::") for name in core.operators()}
        found = {name.removeprefix(prefix) for name in operators if name.startswith(prefix)}
        also = {name for name, operator in renamed.items() if operator in operators}
        return sorted({*found, *also, *vars(sys.modules[module])})

    return look_up, names
