"""The symbols of an exported program's shapes: what inputs bind them to, and what they may be.

Owns the reading of symbolic expressions (SymPy's two ways to write them) into functions of the symbols' values, and the
checks of inputs. Evaluates arithmetic and comparisons only: a text out of an archive is parsed and never run.
"""

from __future__ import annotations

import ast
import functools
import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from libtorch_ffi._binding import core
from libtorch_ffi.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

_OPERATORS: dict[str, type[ast.operator]] = {"Add": ast.Add, "Mul": ast.Mult, "Pow": ast.Pow, "PowByNatural": ast.Pow}
"""What SymPy writes as a call of a function, and Python between its operands."""

_FUNCTIONS: dict[str, Callable[..., Any]] = {
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
    "Rational": operator.truediv,
    "floor": math.floor,
    "ceiling": math.ceil,
}


@dataclass(frozen=True)
class Expression:
    """A function from the values of symbols to the value of an expression; nan where it cannot be evaluated."""

    node: ast.expr

    def __call__(self, symbols: Mapping[str, float]) -> float:
        """Return the value where symbols have these."""
        result = value(self.node, symbols)
        return result if isinstance(result, (int, float)) else math.nan

    def __str__(self) -> str:
        return ast.unparse(self.node)

    @property
    def names(self) -> set[str]:
        """The symbols in it."""
        return {node.id for node in ast.walk(self.node) if isinstance(node, ast.Name)} - _FUNCTIONS.keys()

    def solve(self, size: int, symbols: dict[str, int]) -> bool:
        """Bind its one symbol that is not known yet; say whether there can be a value of which it becomes the size."""
        unknown = self.names - symbols.keys()
        if len(unknown) != 1:
            return True
        name = unknown.pop()
        first, second, third = (self({**symbols, name: number}) for number in (0, 1, 2))
        step = second - first
        if not step or third - second != step:
            return True  # not linear: whatever it is, it stays unknown
        number = (size - first) / step
        if number.is_integer():
            symbols[name] = int(number)
        return number.is_integer()


def symbol_of(text: str) -> str | None:
    """Return the name of a symbol where the expression is nothing else."""
    node = parsed(text)
    return node.id if isinstance(node, ast.Name) else None


def expression(text: str) -> Expression:
    """Return the function that an expression stands for."""
    return Expression(parsed(text))


def parsed(text: str) -> ast.expr:
    """Return the tree of an expression, as Python would write it: ``2 * s0``.

    Raises
    ------
    ProgramError
        If it is none, or longer than any of a shape is.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise ProgramError(f"the archive has {str(text)[:80]!r} where an expression of a shape is expected")
    try:
        tree: ast.expr = _Plain().visit(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ProgramError(f"the archive has {text[:80]!r} where an expression of a shape is expected") from None
    return tree


class _Plain(ast.NodeTransformer):
    """Replaces what SymPy writes as calls: ``Mul(Integer(2), Symbol('s0', positive=True))``."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        arguments: list[ast.expr] = [self.visit(argument) for argument in node.args]
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        first = arguments[0] if arguments else None
        if name == "Symbol" and isinstance(first, ast.Constant):
            return ast.Name(str(first.value), ast.Load())
        if name == "Integer" and first is not None:
            return first
        if name in _OPERATORS and first is not None:
            joined = _OPERATORS[name]
            return functools.reduce(lambda left, right: ast.BinOp(left, joined(), right), arguments)
        return ast.Call(node.func, arguments, [])


def value(node: ast.expr, symbols: Mapping[str, float]) -> Any:
    """Return the number or the truth that a tree has where symbols have values; nan where it cannot be evaluated."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.Name):
        return symbols.get(node.id, math.nan)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -value(node.operand, symbols)
    if isinstance(node, ast.BinOp):
        return _binary(node, symbols)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        return _apply(_FUNCTIONS[node.func.id], [value(argument, symbols) for argument in node.args])
    return _truth(node, symbols)


def _truth(node: ast.expr, symbols: Mapping[str, float]) -> Any:
    """Return whether a condition holds; nan where any part of it cannot be evaluated."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _apply(operator.not_, [value(node.operand, symbols)])
    if isinstance(node, ast.BoolOp):
        parts = [value(part, symbols) for part in node.values]
        return _apply(lambda *a: all(a) if isinstance(node.op, ast.And) else any(a), parts)
    if not isinstance(node, ast.Compare) or not all(type(one) in _COMPARISONS for one in node.ops):
        return math.nan
    numbers = [value(part, symbols) for part in (node.left, *node.comparators)]
    pairs = zip(node.ops, numbers[:-1], numbers[1:], strict=True)
    return _apply(lambda *_: all(_COMPARISONS[type(one)](left, right) for one, left, right in pairs), numbers)


def _binary(node: ast.BinOp, symbols: Mapping[str, float]) -> Any:
    left, right = value(node.left, symbols), value(node.right, symbols)
    if isinstance(node.op, ast.Pow):
        return _power(left, right)
    function = _BINARY.get(type(node.op))
    return math.nan if function is None else _apply(function, [left, right])


def _power(base: float, exponent: float) -> float:
    small = abs(base) < 1 << 32 and abs(exponent) < 64  # noqa: PLR2004 - more would not be a size
    return _apply(operator.pow, [base, exponent]) if small else math.nan


def _apply(function: Callable[..., Any], values: list[Any]) -> Any:
    try:
        if any(map(math.isnan, values)):
            return math.nan
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

    def shows(self, symbol: str) -> bool:
        """Return whether a symbol is in its sizes, or is its number."""
        dims = self.dims or []
        return symbol == self.symbol or any(symbol in (d.names if isinstance(d, Expression) else {d}) for d in dims)

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

    def derive(self, value: Any, symbols: dict[str, int]) -> None:
        """Check the dimensions that follow from symbols; bind those symbols that no dimension is equal to."""
        for index, dim in enumerate(self.dims or []):
            if not isinstance(dim, Expression):
                continue
            size = value.shape[index]
            fits = dim.solve(size, symbols)
            expected = dim(symbols)
            if not fits or (not math.isnan(expected) and expected != size):
                raise ProgramError(
                    f"dimension {index} of input {self.name} of the program has to be "
                    f"{f'{expected} ({dim})' if fits else dim}, not {size}"
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
    for check, value in zip(checks, values, strict=True):
        check.derive(value, symbols)
    for symbol, (low, high) in ranges.items():
        size = symbols.get(symbol)
        if size is None:
            continue
        if (low is not None and low > _ALWAYS_ALLOWED and size < low) or (high is not None and size > high):
            names = [check.name for check in checks if check.shows(symbol)]
            raise ProgramError(
                f"{symbol}, a size of {', '.join(names)}, has to be from {low if low is not None else 'any'} to "
                f"{high if high is not None else 'any'}, not {size}"
            )
