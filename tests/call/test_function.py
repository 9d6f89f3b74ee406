"""autograd.Function: forward and backward in Python, and everything its context can say."""

from __future__ import annotations

from typing import Any

import pytest
from functions import Cube, Product, Scale, leaf
from gradients import check_gradient, check_second_gradient

import libtorch_ffi as lt
from libtorch_ffi.autograd import Function, grad
from libtorch_ffi.autograd.function import FunctionCtx, once_differentiable


def test_forward_and_backward() -> None:
    x = leaf()
    y = Cube.apply(x)
    assert y.tolist() == [1, 8, 27]
    assert y.grad_fn.name() == "CubeBackward"
    y.sum().backward()
    assert x.grad.tolist() == [3, 12, 27]


@pytest.mark.parametrize(
    "function", [Cube.apply, lambda x: Scale.apply(x, 2.5), lambda x: Product.apply(x, x + 1, 3.0)]
)
def test_gradients_by_finite_differences(function: Any) -> None:
    check_gradient(function, leaf(0.3, -1.2, 2.0))
    check_second_gradient(function, leaf(0.3, -1.2, 2.0))


def test_double_backward() -> None:
    x = leaf(2.0)
    (first,) = grad(Cube.apply(x), x, create_graph=True)
    (second,) = grad(first, x)
    assert second is not None
    assert (first.item(), second.item()) == (12, 12)


def test_setup_context_takes_names_and_defaults() -> None:
    x, y = leaf(2.0), leaf(5.0)
    z = Product.apply(x, y=y)
    assert z.item() == 10
    z.backward()
    assert (x.grad.item(), y.grad.item()) == (5, 2)


def test_the_context_has_a_type() -> None:
    """As annotations name it, also those that are evaluated."""
    kinds = []

    class Seen(Cube):
        @staticmethod
        def forward(ctx: FunctionCtx, x: Any) -> Any:
            kinds.append(isinstance(ctx, lt.autograd.function.FunctionCtx))
            return Cube.forward(ctx, x)

    Seen.apply(leaf(1.0)).backward()
    assert kinds == [True]


def test_arguments_by_name_after_a_context() -> None:
    x = leaf(2.0)
    Scale.apply(x, factor=3.0).backward()
    Scale.apply(x, 3.0, label="times").backward()
    Scale.apply(x=x, factor=3.0).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [9.0]
    with pytest.raises(TypeError, match="nope"):
        Scale.apply(x, 3.0, nope=1)


def test_needs_input_grad_and_none() -> None:
    seen = []

    class Sum(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any, n: int) -> Any:
            return x + y + n

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            seen.append(ctx.needs_input_grad)
            return gradient if ctx.needs_input_grad[0] else None, None, None

    x = leaf(1.0)
    Sum.apply(x, lt.ones(1, dtype=lt.float64), 3).backward()
    assert seen == [(True, False, False)]
    assert x.grad.item() == 1


def test_several_outputs_and_missing_gradients() -> None:
    seen = []

    class Two(Function):
        materialize = True

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.set_materialize_grads(Two.materialize)
            return x * 2, x * 3, "a word"

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any, c: Any) -> Any:
            seen.append((a.tolist(), b if b is None else b.tolist(), c))
            return a * 2

    x = leaf(1.0)
    first, _, word = Two.apply(x)
    assert word == "a word"
    first.backward()
    Two.materialize = False
    Two.apply(x)[0].backward()
    assert seen == [([1], [0], None), ([1], None, None)]


def test_an_output_that_has_no_gradient() -> None:
    class Sorted(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            values, indices = x.sort()
            keys = values * 0
            ctx.mark_non_differentiable(indices, keys)
            ctx.save_for_backward(indices)
            return values, indices, keys

        @staticmethod
        def backward(ctx: Any, g: Any, g_indices: Any, g_keys: Any) -> Any:
            (indices,) = ctx.saved_tensors
            return lt.zeros_like(g).scatter(0, indices, g)

    x = leaf(3.0, 1.0, 2.0)
    values, indices, keys = Sorted.apply(x)
    assert not indices.requires_grad
    assert not keys.requires_grad
    (values * lt.tensor([1.0, 10.0, 100.0], dtype=lt.float64)).sum().backward()
    assert x.grad.tolist() == [100, 1, 10]


def test_a_change_in_place() -> None:
    class Twice(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(x)
            x.mul_(2)
            return x

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return gradient * 2

    x = leaf(1.0, 2.0)
    y = x * 1
    version = y._version
    z = Twice.apply(y)
    assert z is y
    assert y._version > version
    assert y.grad_fn.name() == "TwiceBackward"
    y.sum().backward()
    assert x.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="leaf"):
        Twice.apply(x)

    class Wrong(Twice):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(3)
            return x

    with pytest.raises(TypeError, match="mark_dirty"):
        Wrong.apply(y)


def test_an_input_that_is_returned_and_a_view() -> None:
    class Same(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return gradient * 7

    class Row(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x[0:1]

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return lt.cat([gradient, gradient * 0])

    x = leaf(1.0, 2.0)
    y = Same.apply(x)
    assert y is not x
    y.sum().backward()
    assert x.grad.tolist() == [7, 7]
    x.grad = None
    Row.apply(x).sum().backward()
    assert x.grad.tolist() == [1, 0]


def test_an_output_saved_for_backward() -> None:
    class Exp(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.exp()
            ctx.save_for_backward(y, None)
            return y

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            y, nothing = ctx.saved_tensors
            assert nothing is None
            return gradient * y

    check_gradient(Exp.apply, leaf())
    x = leaf(1.0)
    y = Exp.apply(x)
    assert y.grad_fn.saved_tensors[0].item() == y.item()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.grad_fn.saved_tensors  # noqa: B018
    z = Exp.apply(x)
    z.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_nothing_is_recorded_where_nothing_is_asked_for() -> None:
    contexts = []

    class Keep(Cube):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            contexts.append(ctx)
            assert not lt.is_grad_enabled()
            return Cube.forward(ctx, x)

    y = Keep.apply(lt.ones(2))
    assert not y.requires_grad
    with lt.no_grad():
        assert not Keep.apply(leaf()).requires_grad
    with lt.inference_mode():
        assert not Keep.apply(leaf()).requires_grad
    assert [ctx.saved_tensors for ctx in contexts] == [(), (), ()]


def test_vjp_stands_for_backward() -> None:
    class Named(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def vjp(ctx: Any, gradient: Any) -> Any:
            return gradient * 2

    x = leaf(1.0)
    Named.apply(x).backward()
    assert x.grad.item() == 2


def test_once_differentiable() -> None:
    class Once(Cube):
        @staticmethod
        @once_differentiable
        def backward(ctx: Any, gradient: Any) -> Any:
            return Cube.backward(ctx, gradient)

    x = leaf(2.0)
    Once.apply(x).backward()
    assert x.grad.item() == 12
    (first,) = grad(Once.apply(x) ** 2, x, create_graph=True)
    assert first is not None
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_a_function_inside_a_function() -> None:
    class Outer(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            with lt.enable_grad():
                inner = x.detach().requires_grad_()
                y = Cube.apply(inner)
            ctx.inner, ctx.y = inner, y
            return y.detach() * 1

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            ctx.y.backward(gradient)
            return ctx.inner.grad

    x = leaf(1.0, 2.0)
    Outer.apply(x).sum().backward()
    assert x.grad.tolist() == [3, 12]


def test_tangents_by_jvp() -> None:
    from libtorch_ffi.autograd import forward_ad

    class Square(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, n: int) -> Any:
            ctx.x = x
            return x * x

        @staticmethod
        def jvp(ctx: Any, tangent: Any, nothing: None) -> Any:
            assert nothing is None
            return 2 * ctx.x * tangent

    with forward_ad.dual_level():
        dual = forward_ad.make_dual(lt.tensor([3.0]), lt.tensor([1.0]))
        value, tangent = forward_ad.unpack_dual(Square.apply(dual, 1))
        assert tangent is not None
        assert (value.item(), tangent.item()) == (9, 6)
