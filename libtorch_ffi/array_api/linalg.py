"""Linear algebra of the array API standard.

Owns the standard's signatures and names of results; libtorch computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from libtorch_ffi._aten import many, one
from libtorch_ffi._functions.products import tensordot as _tensordot
from libtorch_ffi.array_api._elementwise import both_tensors
from libtorch_ffi.array_api._reductions import sum as total

if TYPE_CHECKING:
    from typing import Any

    from libtorch_ffi._binding import core
    from libtorch_ffi._C import Tensor

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]

_cholesky, _cross, _det, _eigvalsh = map(one, ("linalg_cholesky", "linalg_cross", "linalg_det", "linalg_eigvalsh"))
_inv, _matmul, _matrix_norm = map(one, ("linalg_inv", "matmul", "linalg_matrix_norm"))
_power, _rank, _pinv, _solve = map(one, ("linalg_matrix_power", "linalg_matrix_rank", "linalg_pinv", "linalg_solve"))
_broadcast, _squeeze = many("broadcast_tensors"), one("squeeze")
_diagonal, _outer, _svdvals, _vector_norm = map(one, ("diagonal", "outer", "linalg_svdvals", "linalg_vector_norm"))
_eigh, _qr, _slogdet, _svd = map(many, ("linalg_eigh", "linalg_qr", "linalg_slogdet", "linalg_svd"))

_MATRIX = 2
"""Dimensions."""


class Eigh(NamedTuple):
    """Eigenvalues in order, and the eigenvectors as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QR(NamedTuple):
    """A matrix with orthonormal columns, and an upper triangle."""

    Q: Tensor
    R: Tensor


class Slogdet(NamedTuple):
    """The sign of a determinant, and the logarithm of its absolute value."""

    sign: Tensor
    logabsdet: Tensor


class SVD(NamedTuple):
    """The factors of a singular value decomposition."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def _check_matrix(x: Tensor, name: str) -> None:
    if x.ndim < _MATRIX:
        raise ValueError(f"{name}() takes matrices, not a tensor of shape {tuple(x.shape)}")


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Return the product of matrices, or of vectors."""
    return _matmul(*both_tensors(x1, x2))


def matrix_transpose(x: Tensor, /) -> Tensor:
    """Return a view with the last two dimensions swapped."""
    _check_matrix(x, "matrix_transpose")
    return x.mT


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: int | tuple[Any, Any] = 2) -> Tensor:
    """Return the sum of products over dimensions of two tensors."""
    return _tensordot(*both_tensors(x1, x2), dims=axes)


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """Return the sum of products of conjugates of one tensor with another, along a dimension.

    Raises
    ------
    ValueError
        If the dimension has another length in the other.
    """
    first, second = both_tensors(x1, x2)
    if first.shape[axis] != second.shape[axis]:
        raise ValueError(f"vectors of {first.shape[axis]} and {second.shape[axis]} elements have no product")
    ahead = axis if axis < 0 else axis - max(first.ndim, second.ndim)
    product = (first.conj() if first.dtype.is_complex else first) * second
    return total(product, axis=ahead, dtype=product.dtype)


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """Return the Cholesky factor of positive definite matrices."""
    return _cholesky(x, upper=upper)


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """Return the cross product of vectors of three elements."""
    return _cross(*_broadcast(both_tensors(x1, x2)), dim=axis)


def det(x: Tensor, /) -> Tensor:
    """Return the determinant of square matrices."""
    return _det(x)


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """Return a view of a diagonal of matrices."""
    _check_matrix(x, "diagonal")
    return _diagonal(x, offset, -2, -1)


def eigh(x: Tensor, /) -> Eigh:
    """Return eigenvalues and eigenvectors of symmetric or Hermitian matrices."""
    return Eigh(*_eigh(x))


def eigvalsh(x: Tensor, /) -> Tensor:
    """Return the eigenvalues of symmetric or Hermitian matrices, in order."""
    return _eigvalsh(x)


def inv(x: Tensor, /) -> Tensor:
    """Return the inverse of square matrices."""
    return _inv(x)


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: float | str | None = "fro") -> Tensor:  # noqa: A002 - the standard's name
    """Return the norm of matrices: ``"fro"``, ``"nuc"``, 1, 2, inf, or their negatives."""
    return _matrix_norm(x, "fro" if ord is None else ord, keepdim=keepdims)


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    """Return square matrices to a whole power."""
    return _power(x, n)


def matrix_rank(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """Return how many singular values of matrices are above `rtol` times the largest."""
    return _rank(x) if rtol is None else _rank(x, rtol=rtol)


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Return the products of all pairs of elements of two vectors."""
    return _outer(*both_tensors(x1, x2))


def pinv(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """Return the pseudoinverse of matrices."""
    return _pinv(x) if rtol is None else _pinv(x, rtol=rtol)


def qr(x: Tensor, /, *, mode: str = "reduced") -> QR:
    """Return the factors of a QR decomposition, ``"reduced"`` or ``"complete"``."""
    return QR(*_qr(x, mode))


def slogdet(x: Tensor, /) -> Slogdet:
    """Return sign and logarithm of the determinant of square matrices."""
    return Slogdet(*_slogdet(x))


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Return the solutions of linear systems: of one vector, where `x2` has one dimension, else of matrices."""
    first, second = both_tensors(x1, x2)
    if second.ndim == 1:
        return _squeeze(_solve(first, second.unsqueeze(-1)), -1)
    missing = (1,) * (first.ndim - second.ndim)  # which libtorch would take for vectors
    return _solve(first, second.reshape((*missing, *second.shape)))


def svd(x: Tensor, /, *, full_matrices: bool = True) -> SVD:
    """Return the factors of a singular value decomposition."""
    return SVD(*_svd(x, full_matrices))


def svdvals(x: Tensor, /) -> Tensor:
    """Return the singular values of matrices, the largest first."""
    return _svdvals(x)


def trace(x: Tensor, /, *, offset: int = 0, dtype: core.dtype | None = None) -> Tensor:
    """Return the sum along a diagonal of matrices."""
    return total(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def vector_norm(
    x: Tensor,
    /,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    ord: float = 2,  # noqa: A002 - likewise
) -> Tensor:
    """Return the norm of vectors along dimensions, by default of all elements."""
    if axis == ():
        return _vector_norm(x.unsqueeze(-1), ord, (-1,))
    axes = None if axis is None else (axis,) if isinstance(axis, int) else axis
    return _vector_norm(x, ord, axes, keepdims)
