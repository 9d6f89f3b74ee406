"""Products of several tensors, and which of their dimensions are summed.

Owns the ways in which torch lets those dimensions be said: letters, lists of numbers, a count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi._functions.spread import spread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from libtorch_ffi._C import Tensor
    from libtorch_ffi._functions.spread import Spread

__all__ = ["block_diag", "cartesian_prod", "chain_matmul", "einsum", "tensordot"]

_block_diag = one("block_diag")
_cartesian_prod = one("cartesian_prod")
_chain_matmul = one("chain_matmul")
_einsum = one("einsum")
_tensordot = one("tensordot")


def block_diag(*tensors: Tensor) -> Tensor:
    """Return the matrix with matrices along its diagonal and zeros elsewhere."""
    return _block_diag(tensors)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Return all combinations of the elements of vectors, one a row."""
    return _cartesian_prod(tensors)


def chain_matmul(*matrices: Spread, out: Tensor | None = None) -> Tensor:
    """Return the product of matrices, multiplied in the cheapest order."""
    return _chain_matmul(spread(matrices)) if out is None else _chain_matmul(spread(matrices), out=out)


@overload
def einsum(equation: str, *operands: Tensor | Sequence[Tensor]) -> Tensor: ...
@overload
def einsum(equation: Tensor, *operands: Tensor | Sequence[int]) -> Tensor: ...
def einsum(equation: object, *operands: Any) -> Tensor:
    """Return a sum of products, by Einstein's convention.

    Parameters
    ----------
    equation
        Such as ``"ij,jk->ik"``. Or, instead of letters, ints: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.
    *operands
        The tensors.
    """
    if isinstance(equation, str):
        return _einsum(equation, spread(operands))
    return _einsum(*_from_sublists((equation, *operands)))


def _from_sublists(arguments: tuple[Any, ...]) -> tuple[str, tuple[Tensor, ...]]:
    result = arguments[-1] if len(arguments) % 2 else None
    tensors, lists = arguments[0 : len(arguments) - 1 : 2], arguments[1::2]
    equation = ",".join(map(_letters, lists)) + ("" if result is None else f"->{_letters(result)}")
    return equation, tensors


def _letters(subscripts: Sequence[Any]) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for subscript in subscripts:
        if subscript is not Ellipsis and not 0 <= subscript < len(letters):
            raise ValueError(f"einsum(): a subscript is Ellipsis or an int in [0, {len(letters)}), not {subscript}")
    return "".join("..." if subscript is Ellipsis else letters[subscript] for subscript in subscripts)


def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[Any] | Tensor = 2, out: Tensor | None = None) -> Tensor:
    """Return the sum of products over dimensions of two tensors.

    Parameters
    ----------
    a, b
        What to multiply.
    dims
        How many: the last of `a` with the first of `b`. Or two lists of dimensions, of `a` and of `b`; as a tensor too.
    out
        Takes the result.

    Raises
    ------
    RuntimeError
        If `dims` is negative or more than a tensor has.
    """
    of_a, of_b = _summed(a, b, dims)
    return _tensordot(a, b, of_a, of_b) if out is None else _tensordot(a, b, of_a, of_b, out=out)


def _summed(a: Tensor, b: Tensor, dims: int | Sequence[Any] | Tensor) -> tuple[list[int], list[int]]:
    if isinstance(dims, core.Tensor):
        dims = dims.tolist() if dims.numel() > 1 else int(dims.item())
    if not isinstance(dims, int):
        of_a, of_b = dims
        return ([of_a], [of_b]) if isinstance(of_a, int) else (list(of_a), list(of_b))
    if dims < 0:
        raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
    if dims > min(a.dim(), b.dim()):
        raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
    return list(range(a.dim() - dims, a.dim())), list(range(dims))
