"""Nested arguments and results, by the specification that an exported program carries.

Owns the reading of torch's serialized tree specifications, `flatten` and `unflatten`, and the types of a program's own
(`register_type`). A type that nobody registered is a `Record` where its specification has keys, else a tuple.
"""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict, deque, namedtuple
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from libtorch_ffi.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    Flatten: TypeAlias = Callable[[Any, Any], Sequence[Any]]
    Unflatten: TypeAlias = Callable[[list[Any], Any], Any]

_types: dict[str, tuple[Flatten, Unflatten]] = {}

_VERSION = 1
"""Of torch's protocol for tree specifications."""

_DEEPEST = 200


class Record(dict[Any, Any]):
    """A dict that has its keys for attributes too: what a dataclass, or an output of transformers, becomes here."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"the program's result has no {name!r}; it has {', '.join(map(str, self))}")


@dataclass(frozen=True)
class Spec:
    """One node of a tree: a leaf where it has no type. `absent` are the keys of a dataclass that were None."""

    type: str | None
    context: Any
    children: tuple[Spec, ...]
    keys: tuple[Any, ...] | None = None
    leaves: int = 1
    absent: tuple[str, ...] = ()


def register_type(name: str, flatten: Flatten, unflatten: Unflatten) -> None:
    """Say how values of a type are taken apart and put together.

    Without it a program takes a dict, or any object with those attributes, where the type has fields, and returns a
    dict whose keys are attributes too. Dataclasses and the outputs of transformers have fields, and so has whatever
    torch was told to treat like a dict.

    Parameters
    ----------
    name
        The name under which the type was registered with torch when the program was exported
        (``serialized_type_name``).
    flatten
        Called with a value and the context of the specification, returns the children in order.
    unflatten
        Called with the list of children and the context, returns a value.
    """
    _types[name] = flatten, unflatten


def read_spec(text: str, fields: dict[str, list[str]]) -> Spec:
    """Read a tree specification.

    Parameters
    ----------
    text
        As torch.utils._pytree.treespec_dumps writes it.
    fields
        The fields of named tuples, by the names of their types.
    """
    try:
        version, root = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise ProgramError(f"the archive has no tree specification but {str(text)[:80]!r}") from None
    if version != _VERSION:
        raise ProgramError(f"the tree specification is of version {version!r}; version {_VERSION} is known")
    return _node(root, fields, 0)


def _node(node: Any, fields: dict[str, list[str]], depth: int) -> Spec:
    if not isinstance(node, dict) or depth > _DEEPEST:
        raise ProgramError("the archive has a damaged tree specification, or one that is nested too deeply")
    if node.get("type") is None:
        return Spec(None, None, ())
    children = tuple(_node(child, fields, depth + 1) for child in node.get("children_spec", ()))
    context = node.get("context")
    with suppress(ValueError):  # a type of its own may have written no JSON
        context = json.loads(context) if isinstance(context, str) else context
    name = str(node["type"])
    context, absent = _without_absent(name, context, len(children))
    keys = _keys(name, context, fields)
    if keys is not None and len(keys) != len(children):
        raise ProgramError(f"the archive has {len(children)} values for the {len(keys)} keys of a {name}")
    return Spec(name, context, children, keys, sum(child.leaves for child in children), absent)


def _without_absent(name: str, context: Any, count: int) -> tuple[Any, tuple[str, ...]]:
    """Part the names of fields from what lies beside them: of a dataclass, the names of those that were None."""
    match context:
        case [[*keys], [*rest]] if len(keys) == count and name.partition(".")[0] not in ("builtins", "collections"):
            if all(isinstance(key, str) for key in keys):
                return keys, tuple(rest) if all(isinstance(key, str) for key in rest) else ()
    return context, ()


def _keys(name: str, context: Any, fields: dict[str, list[str]]) -> tuple[Any, ...] | None:
    """Return the keys of a mapping, or the fields of a named tuple."""
    if name == "collections.defaultdict":
        context = context.get("dict_context") if isinstance(context, dict) else context[1]
    if name == "collections.namedtuple":
        return tuple(fields[context]) if context in fields else None
    if name == "builtins.tuple" or not isinstance(context, list):
        return None
    return tuple(tuple(key) if isinstance(key, list) else key for key in context)


def flatten(spec: Spec, value: Any, path: str) -> Iterator[Any]:
    """Iterate over the leaves of a value, which has to be of the specification's form.

    Raises
    ------
    ProgramError
        If it is not; the message has the path, such as ``x['a'][0]``.
    """
    if spec.type is None:
        yield value
        return
    parts = _parts(spec, value, path)
    if len(parts) != len(spec.children):
        raise ProgramError(f"the program takes {len(spec.children)} items at {path}, not {len(parts)}")
    for index, (child, part) in enumerate(zip(spec.children, parts, strict=True)):
        where = f"{path}[{spec.keys[index] if spec.keys else index!r}]" if child.type is None else f"{path}[{index}]"
        yield from flatten(child, part, where)


def _parts(spec: Spec, value: Any, path: str) -> Sequence[Any]:
    if spec.type in _types:
        return _types[spec.type][0](value, spec.context)
    kind = {"builtins.tuple": tuple, "builtins.list": list, "collections.deque": deque}.get(spec.type or "")
    if kind is not None or spec.keys is None or spec.type == "collections.namedtuple":
        if not isinstance(value, kind or (tuple, list)):
            raise ProgramError(f"the program takes a {_called(spec)} at {path}, not {type(value).__name__}")
        return list(value)
    if not isinstance(value, dict) and spec.type not in ("builtins.dict", "collections.OrderedDict"):
        value = {key: getattr(value, str(key), None) for key in (*spec.keys, *spec.absent)}
    if isinstance(value, dict) and spec.absent:
        value = {key: part for key, part in value.items() if key not in spec.absent or part is not None}
    if not isinstance(value, dict) or set(value) != set(spec.keys):
        given = sorted(map(repr, value)) if isinstance(value, dict) else type(value).__name__
        raise ProgramError(f"the program takes a dict with the keys {list(spec.keys)} at {path}, not {given}")
    return [value[key] for key in spec.keys]


def _called(spec: Spec) -> str:
    return (spec.type or "").rpartition(".")[2]


def unflatten(spec: Spec, leaves: Iterator[Any]) -> Any:
    """Return the value of a specification's form that has these leaves."""
    if spec.type is None:
        return next(leaves)
    parts = [unflatten(child, leaves) for child in spec.children]
    if spec.type in _types:
        return _types[spec.type][1](parts, spec.context)
    if spec.type == "collections.namedtuple" and spec.keys is not None:
        return _named(str(spec.context), spec.keys)(*parts)
    if spec.keys is None:
        return {"builtins.list": list, "collections.deque": deque}.get(spec.type, tuple)(parts)
    pairs = zip(spec.keys, parts, strict=True)
    if spec.type == "collections.defaultdict":
        return defaultdict(None, pairs)
    kinds: dict[str, type[dict[Any, Any]]] = {"builtins.dict": dict, "collections.OrderedDict": OrderedDict}
    made = kinds.get(spec.type, Record)(pairs)
    made.update(dict.fromkeys(spec.absent))
    return made


_named_types: dict[tuple[str, tuple[str, ...]], Callable[..., Any]] = {}


def _named(name: str, keys: tuple[str, ...]) -> Callable[..., Any]:
    """Return a type of named tuples, one for each name and fields."""
    short = name.rpartition(".")[2]
    made = _named_types.get((name, keys))
    if made is None:
        valid = short if short.isidentifier() else "NamedTuple"
        made = _named_types[name, keys] = namedtuple(valid, keys, rename=True)  # noqa: PYI024 - its fields are not known before
    return made
