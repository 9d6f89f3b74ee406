"""From the nodes of an exported graph to the program that the core runs.

Owns the meaning of a document's arguments, targets and results. What this libtorch has no operator for is gathered, so
that one error can list all of it. Runs nothing.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from libtorch_ffi._binding import core
from libtorch_ffi.errors import ProgramError
from libtorch_ffi.export.archive import dtype_of
from libtorch_ffi.export.functional import expanded

if TYPE_CHECKING:
    from collections.abc import Callable

    from libtorch_ffi.export.archive import Document

_LAYOUTS = {
    1: core.sparse_coo,
    2: core.sparse_csr,
    3: core.sparse_csc,
    4: core.sparse_bsr,
    5: core.sparse_bsc,
    7: core.strided,
}
_MEMORY_FORMATS = {
    1: core.contiguous_format,
    2: core.channels_last,
    3: core.channels_last_3d,
    4: core.preserve_format,
}
_NUMBER_MODULES = ("_operator", "operator", "math", "torch", "builtins")
_DEEPEST = 50
"""Graphs within graphs."""

_NEWER_ARGUMENTS = {"aten::_assert_tensor_metadata": ("device", "layout")}
"""Arguments of assertions that an older libtorch's operator does not have, and that it can do without."""


@dataclass
class Scope:
    """The values of one graph: a slot for each that is computed.

    Parameters
    ----------
    state
        The tensors of the program, by the names that the graph gives them.
    device
        What to put for every device in the graph, or None.
    """

    state: dict[str, int] = field(default_factory=dict)
    device: core.device | None = None
    slots: dict[str, int] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    operators: dict[str, int] = field(default_factory=dict)
    depth: int = 0

    def slot(self, name: str) -> int:
        """Return the slot of a name, a new one where it has none."""
        return self.slots.setdefault(name, len(self.slots))

    def read(self, name: str) -> Any:
        """Return a reference to a value that an earlier node or the program has."""
        if name in self.slots:
            return core.Reference(self.slots[name])
        if name in self.state:
            return core.Reference(self.state[name], state=True)
        if name in self.constants:
            return self.constants[name]
        raise ProgramError(f"the archive's graph reads {name!r}, which nothing has computed")

    def within(self) -> Scope:
        """Return the scope of a graph in this one: names of its own."""
        if self.depth > _DEEPEST:
            raise ProgramError("the archive has graphs that are nested too deeply")
        return Scope(device=self.device, missing=self.missing, operators=self.operators, depth=self.depth + 1)


def build(document: Document, scope: Scope, inputs: list[str], outputs: list[Any] | None = None) -> core.Program:
    """Return the program of a graph.

    Parameters
    ----------
    document
        The graph.
    scope
        Knows what the program holds; its slots are filled in.
    inputs
        The names of the values that a run is given, in order.
    outputs
        The arguments to return, by default those that the graph itself names.

    Raises
    ------
    ProgramError
        If the graph is damaged or of a kind that is not known.
    """
    nodes = expanded(document["nodes"])
    everything = Scope(slots=dict.fromkeys(inputs, 0))
    for node in nodes:
        for result in node["outputs"]:
            _written(result, everything)
    program = core.Program(len(everything.slots), [scope.slot(name) for name in inputs])
    for node in nodes:
        _add(program, node, scope)
    program.finish([argument(item, scope) for item in (document["outputs"] if outputs is None else outputs)])
    return program


def _add(program: core.Program, node: Document, scope: Scope) -> None:
    target = str(node["target"])
    label = f"{node.get('name') or target} ({target})"
    scope.operators[target] = scope.operators.get(target, 0) + 1
    try:
        if target == "torch.ops.higher_order.with_effects":
            _add_effect(program, node, scope, label)
        elif target.startswith("torch.ops.higher_order."):
            _add_control(program, target.removeprefix("torch.ops.higher_order."), node, scope, label)
        elif target.startswith("torch.ops."):
            _add_operator(program, target.removeprefix("torch.ops."), node, scope, label)
        else:
            _add_number(program, target, node, scope, label)
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise ProgramError(f"the node {label} of the archive cannot be built: {error}") from None


def _results(node: Document, scope: Scope) -> list[Any]:
    """Return the slots of a node's results; only from then on can they be read."""
    slots = [_written(result, scope) for result in node["outputs"]]
    while slots and slots[-1] is None:
        slots.pop()
    return slots


def _add_operator(program: core.Program, target: str, node: Document, scope: Scope, label: str) -> None:
    full, overload = _parted(target)
    names = core.operator_arguments(full, overload)
    if names is None:
        scope.missing.add(target)
        _results(node, scope)
        return
    dropped = _NEWER_ARGUMENTS.get(full, ())
    given = {
        str(item["name"]): argument(item["arg"], scope)
        for item in node["inputs"]
        if item["name"] in names or item["name"] not in dropped
    }
    program.add_operator(full, overload, given, _results(node, scope), label)


def _parted(target: str) -> tuple[str, str]:
    """Return the dispatcher's names for ``aten.add.Tensor``: ``aten::add`` and ``Tensor``."""
    name_space, _, rest = target.partition(".")
    name, _, overload = rest.partition(".")
    return f"{name_space}::{name}", "" if overload == "default" else overload


def _add_effect(program: core.Program, node: Document, scope: Scope, label: str) -> None:
    """Add an operator whose order matters: a token, the operator, its arguments; a token comes first of the results."""
    target = str(node["inputs"][1]["arg"]["as_operator"]).removeprefix("torch.ops.")
    names = iter(core.operator_arguments(*_parted(target)) or ())
    inputs = [{**item, "name": item["name"] or next(names, "")} for item in node["inputs"][2:]]
    scope.constants[_name(node["outputs"][0])] = None
    _add_operator(program, target, {**node, "inputs": inputs, "outputs": node["outputs"][1:]}, scope, label)


def _add_number(program: core.Program, target: str, node: Document, scope: Scope, label: str) -> None:
    module, _, function = target.rpartition(".")
    short = function.lstrip("_").removeprefix("sym_")
    arguments = [argument(item["arg"], scope) for item in node["inputs"]]
    results = _results(node, scope)
    if module not in _NUMBER_MODULES or not program.add_number(short, arguments, results, label):
        scope.missing.add(target)


def _add_control(program: core.Program, name: str, node: Document, scope: Scope, label: str) -> None:
    graphs: list[core.Program] = []
    arguments: list[Any] = []
    for item in node["inputs"]:
        kind, value = only(item["arg"])
        if kind == "as_graph":
            graph = value["graph"]
            names = [_name(given) for given in graph["inputs"]]
            graphs.append(build(graph, scope.within(), names))
        elif item["name"] != "hints" and value != {}:  # neither what a compiler may heed, nor that nothing has a name
            arguments.append(argument(item["arg"], scope))
    if not program.add_control(name, graphs, arguments, _results(node, scope), label):
        scope.missing.add(f"higher_order.{name}")


def only(union: Document) -> tuple[str, Any]:
    """Return the one field of a union that is set."""
    for kind, value in union.items():
        if value is not None:
            return kind, value
    raise ProgramError("the archive has an argument without a value")


def _name(union: Document) -> str:
    kind, value = only(union)
    name = value.get("name", value.get("as_name")) if isinstance(value, dict) else None
    if not isinstance(name, str):
        raise ProgramError(f"the archive has no name where it needs one: {kind}")
    return name


def _written(union: Document, scope: Scope) -> Any:
    """Return the slot of a result; None where it has none."""
    kind, value = only(union)
    if kind == "as_none":
        return None
    if isinstance(value, list):
        return [_written(item if _is_union(item) else {"as_tensor": item}, scope) for item in value]
    if kind in ("as_int", "as_bool", "as_float", "as_string"):
        return None
    if _is_union(value) and "as_name" not in value:
        return _written(value, scope)  # an optional tensor
    return scope.slot(_name(union))


def _is_union(value: Any) -> bool:
    return isinstance(value, dict) and any(key.startswith("as_") for key in value)


def _float(value: Any) -> float:
    """Read a float, which JSON cannot always write."""
    named = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
    return named[value] if isinstance(value, str) else float(value)


def _named(value: Document, scope: Scope) -> Any:
    return scope.read(value["name"])


def _symbolic(value: Document, scope: Scope) -> Any:
    kind, inner = only(value)
    return scope.read(inner) if kind == "as_name" else _float(inner) if kind == "as_float" else inner


def _optional(value: Document, scope: Scope) -> Any:
    kind, inner = only(value)
    return scope.read(inner["name"]) if kind == "as_tensor" else None


def _listed(read: Callable[[Any, Scope], Any]) -> Callable[[Any, Scope], Any]:
    return lambda value, scope: [read(item, scope) for item in value]


def _device(value: Document, scope: Scope) -> core.device:
    if scope.device is not None:
        return scope.device
    return core.device(value["type"]) if value.get("index") is None else core.device(value["type"], value["index"])


_CONSTANTS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("as_int", "as_ints", "as_int_lists", "as_bool", "as_bools", "as_string", "as_strings"), copy),
    "as_operator": copy,
    "as_none": {True: None}.get,
    "as_float": _float,
    "as_floats": lambda value: [_float(item) for item in value],
    "as_float_lists": lambda value: [[_float(item) for item in row] for row in value],
    "as_complex": lambda value: complex(_float(value["real"]), _float(value["imag"])),
    "as_scalar_type": dtype_of,
    "as_layout": _LAYOUTS.__getitem__,
    "as_memory_format": _MEMORY_FORMATS.__getitem__,
}
"""How each kind of constant is read; schema.py of torch/_export/serde, Argument."""

_REFERENCES: dict[str, Callable[[Any, Scope], Any]] = {
    "as_tensor": _named,
    "as_tensors": _listed(_named),
    "as_nested_tensors": _listed(_listed(_named)),
    "as_optional_tensor": _optional,
    "as_optional_tensors": _listed(_optional),
    "as_sym_int": _symbolic,
    "as_sym_ints": _listed(_symbolic),
    "as_sym_float": _symbolic,
    "as_sym_floats": _listed(_symbolic),
    "as_sym_bool": _symbolic,
    "as_sym_bools": _listed(_symbolic),
    "as_device": _device,
}
"""Likewise what names values that are computed, or depends on where the program runs."""


def argument(union: Document, scope: Scope) -> Any:
    """Return what an argument of the document stands for."""
    kind, value = only(union)
    try:
        if kind in _CONSTANTS:
            return _CONSTANTS[kind](value)
        if kind in _REFERENCES:
            return _REFERENCES[kind](value, scope)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProgramError(f"the archive has a damaged argument of the kind {kind}: {error!r}") from None
    raise ProgramError(f"the archive has an argument of the kind {kind}, which is not known here")
