"""Gradients by finite differences, to compare with what autograd computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Callable


def numerical_gradient(function: Callable[..., Any], inputs: tuple[Any, ...], index: int, step: float = 1e-6) -> Any:
    """Return the gradient of ``function(*inputs).sum()`` with respect to one of its inputs, of float64."""
    values = [x.detach().clone() for x in inputs]
    flat = values[index].reshape(-1)
    gradient = lt.zeros_like(flat)
    with lt.no_grad():
        for i in range(flat.numel()):
            middle = flat[i].item()
            flat[i] = middle + step
            above = function(*values).sum().item()
            flat[i] = middle - step
            below = function(*values).sum().item()
            flat[i] = middle
            gradient[i] = (above - below) / (2 * step)
    return gradient.reshape(values[index].shape)


def check_gradient(function: Callable[..., Any], *inputs: Any, tolerance: float = 1e-5) -> None:
    """Assert that autograd's gradients of the sum of a function are the numerical ones."""
    gradients = lt.autograd.grad(function(*inputs).sum(), list(inputs), allow_unused=True)
    for index, gradient in enumerate(gradients):
        expected = numerical_gradient(function, inputs, index)
        if gradient is None:  # it plays no part
            assert not expected.any().item()
            continue
        difference = (gradient - expected).abs().max().item()
        assert difference <= tolerance * (1 + expected.abs().max().item()), (index, gradient, expected)


def check_second_gradient(function: Callable[..., Any], x: Any, tolerance: float = 1e-5) -> None:
    """Assert the same of the gradient itself, as a function of its input."""

    def derivative(t: Any) -> Any:
        with lt.enable_grad():
            point = t if t.requires_grad else t.detach().requires_grad_()
            (gradient,) = lt.autograd.grad(function(point).sum(), point, create_graph=True)
            assert gradient is not None
            return gradient * point

    check_gradient(derivative, x, tolerance=tolerance)
