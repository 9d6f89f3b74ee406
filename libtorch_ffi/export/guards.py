"""What sizes have to fulfil besides their ranges: a model that was exported took its branches by the sizes at hand.

Owns the reading of a program's guards (``L['x'].size()[0] % 2 == 0``), texts that torch 2.9 and later write. A guard
that is about something else than sizes and numbers, or that cannot be read, is left out: older archives have none.
"""

from __future__ import annotations

import ast
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from libtorch_ffi._binding import core
from libtorch_ffi.errors import ProgramError
from libtorch_ffi.export import symbols

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from libtorch_ffi.export.pytree import Spec

    Path = tuple[Any, ...]
    """Where a value lies in the arguments: ``L['x']['a'][0]`` is ``("x", "a", 0)``."""


@dataclass(frozen=True)
class Guard:
    """A condition and, by the names in it, what it is about: an input and its dimension, which is None of a number."""

    condition: ast.expr
    sizes: Mapping[str, tuple[int, int | None]]

    def check(self, values: Sequence[Any]) -> None:
        """Check the inputs of a run.

        Raises
        ------
        ProgramError
            If the condition is false for them.
        """
        found = {name: _size(values[index], dim) for name, (index, dim) in self.sizes.items()}
        if symbols.value(self.condition, found) is False:
            given = ", ".join(f"{name} is {size}" for name, size in found.items())
            raise ProgramError(
                f"the program was exported for {ast.unparse(self.condition)}, and {given}: export it once more with "
                "sizes like these"
            )


def read(texts: Sequence[str], paths: Sequence[Path]) -> list[Guard]:
    """Return the guards of a program that can be checked.

    Parameters
    ----------
    texts
        As the archive has them.
    paths
        Where each input lies in the arguments.
    """
    known = {path: index for index, path in enumerate(paths)}
    known.update({("flat_args", index): index for index in range(len(paths))})
    guards = []
    for text in texts:
        sizes = _Sizes(known, paths)
        with suppress(ProgramError):
            condition = sizes.visit(symbols.parsed(text))
            guards.append(Guard(condition, sizes.found))
    return [guard for guard in guards if guard.sizes]


def paths_of(arguments: Spec, names: Sequence[str]) -> list[Path]:
    """Return where each input lies in the arguments.

    Parameters
    ----------
    arguments
        What the program takes: those by position, then those by name.
    names
        Of those by position.
    """
    positional, named = arguments.children
    found: list[Path] = []
    for index, child in enumerate(positional.children):
        found += _paths(child, (names[index] if index < len(names) else f"args[{index}]",))
    for key, child in zip(named.keys or (), named.children, strict=True):
        found += _paths(child, (str(key),))
    return found


def _paths(spec: Spec, so_far: Path) -> Iterator[Path]:
    if spec.type is None:
        yield so_far
    for key, child in zip(spec.keys or range(len(spec.children)), spec.children, strict=True):
        yield from _paths(child, (*so_far, key))


def _size(value: Any, dim: int | None) -> float:
    """Return a size, or a number; nan where there is none."""
    if dim is None:
        return value if isinstance(value, (int, float)) else float("nan")
    shape: Sequence[int] = value.shape if isinstance(value, core.Tensor) else ()
    return shape[dim] if -len(shape) <= dim < len(shape) else float("nan")


class _Sizes(ast.NodeTransformer):
    """Replaces ``L['x'].size()[0]`` by a name, ``x.shape[0]``, and notes what it stands for."""

    def __init__(self, known: Mapping[Path, int], paths: Sequence[Path]) -> None:
        self._known, self._paths = known, paths
        self.found: dict[str, tuple[int, int | None]] = {}

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self._source(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        call = node.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "size":
            return self._source(node)
        index, dim = self._index(call.func.value), _constant(node.slice)
        if index is None or not isinstance(dim, int):
            return node
        return self._named(f"{_text(self._paths[index])}.shape[{dim}]", index, dim)

    def _source(self, node: ast.expr) -> ast.expr:
        index = self._index(node)
        return node if index is None else self._named(_text(self._paths[index]), index, None)

    def _index(self, node: ast.expr) -> int | None:
        path = _path(node)
        if path is None:
            return None
        joined = (f"{path[0]}_{path[1]}", *path[2:]) if len(path) > 1 else path  # *args are a_0, a_1, …
        return self._known.get(path, self._known.get(joined))

    def _named(self, name: str, index: int, dim: int | None) -> ast.expr:
        self.found[name] = index, dim
        return ast.Name(name, ast.Load())


def _constant(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def _path(node: ast.expr) -> Path | None:
    """Return the path of ``L['x']['a'][0].field``; None for what is none."""
    if isinstance(node, ast.Name):
        return () if node.id == "L" else None
    if not isinstance(node, (ast.Attribute, ast.Subscript)):
        return None
    before = _path(node.value)
    step = node.attr if isinstance(node, ast.Attribute) else _constant(node.slice)
    return None if before is None or step is None else (*before, step)


def _text(path: Path) -> str:
    return str(path[0]) + "".join(f"[{step!r}]" for step in path[1:])
