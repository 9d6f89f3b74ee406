"""The named tuples that operators return.

Owns their classes in ``_ops.pyi``, one for each operator and set of names, such as ``(values, indices)`` of ``max``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi.stubs import python_types

if TYPE_CHECKING:
    from libtorch_ffi.stubs.schema import Schema

Fields = tuple[tuple[str, str], ...]


class Results:
    """The named results met so far.

    Parameters
    ----------
    prefix
        What stands before their names: the module, where they are named in another one.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.classes: dict[str, Fields] = {}

    def annotation(self, schema: Schema, lists: str) -> str:
        """Return the annotation of what an overload returns."""
        named = python_types.fields(schema)
        name = f"{self.prefix}{self._class(schema, named)}" if named else ""
        return python_types.given(schema.results, lists=lists, named=name)

    def _class(self, schema: Schema, fields: Fields) -> str:
        """Return the name of the class with these fields, made up where it is new."""
        base = f"_{schema.namespace}_{schema.name}_result"
        name, number = base, 1
        while self.classes.setdefault(name, fields) != fields:
            number += 1
            name = f"{base}_{number}"
        return name

    def text(self) -> str:
        """Return the classes, for a stub."""
        return "".join(
            f"class {name}(_NamedTuple):\n" + "".join(f"    {field}: {annotation}\n" for field, annotation in fields)
            for name, fields in self.classes.items()
        )
