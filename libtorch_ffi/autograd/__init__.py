"""Gradients: what is recorded, and what is asked of it.

Owns the two questions, `backward` and `grad`, and names the rest: the modes of a thread (`grad_mode`), operations with
a backward of their own (`function`), hooks and nodes (`graph`), the search for what went wrong (`anomaly_mode`),
tangents (`forward_ad`) and derivatives of functions (`functional`). The graph and the engine are libtorch's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from libtorch_ffi import ops
from libtorch_ffi._binding import core
from libtorch_ffi.autograd.anomaly_mode import detect_anomaly, set_detect_anomaly
from libtorch_ffi.autograd.function import Function
from libtorch_ffi.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.autograd import forward_ad, function, functional, grad_mode, graph

    Tensors = Tensor | Sequence[Tensor]
    Gradients = Tensor | Sequence[Tensor | None] | None

__all__ = [
    "Function",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "function",
    "functional",
    "grad",
    "grad_mode",
    "graph",
    "inference_mode",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
]

_MODULES = ("forward_ad", "functional", "graph")
"""Imported when they are named."""


def _as_list(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, core.Tensor) else list(tensors)


def _seeds(gradients: Gradients) -> list[Tensor | None]:
    if gradients is None:
        return []
    return [gradients] if isinstance(gradients, core.Tensor) else list(gradients)


def backward(
    tensors: Tensors,
    grad_tensors: Gradients = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradients of tensors to the leaves that they depend on.

    Parameters
    ----------
    tensors
        What to differentiate.
    grad_tensors
        For each, the gradient of some scalar with respect to it, of its shape; None for a tensor of one element.
    retain_graph
        Keep the graph, to differentiate once more; by default what `create_graph` is.
    create_graph
        Record the differentiation, so that it can be differentiated itself.
    inputs
        Only these leaves gather gradients; by default all do.

    Raises
    ------
    RuntimeError
        If nothing was recorded that led to a tensor, a gradient has another shape, or the graph was used up. What a
        hook or a Python backward raises comes out as it is.
    """
    targets = [] if inputs is None else _as_list(inputs)
    if inputs is not None and not targets:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    core.backward(_as_list(tensors), _seeds(grad_tensors), retain_graph, create_graph, targets)


@overload
def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Gradients = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: Literal[False] | None = None,
    *,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]: ...
@overload
def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Gradients = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    *,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]: ...
def grad(  # noqa: PLR0913, PLR0917 - torch's arguments, in torch's order
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Gradients = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    *,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of outputs with respect to inputs.

    Parameters
    ----------
    outputs
        What to differentiate.
    inputs
        With respect to what; nothing is added to their ``grad``.
    grad_outputs
        For each output, the gradient of some scalar with respect to it; None for an output of one element.
    retain_graph
        Keep the graph, to differentiate once more; by default what `create_graph` is.
    create_graph
        Record the differentiation, so that it can be differentiated itself.
    only_inputs
        Has to be true: `backward` is for the rest.
    allow_unused
        Answer None for an input that no output depends on, where it is an error otherwise.
    materialize_grads
        Answer zeros there.

    Returns
    -------
    tuple of Tensor or None
        One for each input, of its shape.

    Raises
    ------
    RuntimeError
        If an output was not recorded, an input is not in the graph, or a gradient has another shape.
    """
    if not only_inputs:
        raise ValueError("grad() answers gradients of its inputs only: for the other leaves' call backward()")
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True, but got False.")
    targets = _as_list(inputs)
    gradients = core.grad(
        _as_list(outputs),
        targets,
        _seeds(grad_outputs),
        retain_graph,
        create_graph,
        bool(allow_unused) or materialize_grads,
    )
    if not materialize_grads:
        return gradients
    return tuple(
        ops.aten.zeros_like(target, requires_grad=create_graph) if gradient is None else gradient
        for target, gradient in zip(targets, gradients, strict=True)
    )


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        import importlib

        return importlib.import_module(f"libtorch_ffi.autograd.{name}")
    raise AttributeError(f"module 'libtorch_ffi.autograd' has no attribute {name!r}")
