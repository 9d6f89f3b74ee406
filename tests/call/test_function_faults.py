"""autograd.Function: what is wrong with one is said, and what it raises comes out."""

from __future__ import annotations

from typing import Any

import pytest
from functions import Cube, Scale, leaf

import libtorch_ffi as lt
from libtorch_ffi.autograd import Function


class BoomError(Exception):
    """What a backward raises here."""


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda g: (g, g), "incorrect number of gradients"),
        (lambda g: 3, "expected Variable or None"),
        (lambda g: g[:1], "invalid gradient"),
    ],
)
def test_wrong_gradients_are_refused(answer: Any, message: str) -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return answer(gradient)

    with pytest.raises(RuntimeError, match=message):
        Wrong.apply(leaf()).sum().backward()


def test_more_nones_than_arguments_are_let_through() -> None:
    class Generous(Scale):
        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return gradient, None, None, None, None

    x = leaf(1.0)
    Generous.apply(x, 2.0).backward()
    assert x.grad.item() == 1


def test_a_gradient_of_what_is_no_tensor_is_refused() -> None:
    class Wrong(Scale):
        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return gradient, gradient

    with pytest.raises(RuntimeError, match="different from None at position 2"):
        Wrong.apply(leaf(), 2.0).sum().backward()


def test_an_exception_comes_out_as_itself() -> None:
    class Failing(Cube):
        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            raise BoomError("here")

    with pytest.raises(BoomError, match="here"):
        Failing.apply(leaf()).sum().backward()

    class Early(Cube):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            raise BoomError("there")

    with pytest.raises(BoomError, match="there"):
        Early.apply(leaf())
    assert lt.is_grad_enabled()


def test_what_is_missing_is_named() -> None:
    class Nothing(Function):
        pass

    class OnlyForward(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

    with pytest.raises(NotImplementedError, match="forward function"):
        Nothing.apply(leaf())
    with pytest.raises(NotImplementedError, match="backward or vjp"):
        OnlyForward.apply(leaf()).sum().backward()
    with pytest.raises(RuntimeError, match=r"OnlyForward\.apply"):
        OnlyForward()
