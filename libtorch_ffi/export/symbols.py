"""The symbols of an exported program's shapes: what inputs bind them to, and what they may be.

Owns the reading of symbolic expressions (SymPy's two ways to write them) into functions of the symbols' values, and the
checks of inputs. Evaluates arithmetic only: a text out of an archive is parsed and never run.
"""

from __future__ import annotations

import ast
import math
import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from libtorch_ffi._binding import core
from libtorch_ffi.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    Expression: TypeAlias = Callable[[Mapping[str, int]], float]

_LONGEST = 10_000
_ALWAYS_ALLOWED = 2
"""Lower bounds up to this say how the program was exported (0 and 1 are special), not what it can run."""

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Add": lambda *a: sum(a),
    "Mul": lambda *a: math.prod(a),
    "FloorDiv": operator.floordiv,
    "CleanDiv": operator.floordiv,
    "CeilDiv": lambda a, b: -(-a // b),
    "Mod": operator.mod,
    "PythonMod": operator.mod,
    "ModularIndexing": lambda a, b, c: a // b % c,
    "Max": max,
    "Min": min,
    "IntTrueDiv": operator.truediv,
    "FloatTrueDiv": operator.truediv,
    "CeilToInt": math.ceil,
    "FloorToInt": math.floor,
    "TruncToInt": math.trunc,
    "RoundToInt": round,
    "ToFloat": float,
    "Identity": lambda a: a,
    "Integer": lambda a: a,
    "Rational": operator.truediv,
    "floor": math.floor,
    "ceiling": math.ceil,
}


def symbol_of(text: str) -> str | None:
    """Return the name of a symbol where the expression is nothing else."""
    node = _parsed(text)
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Symbol":
        first = node.args[0] if node.args else None
        return str(first.value) if isinstance(first, ast.Constant) else None
    return None


def expression(text: str) -> Expression:
    """Return a function from the values of symbols to the value of an expression; None where it cannot be evaluated."""
    node = _parsed(text)

    def value(symbols: Mapping[str, int]) -> float:
        result = _value(node, symbols)
        return result if isinstance(result, (int, float)) else math.nan

    return value


def _parsed(text: str) -> ast.expr:
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise ProgramError(f"the archive has {str(text)[:80]!r} where an expression of a shape is expected")
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ProgramError(f"the archive has {text[:80]!r} where an expression of a shape is expected") from None


def _value(node: ast.expr, symbols: Mapping[str, int]) -> Any:
    """Evaluate; nan is what cannot be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.Name):
        return symbols.get(node.id, math.nan)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, symbols)
    if isinstance(node, ast.BinOp):
        return _binary(node, symbols)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _call(node.func.id, node.args, symbols)
    return math.nan


def _binary(node: ast.BinOp, symbols: Mapping[str, int]) -> Any:
    left, right = _value(node.left, symbols), _value(node.right, symbols)
    if isinstance(node.op, ast.Pow):
        return _power(left, right)
    function = _BINARY.get(type(node.op))
    return math.nan if function is None else _apply(function, [left, right])


def _call(name: str, arguments: Sequence[ast.expr], symbols: Mapping[str, int]) -> Any:
    if name == "Symbol":
        first = arguments[0] if arguments else None
        return symbols.get(str(first.value), math.nan) if isinstance(first, ast.Constant) else math.nan
    values = [_value(argument, symbols) for argument in arguments]
    if name in ("Pow", "PowByNatural") and len(values) == 2:  # noqa: PLR2004 - base and exponent
        return _power(*values)
    return _apply(_FUNCTIONS[name], values) if name in _FUNCTIONS else math.nan


def _power(base: float, exponent: float) -> float:
    small = abs(base) < 1 << 32 and abs(exponent) < 64  # noqa: PLR2004 - more would not be a size
    return _apply(operator.pow, [base, exponent]) if small else math.nan


def _apply(function: Callable[..., Any], values: list[Any]) -> Any:
    try:
        return function(*values)
    except (ArithmeticError, ValueError, TypeError):
        return math.nan


@dataclass
class InputCheck:
    """What one input has to be: a tensor of some shape, a number, or a constant of the program.

    Parameters
    ----------
    name
        As the program calls it.
    dims
        Of a tensor: each an int, the name of a symbol, or an expression of symbols; None for what is no tensor.
    symbol
        Of a number.
    constant
        What a constant input was when the program was exported.
    """

    name: str
    dims: list[int | str | Expression] | None = None
    symbol: str | None = None
    constant: tuple[Any] | None = None
    texts: list[str] = field(default_factory=list)

    def bind(self, value: Any, symbols: dict[str, int]) -> None:
        """Check a value as far as it can be alone, and bind the symbols that it shows."""
        if self.dims is not None:
            self._bind_tensor(value, symbols)
        elif self.symbol is not None:
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                raise ProgramError(f"input {self.name} of the program is a number, not {type(value).__name__}")
            _bind(self.symbol, int(value), f"input {self.name}", symbols)
        elif self.constant is not None and not _same(value, self.constant[0]):
            raise ProgramError(
                f"input {self.name} of the program was {self.constant[0]!r} when it was exported and cannot be "
                f"{value!r}: export it once more with that"
            )

    def _bind_tensor(self, value: Any, symbols: dict[str, int]) -> None:
        if not isinstance(value, core.Tensor):
            raise ProgramError(f"input {self.name} of the program is a Tensor, not {type(value).__name__}")
        shape, dims = value.shape, self.dims or []
        if len(shape) != len(dims):
            raise ProgramError(
                f"input {self.name} of the program has {len(dims)} dimensions, not {len(shape)} as {tuple(shape)} has"
            )
        for index, (size, dim) in enumerate(zip(shape, dims, strict=True)):
            if isinstance(dim, str):
                _bind(dim, size, f"dimension {index} of input {self.name}", symbols)
            elif isinstance(dim, int) and dim != size:
                raise ProgramError(
                    f"dimension {index} of input {self.name} of the program is {dim}, not {size}: it was exported as "
                    "static"
                )

    def derived(self, value: Any, symbols: Mapping[str, int]) -> None:
        """Check the dimensions that follow from symbols, once all are bound."""
        for index, dim in enumerate(self.dims or []):
            if callable(dim):
                expected = dim(symbols)
                if not math.isnan(expected) and expected != value.shape[index]:
                    raise ProgramError(
                        f"dimension {index} of input {self.name} of the program has to be {expected} "
                        f"({self.texts[index]}), not {value.shape[index]}"
                    )


def _bind(symbol: str, size: int, where: str, symbols: dict[str, int]) -> None:
    known = symbols.setdefault(symbol, size)
    if known != size:
        raise ProgramError(f"{where} of the program has to be {known}, as another dimension is, not {size}")


def _same(value: Any, constant: Any) -> bool:
    return type(value) is type(constant) and bool(value == constant)


def check_inputs(
    checks: Sequence[InputCheck], values: Sequence[Any], ranges: Mapping[str, tuple[int | None, int | None]]
) -> None:
    """Check all inputs of a run.

    Raises
    ------
    ProgramError
        If one is not what the program takes: the message names the input, what it takes and what came.
    """
    symbols: dict[str, int] = {}
    for check, value in zip(checks, values, strict=True):
        check.bind(value, symbols)
    for symbol, (low, high) in ranges.items():
        size = symbols.get(symbol)
        if size is None:
            continue
        if (low is not None and low > _ALWAYS_ALLOWED and size < low) or (high is not None and size > high):
            names = [check.name for check in checks if symbol in (check.dims or []) or symbol == check.symbol]
            raise ProgramError(
                f"{symbol}, a size of {', '.join(names)}, has to be from {low if low is not None else 'any'} to "
                f"{high if high is not None else 'any'}, not {size}"
            )
    for check, value in zip(checks, values, strict=True):
        check.derived(value, symbols)
