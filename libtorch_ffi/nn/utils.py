"""What is done to the gradients of many parameters at once, under torch's names.

Owns clipping. Uses libtorch's operators on lists of tensors, one call for all that share a device and a dtype.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from libtorch_ffi._aten import many, one
from libtorch_ffi._binding import core
from libtorch_ffi.autograd import no_grad

if TYPE_CHECKING:
    from collections.abc import Iterable

    from libtorch_ffi._C import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "get_total_norm"]

_clamp, _stack, _tensor, _vector_norm = one("clamp"), one("stack"), core.tensor, one("linalg_vector_norm")
_foreach_norm = many("_foreach_norm")
_foreach_mul_, _foreach_min_, _foreach_max_ = (many(f"_foreach_{name}_") for name in ("mul", "clamp_min", "clamp_max"))


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,  # noqa: ARG001 - torch's signature; there is one way here
) -> Tensor:
    """Return the norm of tensors as if they were one vector.

    Parameters
    ----------
    tensors
        One or several.
    norm_type
        Which norm; infinity for the largest element.
    error_if_nonfinite
        Raise where the norm is infinite or no number.

    Returns
    -------
    Tensor
        Of no dimensions.

    Raises
    ------
    RuntimeError
        As `error_if_nonfinite` says.
    """
    given = _listed(tensors)
    if not given:
        zero: Tensor = _tensor(0.0)
        return zero
    with no_grad():
        norms = [norm for group in _alike(given) for norm in _foreach_norm(group, float(norm_type))]
        total = _vector_norm(_stack([norm.to(given[0].device) for norm in norms]), float(norm_type))
    if error_if_nonfinite and not bool(total.isfinite()):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so it cannot "
            "be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale gradients down, so that all of them together have no norm above `max_norm`.

    Parameters
    ----------
    parameters
        The tensors with the gradients; one without is left alone.
    max_norm
        The norm.
    norm_type, error_if_nonfinite, foreach
        As `get_total_norm` has them.

    Returns
    -------
    Tensor
        The norm that they had.
    """
    gradients = _gradients(parameters)
    total = get_total_norm(gradients, norm_type, error_if_nonfinite, foreach)
    with no_grad():
        factor = _clamp(float(max_norm) / (total + 1e-6), max=1.0)
        for group in _alike(gradients):
            _foreach_mul_(group, factor.to(group[0].device))
    return total


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor],
    clip_value: float,
    foreach: bool | None = None,  # noqa: ARG001 - torch's signature; there is one way here
) -> None:
    """Bring every element of the gradients between ``-clip_value`` and `clip_value`."""
    with no_grad():
        for group in _alike(_gradients(parameters)):
            _foreach_min_(group, -float(clip_value))
            _foreach_max_(group, float(clip_value))


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, core.Tensor) else list(tensors)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    found = (parameter.grad for parameter in _listed(parameters))
    return [gradient for gradient in found if gradient is not None]


def _alike(tensors: list[Tensor]) -> Iterable[list[Tensor]]:
    """Return the tensors in lists of one device and dtype each."""
    groups: defaultdict[tuple[core.device, core.dtype], list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        groups[tensor.device, tensor.dtype].append(tensor)
    return groups.values()
