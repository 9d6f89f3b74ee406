"""Loss functions, as torch's ``nn.functional`` has them.

Owns ``reduction`` and its old form ``size_average`` and ``reduce``, and torch's checks of shapes. ``reduction`` is
``"mean"`` (of all losses), ``"sum"`` or ``"none"``, which answers every loss; anything else is a ValueError.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from libtorch_ffi._aten import many, one
from libtorch_ffi.autograd import no_grad

if TYPE_CHECKING:
    from libtorch_ffi._C import Tensor

_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}
"""libtorch's numbers for them."""

_broadcast_tensors = many("broadcast_tensors")
_binary_cross_entropy = one("binary_cross_entropy")
_binary_cross_entropy_with_logits = one("binary_cross_entropy_with_logits")
_cosine_embedding, _cross_entropy, _ctc = one("cosine_embedding_loss"), one("cross_entropy_loss"), one("ctc_loss")
_hinge_embedding, _huber, _kl_div, _l1 = one("hinge_embedding_loss"), one("huber_loss"), one("kl_div"), one("l1_loss")
_log_sigmoid, _margin_ranking, _mse = one("log_sigmoid"), one("margin_ranking_loss"), one("mse_loss")
_multi_margin, _multilabel_margin = one("multi_margin_loss"), one("multilabel_margin_loss")
_nll, _poisson_nll, _smooth_l1 = one("nll_loss_nd"), one("poisson_nll_loss"), one("smooth_l1_loss")
_ones_like, _soft_margin, _triplet_margin = one("ones_like"), one("soft_margin_loss"), one("triplet_margin_loss")


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the cross entropy between logits and classes.

    Parameters
    ----------
    input
        Logits, of shape (classes,), (batch, classes) or (batch, classes, …).
    target
        The classes' indices, int64, of the same shape without the classes; or their probabilities, of the same shape.
    weight
        Of each class, of shape (classes,).
    ignore_index
        A class that counts for nothing.
    label_smoothing
        How much of the target is spread over all classes, from 0 to 1.
    size_average, reduce, reduction
        As the module says.
    """
    number = _number(reduction, size_average, reduce)
    return _cross_entropy(input, target, weight, number, ignore_index, label_smoothing)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return what is negative of the target's log-probability; the arguments are those of `cross_entropy`."""
    return _nll(input, target, weight, _number(reduction, size_average, reduce), ignore_index)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the cross entropy between probabilities and targets from 0 to 1, of one shape.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    number = _number(reduction, size_average, reduce)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    if weight is not None:
        _, weight = _broadcast_tensors((target, weight))
    return _binary_cross_entropy(input, target, weight, number)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Return `binary_cross_entropy` of the sigmoids of logits; `pos_weight` is that of what is positive.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    number = _number(reduction, size_average, reduce)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    return _binary_cross_entropy_with_logits(input, target, weight, pos_weight, number)


# Distances


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the squares of differences, times `weight` and divided by its sum where there is one."""
    number = _number(reduction, size_average, reduce)
    ours, theirs = _of_one_size(input, target)
    if weight is None:
        return _mse(ours, theirs, number)
    return _weighted((ours - theirs) ** 2, _checked_weight(weight, input), number)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the sizes of differences, times `weight` and divided by its sum where there is one."""
    number = _number(reduction, size_average, reduce)
    ours, theirs = _of_one_size(input, target)
    if weight is None:
        return _l1(ours, theirs, number)
    return _weighted((ours - theirs).abs(), _checked_weight(weight, input), number)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Return the sizes of differences less half of `beta`; below `beta` half of their squares, divided by it."""
    number = _number(reduction, size_average, reduce)
    ours, theirs = _of_one_size(input, target)
    return _l1(ours, theirs, number) if beta == 0.0 else _smooth_l1(ours, theirs, number, beta)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Return half of the squares of differences; above `delta`, `delta` times their size less half of `delta`."""
    number = _number(reduction, None, None)
    ours, theirs = _of_one_size(input, target)
    if weight is None:
        return _huber(ours, theirs, number, delta)
    return _reduced(_huber(ours, theirs, 0, delta) * _checked_weight(weight, input), number)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Return the Kullback-Leibler divergence of log-probabilities from probabilities, or from their logarithms.

    The reduction ``"batchmean"`` divides the sum by the size of the first dimension, as the definition does.
    """
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition.",
            stacklevel=2,
        )
    by_batch = reduction == "batchmean" and size_average is None and reduce is None
    number = _number("sum" if by_batch else reduction, size_average, reduce)
    loss = _kl_div(input, target, number, log_target=log_target)
    if by_batch and input.dim() != 0:
        loss = loss / input.shape[0]
    return loss


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return what is negative of the log-likelihood of counts under Poisson distributions, whose rates `input` has."""
    return _poisson_nll(input, target, log_input, full, eps, _number(reduction, size_average, reduce))


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Return what is negative of the log-likelihood of targets under normal distributions.

    Parameters
    ----------
    input, target
        The means, and what was drawn.
    var
        The variances: a number, or a tensor of the input's shape, or of one without or with one in its last dimension.
    full
        Count the constant too.
    eps
        The least variance.
    reduction
        As the module says.

    Raises
    ------
    ValueError
        If a variance is negative, or their shape does not fit.
    """
    spread = _variances(input, var)
    if reduction not in _REDUCTIONS:
        raise ValueError(f"{reduction} is not valid")
    spread = spread.clone()
    with no_grad():
        spread.clamp_(min=eps)
    loss = 0.5 * (spread.log() + (input - target) ** 2 / spread)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduced(loss, _REDUCTIONS[reduction])


def _variances(input: Tensor, var: Tensor | float) -> Tensor:
    if isinstance(var, (int, float)):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        return _ones_like(input) * var
    if bool((var < 0).any()):
        raise ValueError("var has negative entry/entries")
    if var.shape == input.shape:
        return var
    if tuple(var.shape) == tuple(input.shape)[:-1]:
        result: Tensor = var.unsqueeze(-1)
        return result
    differing = [theirs for ours, theirs in zip(input.shape, var.shape, strict=False) if ours != theirs]
    if input.dim() == var.dim() and sum(differing) == 1:
        return var
    raise ValueError("var is of incorrect size")


# Margins


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return by how much pairs miss their order by `margin`; `target` is 1 where the first ranks higher, -1 where not.

    Raises
    ------
    RuntimeError
        If they have not as many dimensions.
    """
    number = _number(reduction, size_average, reduce)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return _margin_ranking(input1, input2, target, margin, number)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return distances where the target is 1, and by how much they are below `margin` where it is -1."""
    return _hinge_embedding(input, target, margin, _number(reduction, size_average, reduce))


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return ``log(1 + exp(-target * input))``, for targets of 1 and -1."""
    return _soft_margin(input, target, _number(reduction, size_average, reduce))


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return ``1 - cos`` of the angle between vectors where the target is 1, and the excess over `margin` where -1."""
    return _cosine_embedding(input1, input2, target, margin, _number(reduction, size_average, reduce))


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return by how much vectors are not nearer to `positive` than to `negative` by `margin`, in the `p`-norm.

    Raises
    ------
    ValueError
        If `margin` is not positive.
    """
    number = _number(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return _triplet_margin(anchor, positive, negative, margin, p, eps, swap, number)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return by how much the target's score is not above those of the other classes by `margin`, to the power of `p`.

    Raises
    ------
    ValueError
        If `p` is not 1 or 2.
    """
    number = _number(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    return _multi_margin(input, target, p, margin, weight, number)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Do the same for several classes a sample: `target` has their indices, up to the first -1."""
    return _multilabel_margin(input, target, _number(reduction, size_average, reduce))


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the mean over classes of `binary_cross_entropy_with_logits`, for targets of 0 and 1."""
    number = _number(reduction, size_average, reduce)
    loss = -(target * _log_sigmoid(input) + (1 - target) * _log_sigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return _reduced(loss.sum(input.dim() - 1) / input.shape[-1], number)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor,
    target_lengths: Tensor,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Return the connectionist temporal classification loss.

    Parameters
    ----------
    log_probs
        Of shape (time, batch, classes), or without the batch.
    targets
        The classes, of shape (batch, length), or all of them in one row.
    input_lengths, target_lengths
        How much of each sample counts, of shape (batch,).
    blank
        The class that stands for none.
    reduction
        As the module says; a mean divides each loss by its target's length first.
    zero_infinity
        Count infinite losses, and their gradients, as zero.
    """
    number = _number(reduction, None, None)
    return _ctc(log_probs, targets, input_lengths, target_lengths, blank, number, zero_infinity)


# Reductions


def _number(reduction: str, size_average: bool | None, reduce: bool | None) -> int:
    """Return libtorch's number of a reduction, which may be given in the old way."""
    if size_average is not None or reduce is not None:
        every = reduce is False
        reduction = "none" if every else "sum" if size_average is False else "mean"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=3,
        )
    if reduction not in _REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return _REDUCTIONS[reduction]


def _reduced(losses: Tensor, number: int) -> Tensor:
    result: Tensor = losses if number == 0 else losses.mean() if number == 1 else losses.sum()
    return result


def _weighted(losses: Tensor, weight: Tensor, number: int) -> Tensor:
    whole = losses * weight
    result: Tensor = whole if number == 0 else whole.sum() / weight.sum() if number == 1 else whole.sum()
    return result


def _checked_weight(weight: Tensor, input: Tensor) -> Tensor:
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    return weight


def _of_one_size(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if target.shape != input.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
            "likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )
    ours, theirs = _broadcast_tensors((input, target))
    return ours, theirs
