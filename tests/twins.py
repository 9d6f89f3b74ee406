"""One program run twice: by libtorch_ffi and by torch, with results that compare.

Owns the reading of files of programs, and the reduction of a result to plain Python values. A program is an expression
in which ``m`` is the module, ``np`` is NumPy and the names of `GIVEN` are tensors; a line of a file is one program, or
several with commas between them.
"""

from __future__ import annotations

import ast
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from types import ModuleType

    from libtorch_ffi import Size, Tensor

PROGRAMS = Path(__file__).parent / "call" / "programs"

GIVEN = {
    "x": "m.arange(6.0).reshape(2, 3)",
    "y": "m.ones(3)",
    "i": "m.arange(3)",
    "c": "m.tensor([1 + 2j])",
    "b": "m.tensor([True, False])",
    "s": "m.tensor([[2.0, 1.0], [1.0, 3.0]])",
}


def lines(name: str) -> list[str]:
    """The lines of a file of programs, without its comments."""
    text = (PROGRAMS / f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def outcomes(line: str, module: ModuleType) -> dict[str, object]:
    """What each program of a line answers."""
    whole = ast.parse(f"({line}\n)", mode="eval").body
    parts = whole.elts if isinstance(whole, ast.Tuple) else [whole]
    return {program: outcome(program, module) for program in map(ast.unparse, parts)}


def outcome(program: str, module: ModuleType) -> object:
    """What a program answers, reduced; or the name of the type of the exception that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {"m": module, "np": np}
        names |= {name: eval(text, names) for name, text in GIVEN.items()}
        try:
            return reduced(eval(program, names))
        except Exception as error:  # noqa: BLE001 - whichever it is, it is the outcome
            return f"raises {type(error).__name__.lstrip('_')}"  # torch's LinAlgError is a private one


def reduced(value: object) -> object:
    """A value as plain Python ones that compare by ==, NaNs too."""
    kind = type(value).__name__
    if kind == "Tensor":
        return described(cast("Tensor", value))
    if kind == "Size":
        return kind, list(cast("Size", value))
    if isinstance(value, (list, tuple)):
        return "tuple" if isinstance(value, tuple) else "list", [reduced(item) for item in value]
    return kind, repr(value)


def described(tensor: Tensor) -> object:
    """What there is to a tensor."""
    elements = "…" if tensor.is_meta else repr(tensor.detach().to_dense().tolist())
    return str(tensor.dtype), tuple(tensor.shape), str(tensor.device), tensor.requires_grad, elements
