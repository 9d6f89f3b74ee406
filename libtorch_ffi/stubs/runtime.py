"""Signatures for a running program: what ``inspect.signature(libtorch_ffi.softmax)`` answers.

Owns the same conventions as the stubs, as objects of `inspect`. The compiled core calls `signature`; nothing else does.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from libtorch_ffi._binding import core
from libtorch_ffi.stubs.results import Results
from libtorch_ffi.stubs.schema import parse
from libtorch_ffi.stubs.signatures import FUNCTION, METHOD, PACKET, of_overload, of_packet

if TYPE_CHECKING:
    from libtorch_ffi.stubs.signatures import Parameter, Signature

FACES = {"function": FUNCTION, "method": METHOD, "packet": PACKET}
_ALIAS = re.compile(r"\b_(\w+)")


def signature(operator: core.Operator | core.OverloadMethod | core.OverloadPacket, face: str) -> inspect.Signature:
    """Return the one signature of an operator.

    Parameters
    ----------
    operator
        An overload, or a packet of them.
    face
        For a packet, a name in `FACES`.

    Raises
    ------
    AttributeError
        If it has more than one, as most operators with overloads do; its documentation lists them.
    """
    if isinstance(operator, core.Operator):
        return _as_inspect_has_it(of_overload(parse(operator.schema), Results()), "")
    schemas = [parse(getattr(operator, overload).schema) for overload in operator.overloads()]
    signatures = of_packet(schemas, FACES[face], Results())
    if len(signatures) != 1:
        raise AttributeError(f"{operator.__name__} has {len(signatures)} signatures; its __doc__ lists its schemas")
    return _as_inspect_has_it(signatures[0], "self" if face == "method" else "")


def _as_inspect_has_it(one: Signature, receiver: str) -> inspect.Signature:
    first = [inspect.Parameter(receiver, inspect.Parameter.POSITIONAL_ONLY)] if receiver else []
    speakable = [parameter for parameter in one.parameters if parameter.speakable]
    return inspect.Signature([*first, *map(_parameter, speakable)], return_annotation=_ALIAS.sub(r"\1", one.returns))


def _parameter(parameter: Parameter) -> inspect.Parameter:
    kinds = inspect.Parameter
    kind = kinds.KEYWORD_ONLY if parameter.keyword_only else kinds.POSITIONAL_OR_KEYWORD
    return kinds(
        parameter.name,
        kinds.VAR_POSITIONAL if parameter.star else kind,
        default=kinds.empty if parameter.default is None else _value(parameter.default),
        annotation=_ALIAS.sub(r"\1", parameter.annotation),
    )


def _value(default: str) -> object:
    """Return the value of a default, as far as the text of a stub has it."""
    import ast

    return ast.literal_eval(default)
