"""`libtorch-ffi ops`: libtorch's operators and their schemas.

Owns what is printed of them. They are the running libtorch's: the compiled extension is asked, which no other command
but the demonstration loads.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from libtorch_ffi.errors import SettingError
from libtorch_ffi.stubs.schema import parse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from libtorch_ffi.stubs.schema import Argument, Schema

DEFAULT = "aten"
"""The namespace where a name without one is looked for first."""


def run(options: argparse.Namespace) -> int:
    """Print schemas, the operators of a namespace, or the namespaces."""
    catalogue = _catalogue(options.load)
    if options.namespace is not None:
        _check(options.namespace, catalogue, "namespace")
    if options.names:
        found = [schema for name in options.names for schema in _find(name, options.namespace, catalogue)]
        _print((schema.text for schema in found), map(_facts, found), as_json=options.json)
    elif options.namespace is not None:
        names = list(catalogue[options.namespace])
        _print(names, names, as_json=options.json)
    else:
        counts = {space: (len(one), sum(map(len, one.values()))) for space, one in catalogue.items()}
        lines = (f"{space}\t{operators}\t{overloads}" for space, (operators, overloads) in counts.items())
        facts = (
            {"namespace": space, "operators": operators, "overloads": overloads}
            for space, (operators, overloads) in counts.items()
        )
        _print(lines, facts, as_json=options.json)
    return 0


def _catalogue(libraries: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Return the overloads' names by namespace and operator, with those of the libraries."""
    from libtorch_ffi._binding import core
    from libtorch_ffi.library import load_library

    for library in libraries:
        load_library(library)
    catalogue: dict[str, dict[str, list[str]]] = {}
    for full in sorted(core.operators()):
        space, _, rest = full.partition("::")
        name, _, overload = rest.partition(".")
        catalogue.setdefault(space, {}).setdefault(name, []).append(overload or "default")
    return catalogue


def _find(asked: str, namespace: str | None, catalogue: dict[str, dict[str, list[str]]]) -> list[Schema]:
    """Return the schemas that a name stands for: ``add``, ``aten::add``, ``aten::add.Tensor``.

    Raises
    ------
    SettingError
        If there are none; the message has the names that are nearest.
    """
    written, _, rest = asked.rpartition("::")
    space = written or namespace
    name, _, overload = rest.partition(".")
    if space is None and name in catalogue and overload:  # aten.add.Tensor, as Python has it
        space = name
        name, _, overload = overload.partition(".")
    if space is not None:
        _check(space, catalogue, "namespace")
    spaces = [space] if space else _spaces_with(name, catalogue)
    if not spaces or name not in catalogue[spaces[0]]:
        known = catalogue[space] if space else {one for operators in catalogue.values() for one in operators}
        raise SettingError(_unknown(name, known, f"operator of the namespace {space}" if space else "operator"))
    if overload:
        _check(overload, catalogue[spaces[0]][name], f"overload of {spaces[0]}::{name}")
    return [
        schema for one in spaces for schema in _schemas(one, name) if overload in ("", schema.overload or "default")
    ]


def _spaces_with(name: str, catalogue: dict[str, dict[str, list[str]]]) -> list[str]:
    """Return the namespaces that have an operator: aten alone where it is one of them."""
    found = [space for space, operators in catalogue.items() if name in operators]
    return [DEFAULT] if DEFAULT in found else found


def _schemas(space: str, name: str) -> list[Schema]:
    """Return the schemas of an operator, in the order in which its overloads are tried."""
    from libtorch_ffi._binding import core

    packet = core.ops_packet(f"{space}::{name}")
    return [] if packet is None else [parse(getattr(packet, overload).schema) for overload in packet.overloads()]


def _check(name: str, known: Iterable[str], kind: str) -> None:
    if name not in known:
        raise SettingError(_unknown(name, known, kind))


def _unknown(name: str, known: Iterable[str], kind: str) -> str:
    """Phrase that there is no such name, with the nearest."""
    import difflib

    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f" The nearest: {', '.join(near)}." if near else ""
    return (
        f"There is no {kind} called {name} in the libtorch that libtorch_ffi was built against.{hint} `libtorch-ffi "
        "ops` lists the namespaces, `libtorch-ffi ops --namespace aten` the operators of one."
    )


def _print(lines: Iterable[str], facts: Iterable[object], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(list(facts), indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines)


def _facts(schema: Schema) -> dict[str, object]:
    """Return what ``--json`` says of an overload."""
    return {
        "namespace": schema.namespace,
        "name": schema.name,
        "overload": schema.overload,
        "schema": schema.text,
        "arguments": [
            {**_typed(argument), "default": argument.default, "keyword_only": argument.keyword_only}
            for argument in schema.arguments
        ],
        "results": [_typed(result) for result in schema.results],
    }


def _typed(argument: Argument) -> dict[str, object]:
    return {"name": argument.name, "type": argument.base + "".join(argument.suffixes), "writes": argument.writes}
