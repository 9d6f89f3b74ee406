"""Operators that write to their arguments, in graphs in which nothing is written to.

Owns the higher-order operators `auto_functionalized` (torch 2.5 and 2.6) and `auto_functionalized_v2`, which torch puts
around such operators when a program is decomposed: each becomes copies of what is written to, views of the copies, and
the call. Names of values that the archive does not have contain a colon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._binding import core
from libtorch_ffi.errors import ProgramError

if TYPE_CHECKING:
    from libtorch_ffi.export.archive import Document

_PREFIX = "torch.ops.higher_order.auto_functionalized"


def expanded(nodes: list[Document]) -> list[Document]:
    """Return the nodes of a graph, with others in place of those that stand for an operator that writes."""
    return [part for node in nodes for part in (_parts(node) if _is_functional(node) else (node,))]


def _is_functional(node: Document) -> bool:
    return str(node["target"]) in (_PREFIX, _PREFIX + "_v2")


def _parts(node: Document) -> list[Document]:
    """Return the nodes that do what one does."""
    target = str(node["inputs"][0]["arg"]["as_operator"])
    given = {str(item["name"]): item["arg"] for item in node["inputs"][1:]}
    if str(node["target"]) == _PREFIX:
        given |= _as_bases(_written(target), given)
    bases = [one["name"] for one in given.pop("_all_bases", {"as_tensors": []})["as_tensors"]]
    results = node["outputs"]
    own, copies = results[: len(results) - len(bases)], results[len(results) - len(bases) :]
    nodes = [
        _node("aten.clone.default", {"self": {"as_tensor": {"name": base}}}, copy)
        for base, copy in zip(bases, copies, strict=True)
    ]
    views = _Views(str(node.get("name") or target), given, [copy["as_tensor"]["name"] for copy in copies])
    arguments = {name: views.argument(name) for name in _written(target) if _is_viewed(name, given)}
    inputs = [{"name": name, "arg": arg} for name, arg in {**given, **arguments}.items()]
    return [*nodes, *views.nodes, {**node, "target": target, "inputs": inputs, "outputs": own}]


def _written(target: str) -> list[str]:
    """Return the names of the arguments that an operator writes to."""
    name_space, _, rest = target.removeprefix("torch.ops.").partition(".")
    name, _, overload = rest.partition(".")
    return core.mutated_arguments(f"{name_space}::{name}", "" if overload == "default" else overload)


def _as_bases(written: list[str], given: Document) -> Document:
    """Return what the second version writes for arguments that are bases themselves, and take out the first's."""
    bases: list[Document] = []
    described: Document = {}
    for name in written:
        argument = given.pop(name, {"as_none": True})
        if "as_tensors" in argument:
            raise ProgramError(
                f"the archive has a list of tensors that is written to, {name}: export it with torch 2.7 or later"
            )
        described[f"_{name}_base_index"] = {"as_int": len(bases)} if "as_tensor" in argument else {"as_none": True}
        bases += [argument["as_tensor"]] if "as_tensor" in argument else []
    return {**described, "_all_bases": {"as_tensors": bases}}


def _is_viewed(name: str, given: Document) -> bool:
    return f"_{name}_base_index" in given or f"_{name}_length" in given


class _Views:
    """The views of copies that an operator is given, by what the archive says of each argument.

    Parameters
    ----------
    label
        What the names of the views begin with.
    given
        The arguments; what describes views is taken out.
    copies
        The names of the copies.
    """

    def __init__(self, label: str, given: Document, copies: list[str]) -> None:
        self._label, self._given, self._copies = label, given, copies
        self.nodes: list[Document] = []

    def argument(self, name: str) -> Document:
        """Return an argument of the operator: a tensor, a list of them, or None."""
        if f"_{name}_length" not in self._given:
            return self._view(f"_{name}")
        length: Document = self._given.pop(f"_{name}_length")
        if "as_int" not in length:
            return length
        views = [self._view(f"_{name}_{index}") for index in range(length["as_int"])]
        return {"as_optional_tensors": views}

    def _view(self, prefix: str) -> Document:
        index = self._given.pop(f"{prefix}_base_index")
        if "as_int" not in index:
            return {"as_none": True}
        base = {"as_tensor": {"name": self._copies[index["as_int"]]}}
        if f"{prefix}_alias" in self._given:
            del self._given[f"{prefix}_alias"]
        elif f"{prefix}_slice_dim" in self._given:
            parts = {name: self._given.pop(f"{prefix}_slice_{name}") for name in ("dim", "start", "end")}
            return self._added("aten.slice.Tensor", {"self": base, **parts}, prefix)
        elif f"{prefix}_storage_offset" in self._given:
            parts = {name: self._given.pop(f"{prefix}_{name}") for name in ("size", "stride", "storage_offset")}
            return self._added("aten.as_strided.default", {"self": base, **parts}, prefix)
        return base

    def _added(self, target: str, inputs: Document, prefix: str) -> Document:
        view = {"as_tensor": {"name": f"{self._label}:{prefix}"}}
        self.nodes.append(_node(target, inputs, view))
        return view


def _node(target: str, inputs: Document, result: Document) -> Document:
    return {
        "name": result["as_tensor"]["name"],
        "target": f"torch.ops.{target}",
        "inputs": [{"name": name, "arg": arg} for name, arg in inputs.items()],
        "outputs": [result],
    }
