"""Operations with a gradient of their own, and what to call them with."""

from __future__ import annotations

from typing import Any

import libtorch_ffi as lt
from libtorch_ffi.autograd import Function


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (x,) = ctx.saved_tensors
        return gradient * 3 * x**2


class Scale(Function):
    """An argument that is no tensor, kept as an attribute."""

    @staticmethod
    def forward(ctx: Any, x: Any, factor: float, label: str | None = None) -> Any:
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return gradient * ctx.factor, None, None


class Product(Function):
    """The form with setup_context."""

    @staticmethod
    def forward(x: Any, y: Any, scale: float = 1.0) -> Any:
        return x * y * scale

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, y, ctx.scale = inputs
        ctx.save_for_backward(x, y)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        x, y = ctx.saved_tensors
        return gradient * y * ctx.scale, gradient * x * ctx.scale, None


def leaf(*values: float) -> Any:
    return lt.tensor(list(values) or [1.0, 2.0, 3.0], requires_grad=True, dtype=lt.float64)
