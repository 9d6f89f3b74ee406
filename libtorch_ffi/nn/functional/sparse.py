"""Rows of a table by their indices, as torch's ``nn.functional`` has them.

Owns the checks of the indices' shapes, and ``max_norm``, which changes the table before it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._aten import many, one
from libtorch_ffi.autograd import no_grad

if TYPE_CHECKING:
    from libtorch_ffi._C import Tensor

_arange, _embedding, _renorm_ = one("arange"), one("embedding"), one("embedding_renorm_")
_embedding_bag = many("embedding_bag")
_MODES = {"sum": 0, "mean": 1, "max": 2}


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Return rows of a table.

    Parameters
    ----------
    input
        The rows' indices, ints of any shape.
    weight
        The table, of shape (rows, columns).
    padding_idx
        A row that no gradient reaches; a negative one counts from the end.
    max_norm
        Scale rows of a larger norm down to this, in the table itself.
    norm_type
        Which norm.
    scale_grad_by_freq
        Divide a row's gradient by how often it is asked for.
    sparse
        Make the table's gradient a sparse tensor.

    Returns
    -------
    Tensor
        Of the shape of `input` with the columns behind it.

    Raises
    ------
    ValueError
        If `padding_idx` is no row.
    """
    rows = int(weight.shape[0])
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ValueError(f"Padding_idx must be within num_embeddings, of which there are {rows}, but got {padding_idx}")
    padding = -1 if padding_idx is None else padding_idx % rows
    if max_norm is not None:
        with no_grad():
            _renorm_(weight, input.contiguous(), max_norm, norm_type)
    return _embedding(weight, input, padding, scale_grad_by_freq, sparse)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Return the sum, mean or maximum of bags of rows, without the rows between.

    Parameters
    ----------
    input
        The rows' indices, of shape (bags, length); or of shape (indices,), and `offsets` says where each bag begins.
    weight
        The table, of shape (rows, columns).
    offsets
        Of shape (bags,), or with the end of the last one where `include_last_offset` says so.
    max_norm, norm_type, scale_grad_by_freq, sparse
        As `embedding` has them.
    mode
        ``"sum"``, ``"mean"`` or ``"max"``.
    per_sample_weights
        What each row is multiplied by, of the shape of `input`; for sums.
    padding_idx
        A row that counts for nothing.

    Returns
    -------
    Tensor
        Of shape (bags, columns).

    Raises
    ------
    ValueError
        If shapes do not fit each other, or `mode` is another.
    """
    if per_sample_weights is not None and input.shape != per_sample_weights.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the "
            f"same shape as the input ({input.shape})"
        )
    _check_bags(input, weight, offsets)
    rows = input.reshape(-1)
    if offsets is None:
        offsets = _arange(0, input.numel(), input.shape[1], dtype=input.dtype, device=input.device)
        include_last_offset = False
        per_sample_weights = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    if mode not in _MODES:
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and (scale_grad_by_freq or sparse):
        what = "scaling the gradient by the frequency" if scale_grad_by_freq else "sparse weights"
        raise ValueError(f"max mode does not support {what}")
    if max_norm is not None:
        with no_grad():
            _renorm_(weight, rows.contiguous(), max_norm, norm_type)
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got "
            f"mode='{mode}')."
        )
    options = (scale_grad_by_freq, _MODES[mode], sparse, per_sample_weights, include_last_offset, padding_idx)
    return _embedding_bag(weight, rows, offsets, *options)[0]


def _check_bags(input: Tensor, weight: Tensor, offsets: Tensor | None) -> None:
    if weight.dim() != 2:  # noqa: PLR2004 - rows and columns
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}")
    if input.dim() not in (1, 2):
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    if input.dim() == 1 and (offsets is None or offsets.dim() != 1):
        raise ValueError("offsets has to be a 1D Tensor" + (" but got None" if offsets is None else ""))
    if input.dim() == 2 and offsets is not None:  # noqa: PLR2004 - bags and their length
        raise ValueError(
            "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
            f"sequences. However, found offsets of type {type(offsets)}"
        )
