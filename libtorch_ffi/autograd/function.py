"""Operations whose forward and backward are written in Python.

Owns `Function`, the class to derive from, and `once_differentiable`. How a call becomes a node of the graph is the
compiled core's part (csrc/python_function.cpp).
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from libtorch_ffi._binding import core
from libtorch_ffi.autograd.grad_mode import no_grad

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from libtorch_ffi._C import FunctionCtx
else:
    FunctionCtx = core.FunctionCtx

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class Function:
    """An operation with a gradient of its own: derive from it, define static `forward` and `backward`, call `apply`.

    `forward` gets a context and the arguments, runs unrecorded, and answers a tensor or a tuple. `backward` gets the
    context and one gradient for each output, and answers one for each argument of forward (None where there is none).
    The context keeps what backward needs: tensors by ``ctx.save_for_backward``, anything else as attributes. Where
    `setup_context` is defined, forward gets the arguments only, and `setup_context` fills the context afterwards.

    Examples
    --------
    >>> class Exp(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         y = x.exp()
    ...         ctx.save_for_backward(y)
    ...         return y
    ...
    ...     @staticmethod
    ...     def backward(ctx, gradient):
    ...         (y,) = ctx.saved_tensors
    ...         return gradient * y
    """

    def __init__(self) -> None:
        raise RuntimeError(
            f"{type(self).__name__} is not made to have instances: define forward and backward as static methods, and "
            f"call {type(self).__name__}.apply(...)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs of a call, ``forward(ctx, *args)``; or ``forward(*args)`` beside a `setup_context`."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keep what backward will need, after a forward that has no context."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Compute the gradients of the arguments from those of the outputs."""
        function = ctx._forward_cls
        if function.vjp is not Function.vjp:
            return function.vjp(ctx, *grad_outputs)
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """Compute the tangents of the outputs from those of the arguments."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Call the operation.

        Parameters
        ----------
        *args
            The arguments of `forward`, tensors and others.
        **kwargs
            Those that are given by name. backward answers gradients for all, in the order of `forward`.

        Returns
        -------
        Tensor or tuple
            What forward answered, recorded where an argument requires grad.
        """
        separate_setup = cls.setup_context is not _SETUP_CONTEXT
        if kwargs:
            args = _bind(cls.forward, args, kwargs) if separate_setup else _bind_after(cls.forward, args, kwargs)
        return core.apply_function(cls, args, separate_setup)


_SETUP_CONTEXT = Function.setup_context


def _bind(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    import inspect

    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args


def _bind_after(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Bind what follows a context. Defaults after what was given are left to the function, as backward knows."""
    import inspect

    names = list(inspect.signature(function).parameters)
    bound = _bind(function, (None, *args), kwargs)
    last = max(names.index(name) for name in kwargs) if set(kwargs) <= set(names) else len(bound)
    return bound[1 : max(len(args), last) + 1]


def once_differentiable(
    function: Callable[..., Any],
) -> Callable[..., Any]:
    """Decorate a backward that is not to be differentiated itself: that will be an error, instead of a wrong result.

    Parameters
    ----------
    function
        The static method `backward`.
    """

    @wraps(function)
    def wrapper(ctx: FunctionCtx, *args: Any) -> Any:
        with no_grad():
            outputs = function(ctx, *args)
        recorded = core.is_grad_enabled() and any(isinstance(a, core.Tensor) and a.requires_grad for a in args)
        if not recorded:
            return outputs
        return core.delayed_error(
            "trying to differentiate twice a function that was marked with @once_differentiable",
            outputs if isinstance(outputs, tuple) else (outputs,),
        )

    return wrapper
