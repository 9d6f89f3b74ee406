"""Derivatives of functions: products with vectors, Jacobians, Hessians.

Owns torch.autograd.functional's vocabulary, built on `autograd.grad` alone. Each function takes one tensor or a tuple
of tensors, and answers in the same form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi import ops
from libtorch_ffi._binding import core
from libtorch_ffi.autograd import grad
from libtorch_ffi.autograd.grad_mode import enable_grad

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from libtorch_ffi._C import Tensor

    Tensors = Tensor | tuple[Tensor, ...]

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _as_tuple(value: Any, what: str) -> tuple[Tensor, ...]:
    items = value if isinstance(value, (tuple, list)) else (value,)
    for item in items:
        if not isinstance(item, core.Tensor):
            raise TypeError(f"{what} must be a Tensor or a tuple of Tensors, but one is {type(item).__name__}")
    return tuple(items)


def _like(answer: tuple[Any, ...], given: Any) -> Any:
    return answer[0] if isinstance(given, core.Tensor) else answer


def _prepare(inputs: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    """Return the inputs as tensors to differentiate by: tied to the caller's graph, or leaves of their own."""
    if create_graph:
        return tuple(x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in inputs)
    return tuple(x.detach().requires_grad_() for x in inputs)


def _gradients(
    outputs: Sequence[Tensor], inputs: tuple[Tensor, ...], seeds: Sequence[Tensor | None] | None, create_graph: bool
) -> tuple[Tensor, ...]:
    """Return gradients; zeros where the outputs do not depend on an input."""
    recorded = [i for i, output in enumerate(outputs) if output.requires_grad]
    if not recorded:
        return tuple(ops.aten.zeros_like(x) for x in inputs)
    found = grad(
        [outputs[i] for i in recorded],
        inputs,
        None if seeds is None else [seeds[i] for i in recorded],
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )
    return tuple(ops.aten.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True))


def _finished(tensors: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    return tensors if create_graph else tuple(tensor.detach() for tensor in tensors)


def _checked_vector(v: Any, values: tuple[Tensor, ...], what: str) -> tuple[Tensor | None, ...]:
    """Return the vector of a product; None stands for 1 where there is one value of one element."""
    if v is None:
        if len(values) != 1 or values[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if the {what} is a single Tensor with one element")
        return (None,)
    vector = _as_tuple(v, "v")
    if len(vector) != len(values) or any(a.shape != b.shape for a, b in zip(vector, values, strict=True)):
        raise RuntimeError(f"v must have as many tensors as the {what}, of the same shapes")
    return vector


@enable_grad()
def vjp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """Return the value of a function, and a vector times its Jacobian.

    Parameters
    ----------
    func
        Gets the inputs; answers a tensor or a tuple of tensors.
    inputs
        Where.
    v
        One tensor for each output, of its shape; may be left out for one output of one element.
    create_graph
        Record the differentiation, so that it can be differentiated itself.
    """
    points = _prepare(_as_tuple(inputs, "inputs"), create_graph)
    value = func(*points)
    outputs = _as_tuple(value, "the outputs of func")
    product = _gradients(outputs, points, _checked_vector(v, outputs, "output"), create_graph)
    return _like(_finished(outputs, create_graph), value), _like(_finished(product, create_graph), inputs)


@enable_grad()
def jvp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """Return the value of a function, and its Jacobian times a vector, by differentiating twice.

    Parameters
    ----------
    func
        Gets the inputs; answers a tensor or a tuple of tensors.
    inputs
        Where.
    v
        One tensor for each input, of its shape; may be left out for one input of one element.
    create_graph
        Record the differentiation, so that it can be differentiated itself.
    """
    points = _prepare(_as_tuple(inputs, "inputs"), create_graph)
    vector = _checked_vector(v, points, "input")
    value = func(*points)
    outputs = _as_tuple(value, "the outputs of func")
    seeds = tuple(ops.aten.zeros_like(output).requires_grad_() for output in outputs)
    back = _gradients(outputs, points, seeds, create_graph=True)
    product = _gradients(back, seeds, vector, create_graph)
    return _like(_finished(outputs, create_graph), value), _like(_finished(product, create_graph), value)


@enable_grad()
def jacobian(func: Callable[..., Any], inputs: Tensors, create_graph: bool = False) -> Any:
    """Return the Jacobian of a function: for each output and input a tensor of both shapes, one after the other.

    Parameters
    ----------
    func
        Gets the inputs; answers a tensor or a tuple of tensors.
    inputs
        Where.
    create_graph
        Record the differentiation, so that it can be differentiated itself.
    """
    points = _prepare(_as_tuple(inputs, "inputs"), create_graph)
    value = func(*points)
    outputs = _as_tuple(value, "the outputs of func")
    rows = tuple(_like(_jacobian_of(output, points, create_graph), inputs) for output in outputs)
    return _like(rows, value)


def _jacobian_of(output: Tensor, points: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    found = [_gradients([element], points, None, create_graph) for element in output.reshape(-1).unbind()]
    if not found:
        empty = tuple(ops.aten.zeros((*output.shape, *x.shape), dtype=x.dtype, device=x.device) for x in points)
        return _finished(empty, create_graph)
    columns = tuple(
        ops.aten.stack([gradients[i] for gradients in found]).reshape((*output.shape, *x.shape))
        for i, x in enumerate(points)
    )
    return _finished(columns, create_graph)


def _scalar(func: Callable[..., Any]) -> Callable[..., Tensor]:
    def checked(*points: Tensor) -> Tensor:
        value = func(*points)
        if not isinstance(value, core.Tensor) or value.numel() != 1:
            raise RuntimeError("The function given to hessian, vhp and hvp should return a Tensor with one element")
        scalar: Tensor = value.reshape(())
        return scalar

    return checked


def hessian(func: Callable[..., Any], inputs: Tensors, create_graph: bool = False) -> Any:
    """Return the Hessian of a function of one element.

    Parameters
    ----------
    func
        Gets the inputs; answers a tensor of one element.
    inputs
        Where.
    create_graph
        Record the differentiation, so that it can be differentiated itself.
    """
    scalar = _scalar(func)

    def gradient(*points: Tensor) -> Any:
        return _like(_gradients([scalar(*points)], points, None, create_graph=True), inputs)

    return jacobian(gradient, inputs, create_graph)


def vhp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """Return the value of a function of one element, and a vector times its Hessian.

    Parameters
    ----------
    func
        Gets the inputs; answers a tensor of one element.
    inputs
        Where.
    v
        One tensor for each input, of its shape; may be left out for one input of one element.
    create_graph
        Record the differentiation, so that it can be differentiated itself.
    """
    with enable_grad():
        points = _prepare(_as_tuple(inputs, "inputs"), create_graph)
        vector = _checked_vector(v, points, "input")
        value = _scalar(func)(*points)
        back = _gradients([value], points, None, create_graph=True)
        product = _gradients(back, points, vector, create_graph)
    return _finished((value,), create_graph)[0], _like(_finished(product, create_graph), inputs)


def hvp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """Return the value of a function of one element, and its Hessian times a vector.

    The Hessian is symmetric, so that this is `vhp`, which costs less than differentiating forward.
    """
    return vhp(func, inputs, v, create_graph)
