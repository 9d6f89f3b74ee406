"""The signatures of an operator, on each of its three faces.

Owns the calling conventions that torch adds to the schemas, as ``csrc/overloads.cpp`` keeps them: ``input`` for
``self``, ``out=`` for the arguments that are written to, ``requires_grad=`` of what makes a tensor, and a list of
ints given as separate arguments.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from libtorch_ffi.stubs import python_types

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from libtorch_ffi.stubs.results import Results
    from libtorch_ffi.stubs.schema import Argument, Schema

_PLAIN_DEFAULT = re.compile(r'None|True|False|-?\d+(\.\d*)?(e[-+]?\d+)?|"[^"\\]*"')
_INTS = frozenset(("int", "SymInt"))


@dataclass(frozen=True)
class Face:
    """One of the ways to an operator.

    Parameters
    ----------
    receiver
        The name of the first parameter of a method; empty for a function.
    lists
        What a list of tensors comes back as.
    renames
        Whether ``self`` is called ``input``.
    drops_self
        Whether the schema's first argument is the receiver.
    """

    receiver: str
    lists: str
    renames: bool = False
    drops_self: bool = False


FUNCTION = Face("", "_tuple[{}, ...]", renames=True)
METHOD = Face("self", "_tuple[{}, ...]", drops_self=True)
PACKET = Face("_", "_list[{}]")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a signature; `star` is for ``*size``."""

    name: str
    annotation: str
    default: str | None = None
    keyword_only: bool = False
    star: bool = False

    @property
    def speakable(self) -> bool:
        """Whether it can be given by its name: a schema may use a keyword of Python."""
        return not keyword.iskeyword(self.name)

    def __str__(self) -> str:
        name = self.name if self.speakable else f"{self.name}_"
        default = "" if self.default is None else f" = {self.default}"
        return f"{'*' if self.star else ''}{name}: {self.annotation}{default}"


@dataclass(frozen=True)
class Signature:
    """The parameters of a function and what it returns."""

    parameters: tuple[Parameter, ...]
    returns: str

    def text(self, receiver: str = "") -> str:
        """Return it as it stands after the name of a function."""
        return f"({', '.join(_in_order(self.parameters, receiver))}) -> {self.returns}"


def of_packet(schemas: Sequence[Schema], face: Face, results: Results) -> list[Signature]:
    """Return the signatures of an operator's overloads, in the order in which they are tried.

    Parameters
    ----------
    schemas
        All overloads.
    face
        For which way to call them.
    results
        Where the named results are kept.
    """
    if face.drops_self:
        schemas = [schema for schema in schemas if schema.takes_self]
    writing = [schema for schema in schemas if schema.outs]
    signatures: list[Signature] = []
    for schema in schemas:
        if not schema.outs:
            twin = next((other for other in writing if _are_twins(schema, other)), None)
            if twin is not None:
                writing.remove(twin)
            signatures += _with_packed(schema, face, results, twin)
    for schema in writing:
        if len(schema.outs) > 1 or schema.outs[0].name == "out":
            signatures += _with_packed(schema, face, results)
    return list(dict.fromkeys(signatures))


def of_overload(schema: Schema, results: Results) -> Signature:
    """Return the signature of one overload by its exact name: the schema's own."""
    numbers = _takes_numbers(schema)
    parameters = [_parameter(argument, number=numbers) for argument in schema.arguments]
    return Signature(_pythonic(parameters), results.annotation(schema, PACKET.lists))


def _are_twins(functional: Schema, writing: Schema) -> bool:
    """Tell whether one overload writes to ``out=`` what the other one returns."""
    return [argument.kind for argument in functional.arguments] == [argument.kind for argument in writing.inputs] and (
        len(writing.outs) > 1 or writing.outs[0].name == "out"
    )


def _with_packed(schema: Schema, face: Face, results: Results, twin: Schema | None = None) -> Iterator[Signature]:
    signature = _signature(schema, face, results, twin)
    yield signature
    packed = _packed(schema, face, signature)
    if packed is not None:
        yield packed


def _signature(schema: Schema, face: Face, results: Results, twin: Schema | None) -> Signature:
    numbers = _takes_numbers(schema)
    inputs = schema.inputs[1:] if face.drops_self else schema.inputs
    parameters = [_parameter(argument, number=numbers) for argument in inputs]
    if face.renames and not any(parameter.name == "input" for parameter in parameters):
        parameters = [replace(one, name="input") if one.name == "self" else one for one in parameters]
    if schema.outs:
        parameters.append(Parameter("out", _out(schema), keyword_only=True))
    elif twin is not None:
        parameters.append(Parameter("out", f"{_out(twin)} | None", "None", keyword_only=True))
    if schema.is_factory:
        parameters.append(Parameter("requires_grad", "_bool", "False", keyword_only=True))
    return Signature(_pythonic(parameters), results.annotation(schema, face.lists))


def _takes_numbers(schema: Schema) -> bool:
    return schema.namespace == "aten" and schema.name.removesuffix("_") in python_types.TAKES_NUMBERS


def _out(schema: Schema) -> str:
    """Return what ``out=`` takes: a tensor, or several in a tuple."""
    only = schema.outs[0]
    if len(schema.outs) == 1:
        return python_types.taken(only)
    each = ", ".join(python_types.taken(argument) for argument in schema.outs)
    plain = all((argument.base, argument.suffixes) == ("Tensor", ()) for argument in schema.outs)
    return f"_tuple[{each}] | _list[_Tensor]" if plain else f"_tuple[{each}]"


def _parameter(argument: Argument, *, number: bool) -> Parameter:
    annotation = python_types.taken(argument, number=number and not argument.writes)
    return Parameter(argument.name, annotation, _default(argument), argument.keyword_only)


def _default(argument: Argument) -> str | None:
    """Return a default as Python writes it; ``...`` for what has a name in Python and a number in a schema."""
    default = argument.default
    if default is None or argument.base in ("ScalarType", "MemoryFormat", "Layout", "QScheme"):
        return default if default in (None, "None") else "..."
    if default.startswith("[") and default.endswith("]"):
        inner = default[1:-1]
        return f"({inner},)" if inner and "," not in inner else f"({inner})"
    return default if _PLAIN_DEFAULT.fullmatch(default) else "..."


def _packed(schema: Schema, face: Face, signature: Signature) -> Signature | None:
    """Return the signature that takes the one list of ints as separate arguments, where it is the only argument.

    ``x.view(2, -1)`` for ``x.view((2, -1))``.
    """
    positional = [argument for argument in schema.inputs if not argument.keyword_only][int(face.drops_self) :]
    if len(positional) != 1 or positional[0].base not in _INTS or not any("[" in s for s in positional[0].suffixes):
        return None
    first, *others = signature.parameters
    return replace(signature, parameters=(replace(first, annotation="_int", default=None, star=True), *others))


def _pythonic(parameters: list[Parameter]) -> tuple[Parameter, ...]:
    """Leave out what a schema may have and a Python signature may not.

    A default before a positional parameter without one, and a name that came before (``prims::nan_to_num`` has two
    arguments called ``posinf``).
    """
    parameters = list({parameter.name: parameter for parameter in reversed(parameters)}.values())[::-1]
    last = max((i for i, one in enumerate(parameters) if one.default is None and not one.keyword_only), default=-1)
    return tuple(
        replace(one, default=None) if place < last and not one.keyword_only else one
        for place, one in enumerate(parameters)
    )


def _in_order(parameters: tuple[Parameter, ...], receiver: str) -> Iterator[str]:
    """Yield the texts between the brackets, with ``/`` and ``*`` where they belong."""
    if receiver:
        yield receiver
    positional = [one for one in parameters if not one.keyword_only]
    unspeakable = max((place for place, one in enumerate(positional) if not one.speakable), default=-1)
    for place, parameter in enumerate(positional):
        yield str(parameter)
        if place == unspeakable:
            yield "/"
    keywords = [one for one in parameters if one.keyword_only and one.speakable]
    if keywords and not any(one.star for one in positional):
        yield "*"
    yield from map(str, keywords)
