"""Sparse tensors out of their parts, which may be lists or arrays as well as tensors, as in torch.

Owns the reading of the parts; the operators take tensors only, and do the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.types import Device, DType

__all__ = [
    "sparse_bsc_tensor",
    "sparse_bsr_tensor",
    "sparse_compressed_tensor",
    "sparse_coo_tensor",
    "sparse_csc_tensor",
    "sparse_csr_tensor",
]

_coo = one("sparse_coo_tensor")
_operators = {kind: one(f"sparse_{kind}_tensor") for kind in ("bsc", "bsr", "compressed", "csc", "csr")}


def sparse_coo_tensor(
    indices: object = None,
    values: object = None,
    size: Sequence[int] | None = None,
    *,
    dtype: DType | None = None,
    device: Device | None = None,
    **options: object,
) -> Tensor:
    """Return a tensor of the layout sparse_coo.

    Parameters
    ----------
    indices
        Where the elements are: of shape (sparse dimensions, elements), integers. A size alone makes an empty tensor.
    values
        The elements.
    size
        The shape; by default the smallest that holds all indices.
    dtype, device
        What the tensor is to have; by default what `values` has.
    **options
        ``requires_grad``, ``pin_memory``, ``is_coalesced``.
    """
    if values is None:
        return _coo(indices if size is None else size, dtype=dtype, device=device, **options)
    elements = core.as_tensor(values, dtype=dtype, device=device)
    places = core.as_tensor(indices, dtype=core.int64, device=elements.device)
    shape = () if size is None else (size,)
    return _coo(places, elements, *shape, dtype=elements.dtype, device=elements.device, **options)


def sparse_csr_tensor(
    crow_indices: object, col_indices: object, values: object, size: Sequence[int] | None = None, **options: object
) -> Tensor:
    """Return a tensor of the layout sparse_csr: `crow_indices` tells where each row begins in the other two.

    Further arguments are ``dtype``, ``device``, ``pin_memory`` and ``requires_grad``.
    """
    return _compressed("csr", (crow_indices, col_indices, values), size, options)


def sparse_csc_tensor(
    ccol_indices: object, row_indices: object, values: object, size: Sequence[int] | None = None, **options: object
) -> Tensor:
    """Return a tensor of the layout sparse_csc: `ccol_indices` tells where each column begins in the other two.

    Further arguments are ``dtype``, ``device``, ``pin_memory`` and ``requires_grad``.
    """
    return _compressed("csc", (ccol_indices, row_indices, values), size, options)


def sparse_bsr_tensor(
    crow_indices: object, col_indices: object, values: object, size: Sequence[int] | None = None, **options: object
) -> Tensor:
    """Return a tensor of the layout sparse_bsr: as `sparse_csr_tensor`, of blocks.

    Further arguments are ``dtype``, ``device``, ``pin_memory`` and ``requires_grad``.
    """
    return _compressed("bsr", (crow_indices, col_indices, values), size, options)


def sparse_bsc_tensor(
    ccol_indices: object, row_indices: object, values: object, size: Sequence[int] | None = None, **options: object
) -> Tensor:
    """Return a tensor of the layout sparse_bsc: as `sparse_csc_tensor`, of blocks.

    Further arguments are ``dtype``, ``device``, ``pin_memory`` and ``requires_grad``.
    """
    return _compressed("bsc", (ccol_indices, row_indices, values), size, options)


def sparse_compressed_tensor(
    compressed_indices: object,
    plain_indices: object,
    values: object,
    size: Sequence[int] | None = None,
    **options: object,
) -> Tensor:
    """Return a tensor of the compressed layout that ``layout`` names.

    Further arguments are ``dtype``, ``device``, ``pin_memory`` and ``requires_grad``.
    """
    return _compressed("compressed", (compressed_indices, plain_indices, values), size, options)


def _compressed(
    kind: str,
    parts: tuple[object, object, object],
    size: Sequence[int] | None,
    options: dict[str, Any],
) -> Tensor:
    elements = core.as_tensor(parts[2], dtype=options.pop("dtype", None), device=options.pop("device", None))
    places = [core.as_tensor(part, device=elements.device) for part in parts[:2]]
    shape = () if size is None else (size,)
    return _operators[kind](*places, elements, *shape, dtype=elements.dtype, device=elements.device, **options)
