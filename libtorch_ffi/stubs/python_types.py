"""From the types of a schema to Python's.

Owns what a converter of the core takes (``csrc/convert.cpp``) and what its results are, as annotations. Every name
has an underscore before it: among the operators are ``complex`` and ``float``, and among the overloads ``Tensor`` and
``int``, which would otherwise be taken for the types.
"""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libtorch_ffi.stubs.schema import Argument, Schema

HEADER = """\
from builtins import bool as _bool
from builtins import complex as _complex
from builtins import dict as _dict
from builtins import float as _float
from builtins import int as _int
from builtins import list as _list
from builtins import object as _object
from builtins import str as _str
from builtins import tuple as _tuple
from collections.abc import Sequence as _Sequence
from typing import Any as _Any
from typing import NamedTuple as _NamedTuple
from typing import overload as _overload

from libtorch_ffi._C import Generator as _Generator
from libtorch_ffi._C import Operator as _Operator
from libtorch_ffi._C import OverloadPacket as _OverloadPacket
from libtorch_ffi._C import ScriptObject as _ScriptObject
from libtorch_ffi._C import Tensor as _Tensor
from libtorch_ffi._C import dtype as _dtype
from libtorch_ffi._C import layout as _layout
from libtorch_ffi._C import memory_format as _memory_format
from libtorch_ffi._C import qscheme as _qscheme
from libtorch_ffi.types import Device as _Device
from libtorch_ffi.types import DType as _DType
from libtorch_ffi.types import Ints as _Ints
from libtorch_ffi.types import Number as _Number
from libtorch_ffi.types import Tensors as _Tensors
"""
"""What the annotations name, for the top of a stub."""

_TAKES = {
    "Tensor": "_Tensor",
    "Scalar": "_Number",
    "int": "_int",
    "SymInt": "_int",
    "float": "_float",
    "SymFloat": "_float",
    "complex": "_complex",
    "bool": "_bool",
    "SymBool": "_bool",
    "str": "_str",
    "ScalarType": "_DType",
    "Layout": "_layout",
    "MemoryFormat": "_memory_format",
    "QScheme": "_qscheme",
    "Device": "_Device",
    "Generator": "_Generator",
    "Any": "_object",
}
_GIVES = {**_TAKES, "ScalarType": "_dtype", "Device": "_Any", "Any": "_Any"}
_LISTS = {"int": "_Ints", "SymInt": "_Ints", "Tensor": "_Tensors"}
"""Lists of which the core takes a tuple or a list, and no other sequence."""

TAKES_NUMBERS = frozenset(
    (
        *("add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide"),
        *("floor_divide", "fmod", "remainder", "copy"),
    )
)
"""The operators whose tensors may be given as numbers, with and without a ``_`` at the end; ``csrc/plan.cpp`` has more,
of which no other argument is a tensor."""


def taken(argument: Argument, *, number: bool = False) -> str:
    """Return the annotation of an argument.

    Parameters
    ----------
    argument
        Of a schema.
    number
        Whether a number may stand for it, if it is a tensor.
    """
    text = _named(argument.base, _TAKES)
    optional = False
    for suffix in argument.suffixes:
        if suffix == "?":
            optional = True
            continue
        element = f"{text} | None" if optional else text
        listed = _LISTS.get(argument.base, "") if text == _TAKES.get(argument.base) and not optional else ""
        text = listed or f"_Sequence[{element}]"
        if suffix != "[]":  # one value stands for each of a known number
            text = f"{_named(argument.base, _TAKES)} | {text}"
        optional = False
    if number and text == "_Tensor":
        text = "_Tensor | _Number"
    return f"{text} | None" if optional else text


def given(results: Sequence[Argument], *, lists: str, named: str = "") -> str:
    """Return the annotation of what an operator answers.

    Parameters
    ----------
    results
        Of a schema.
    lists
        What a list comes as: ``_list[{}]``, or ``_tuple[{}, ...]`` as torch's functions have it.
    named
        The named tuple that holds the results, where there is one.
    """
    each = [_result(result, lists) for result in results]
    if not each:
        return "None"
    if len(each) == 1:
        return each[0]
    return named or f"_tuple[{', '.join(each)}]"


def _result(result: Argument, lists: str = "_list[{}]") -> str:
    text = _named(result.base, _GIVES)
    for place, suffix in enumerate(result.suffixes):
        if suffix == "?":
            text = f"{text} | None"
        else:
            outermost = place == len(result.suffixes) - 1
            text = (lists if outermost else "_list[{}]").format(text)
    return text


def fields(schema: Schema) -> tuple[tuple[str, str], ...]:
    """Return the names and annotations of a named result; empty where a plain tuple has to do.

    A result is named where each of its parts is. A name that a named tuple cannot have (a keyword, a method of tuple)
    is read by its place.
    """
    names = [result.name for result in schema.results]
    reserved = any(not name or name.startswith("_") or keyword.iskeyword(name) or hasattr((), name) for name in names)
    if len(names) == 1 or reserved or len(set(names)) < len(names):
        return ()
    return tuple((result.name, _result(result)) for result in schema.results)


def _named(base: str, names: dict[str, str]) -> str:
    if base.startswith("Dict("):
        return "_dict[_Any, _Any]"
    return "_ScriptObject" if base.startswith("__torch__.") else names.get(base, "_Any")
