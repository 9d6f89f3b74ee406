"""A schema as libtorch writes it, taken apart.

Owns the grammar of texts such as ``aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor``. Knows
nothing of Python's types (`libtorch_ffi.stubs.python_types` does) and needs no libtorch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ARGUMENT = re.compile(
    r"""(?P<base> Dict\( .*? \) | \( .*? \) | [\w.]+ )  # Tensor, SymInt, __torch__.torch.classes.…, Dict(str, Tensor)
    (?P<suffixes> (?: \( [^)]* \) | \[\d*\] | \? )* )  # [], [2], ?, []?, and what it shares memory with: (a!), (a -> *)
    (?: \s+ (?P<name> \w+ ) (?: = (?P<default> .* ) )? )?""",
    re.VERBOSE | re.DOTALL,
)
_HEAD = re.compile(r"(?P<namespace>\w+)::(?P<name>[^.(]+)(?:\.(?P<overload>[^(]+))?\(")
_OPENING, _CLOSING = "([", ")]"
FACTORY = frozenset(("dtype", "layout", "device", "pin_memory"))
"""The arguments by which an operator that makes a tensor is known."""


@dataclass(frozen=True)
class Argument:
    """One argument of a schema, or one of its results.

    Parameters
    ----------
    base
        The type without suffixes, such as ``Tensor``.
    suffixes
        What stands after it, outermost last: ``[]``, ``[2]``, ``?``.
    name
        Empty for a result without a name.
    default
        As libtorch writes it; None where there is none.
    keyword_only
        Whether it stands after the ``*``.
    writes
        Whether the operator writes to it.
    """

    base: str
    suffixes: tuple[str, ...] = ()
    name: str = ""
    default: str | None = None
    keyword_only: bool = False
    writes: bool = False

    @property
    def is_out(self) -> bool:
        """Whether it is what ``out=`` stands for."""
        return self.keyword_only and self.writes

    @property
    def kind(self) -> tuple[str, tuple[str, ...], str]:
        """What tells it from the arguments of other overloads."""
        return self.base, self.suffixes, self.name


@dataclass(frozen=True)
class Schema:
    """An overload: its name, its arguments and its results.

    Parameters
    ----------
    namespace, name, overload
        ``aten``, ``add``, ``Tensor``; the last may be empty.
    arguments, results
        In order; an operator without a result has none.
    text
        The whole, as libtorch writes it.
    """

    namespace: str
    name: str
    overload: str
    arguments: tuple[Argument, ...]
    results: tuple[Argument, ...]
    text: str

    @property
    def outs(self) -> tuple[Argument, ...]:
        """The arguments that ``out=`` stands for."""
        return tuple(argument for argument in self.arguments if argument.is_out)

    @property
    def inputs(self) -> tuple[Argument, ...]:
        """The other arguments."""
        return tuple(argument for argument in self.arguments if not argument.is_out)

    @property
    def is_factory(self) -> bool:
        """Whether it makes a tensor from dtype, layout, device and pin_memory."""
        return FACTORY.issubset(argument.name for argument in self.arguments)

    @property
    def takes_self(self) -> bool:
        """Whether it is a method of Tensor as well."""
        first = self.arguments[0] if self.arguments else None
        return first is not None and (first.base, first.suffixes, first.name) == ("Tensor", (), "self")


def parse(text: str) -> Schema:
    """Take a schema apart.

    Raises
    ------
    ValueError
        If it is not written as libtorch writes schemas.
    """
    head = _HEAD.match(text)
    if head is None:
        raise ValueError(f"not a schema: {text}")
    end = _closing(text, head.end() - 1)
    arrow = text.find("->", end)
    return Schema(
        head["namespace"],
        head["name"],
        head["overload"] or "",
        tuple(_arguments(text[head.end() : end])),
        tuple(_results(text[arrow + 2 :].strip())),
        text,
    )


def _arguments(text: str) -> list[Argument]:
    arguments: list[Argument] = []
    keyword_only = False
    for part in _split(text):
        if part == "*":
            keyword_only = True
        elif part != "...":
            arguments.append(_argument(part, keyword_only=keyword_only))
    return arguments


def _results(text: str) -> list[Argument]:
    if text == "...":
        return [Argument("Any")]
    if text.startswith("(") and _closing(text, 0) == len(text) - 1:
        return [_argument(part) for part in _split(text[1:-1])]
    return [_argument(text)]


def _argument(text: str, *, keyword_only: bool = False) -> Argument:
    match = _ARGUMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"not an argument of a schema: {text}")
    suffixes = tuple(re.findall(r"\[\d*\]|\?", match["suffixes"]))
    return Argument(
        match["base"], suffixes, match["name"] or "", match["default"], keyword_only, "!" in match["suffixes"]
    )


def _split(text: str) -> list[str]:
    """Part at the commas that stand in no bracket and in no string."""
    parts, start = [], 0
    for place, depth in _depths(text):
        if text[place] == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


def _closing(text: str, opening: int) -> int:
    """Return where the bracket is closed that opens at a place."""
    for place, depth in _depths(text[opening:]):
        if depth == 0:
            return opening + place
    raise ValueError(f"a bracket is not closed: {text}")


def _depths(text: str) -> Iterator[tuple[int, int]]:
    """Yield the place of each character that stands in no string, with the number of brackets open after it."""
    depth, quoted, escaped = 0, False, False
    for place, character in enumerate(text):
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            quoted = True
        else:
            depth += (character in _OPENING) - (character in _CLOSING)
            yield place, depth
