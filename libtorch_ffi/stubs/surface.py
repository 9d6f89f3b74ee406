"""What the package offers, asked of the package itself.

Owns the questions: which operators the libtorch at hand has, which of their names the package has given to something
else, what is written by hand. The answers are what `libtorch_ffi.stubs.files` writes down.
"""

from __future__ import annotations

import ast
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING

import libtorch_ffi
from libtorch_ffi._binding import core
from libtorch_ffi.errors import UnsupportedError
from libtorch_ffi.stubs.schema import parse

if TYPE_CHECKING:
    from libtorch_ffi.stubs.schema import Schema

BY_HAND = Path(__file__).parents[1] / "_C.pyi"
"""The stub of the compiled core."""

CONSTANTS = (core.dtype, core.layout, core.memory_format, core.qscheme)

Operators = dict[str, dict[str, list["Schema"]]]


def operators() -> Operators:
    """Return all overloads by namespace and operator, each operator's in the order in which they are tried."""
    names = dict.fromkeys(name.partition(".")[0] for name in sorted(core.operators()))
    found: Operators = {}
    for full in names:
        packet = core.ops_packet(full)
        if packet is not None:
            namespace, _, name = full.partition("::")
            schemas = [parse(getattr(packet, overload).schema) for overload in packet.overloads()]
            found.setdefault(namespace, {})[name] = schemas
    return found


def modules() -> list[str]:
    """Return the public modules."""
    return sorted(libtorch_ffi._MODULES)  # noqa: SLF001 - the package's own table


def prefixed() -> dict[str, dict[str, str]]:
    """Return the modules whose functions are operators with a prefix: by module, name and operator.

    ``linalg``, for one: ``norm`` is ``linalg_norm``.
    """
    found: dict[str, dict[str, str]] = {}
    for name in modules():
        try:
            module = getattr(libtorch_ffi, name)
        except UnsupportedError:  # this libtorch is too old for it
            continue
        if getattr(vars(module).get("__getattr__"), "__module__", "") == "libtorch_ffi._namespace":
            values = {one: getattr(module, one) for one in dir(module)}
            found[name] = {
                one: value.__name__ for one, value in values.items() if isinstance(value, core.OverloadPacket)
            }
    return found


def homes() -> dict[str, str]:
    """Return the public names that a module of the package defines, and which."""
    return dict(sorted(libtorch_ffi._HOMES.items()))  # noqa: SLF001 - the package's own table


def constants() -> dict[str, str]:
    """Return the dtypes, layouts and their like by name, each with the name of its type."""
    values = {name: getattr(core, name) for name in dir(core)}
    return {name: type(value).__name__ for name, value in values.items() if isinstance(value, CONSTANTS)}


def core_names() -> list[str]:
    """Return the other public names of the core that its stub has."""
    declared = {name for statement in _by_hand().body for name in _declared(statement)}
    return sorted(name for name in dir(core) if name in declared and not name.startswith("_"))


def methods() -> list[str]:
    """Return the names of Tensor's methods that are operators, without those written by hand."""
    kept = _tensor_names()
    return sorted(
        name for name, value in vars(core.Tensor).items() if isinstance(value, core.OverloadMethod) and name not in kept
    )


def python_methods() -> dict[str, FunctionType]:
    """Return Tensor's methods that are written in Python, without those that its stub has."""
    kept = _tensor_names()
    found = {name: getattr(core.Tensor, name) for name in sorted(vars(core.Tensor))}
    return {name: value for name, value in found.items() if isinstance(value, FunctionType) and name not in kept}


def _tensor_names() -> set[str]:
    bodies = (one.body for one in _by_hand().body if isinstance(one, ast.ClassDef) and one.name == "Tensor")
    return {name for body in bodies for statement in body for name in _declared(statement)}


def _by_hand() -> ast.Module:
    return ast.parse(BY_HAND.read_text(encoding="utf-8"))


def _declared(statement: ast.stmt) -> list[str]:
    """Return the names that a statement of a stub declares."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return [statement.target.id]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []
