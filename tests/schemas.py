"""Schemas of operators, read from their text.

Owns the parsing of what `Operator.schema` says, so that the tests can go through every operator of whatever libtorch
they run on without torch. Never calls an operator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import libtorch_ffi as lt
from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_ALIAS = re.compile(r"\(([a-z*](?:!|\|[a-z])*(?: -> [a-z*|]+)?)\)")
_TYPED = re.compile(r"(?P<type>.+) (?P<name>\w+)(?:=(?P<default>.*))?$", re.DOTALL)


@dataclass(frozen=True)
class Argument:
    """One argument: the type without its alias annotation and without ``?``."""

    name: str
    type: str
    optional: bool
    keyword_only: bool
    has_default: bool
    written: bool

    @property
    def kind(self) -> str:
        """The type without a list's length: ``int[]`` for ``int[2]``, ``int`` for ``SymInt``."""
        return re.sub(r"\[\d+\]", "[]", self.type).replace("SymInt", "int")

    @property
    def length(self) -> int:
        """N of ``int[N]``, or 0."""
        found = re.search(r"\[(\d+)\]", self.type)
        return int(found.group(1)) if found else 0


@dataclass(frozen=True)
class Schema:
    """One overload."""

    namespace: str
    name: str
    overload: str
    arguments: tuple[Argument, ...]
    returns: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """Such as ``aten::add.Tensor``; ``default`` where the overload has no name."""
        return f"{self.namespace}::{self.name}.{self.overload}"

    @property
    def operator(self) -> Any:
        """What ``ops`` has under this name."""
        return getattr(getattr(getattr(lt.ops, self.namespace), self.name), self.overload)

    @property
    def out(self) -> tuple[Argument, ...]:
        """The arguments that are ``out=`` in Python."""
        return tuple(argument for argument in self.arguments if argument.written and argument.keyword_only)


def _split(text: str) -> Iterator[str]:
    """Split at the commas that stand outside brackets and quotes."""
    depth, quoted, start = 0, False, 0
    for i, letter in enumerate(text):
        if letter == '"' and text[i - 1] != "\\":
            quoted = not quoted
        elif not quoted and letter in "([":
            depth += 1
        elif not quoted and letter in ")]":
            depth -= 1
        elif not quoted and letter == "," and depth == 0:
            yield text[start:i].strip()
            start = i + 1
    if text[start:].strip():
        yield text[start:].strip()


def _argument(text: str, *, keyword_only: bool) -> Argument:
    found = _TYPED.match(_ALIAS.sub("", text))
    assert found is not None, text
    alias = _ALIAS.search(text)
    type_ = found["type"]
    return Argument(
        name=found["name"],
        type=type_.removesuffix("?"),
        optional=type_.endswith("?"),
        keyword_only=keyword_only,
        has_default=found["default"] is not None,
        written=alias is not None and "!" in alias.group(1),
    )


def _return(text: str) -> str:
    """Drop the alias annotation and the name of a return."""
    return re.sub(r"(?<=[\w\]?)]) \w+$", "", _ALIAS.sub("", text))


def parse(text: str) -> Schema:
    """Read a schema as libtorch prints it."""
    head, _, rest = text.partition("(")
    inner, _, returns = rest.rpartition(" -> ") if "->" in rest else (rest, "", "()")
    while inner.count("(") != inner.count(")") - 1:  # the arrow was one of an alias annotation
        inner, _, more = inner.rpartition(" -> ")
        returns = f"{more} -> {returns}"
    namespace, _, name = head.partition("::")
    name, _, overload = name.partition(".")
    arguments, keyword_only = [], False
    for part in _split(inner.removesuffix(")")):
        if part == "*":
            keyword_only = True
        elif part != "...":
            arguments.append(_argument(part, keyword_only=keyword_only))
    if returns.startswith("(") and returns.endswith(")"):
        returns = returns[1:-1]
    return Schema(namespace, name, overload or "default", tuple(arguments), tuple(map(_return, _split(returns))))


def all_schemas() -> tuple[Schema, ...]:
    """Every overload that the dispatcher has at the moment, by name."""
    return _schemas_of(tuple(sorted(core.operators())))


@cache
def _schemas_of(full_names: tuple[str, ...]) -> tuple[Schema, ...]:
    found = []
    for full_name in full_names:
        namespace, _, name = full_name.partition("::")
        name, _, overload = name.partition(".")
        operator = getattr(getattr(getattr(lt.ops, namespace), name), overload or "default")
        found.append(parse(operator.schema))
    return tuple(found)


@cache
def crashing() -> dict[str, str]:
    """Overloads that bring libtorch itself down, and what they do not check; not to be called at random in torch."""
    text = Path(__file__).with_name("crashes.txt").read_text(encoding="utf-8")
    lines = (line.partition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: what for name, _, what in lines}


def refused() -> set[str]:
    """Those of them that have the check here."""
    return {name for name, what in crashing().items() if what.startswith("refused: ")}
