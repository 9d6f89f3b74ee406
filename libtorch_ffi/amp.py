"""Automatic mixed precision: operators that bear it compute in a lower precision.

Owns `autocast`, as a context manager and a decorator, and the two decorators for the forward and the backward of an
`autograd.Function`. Which operator casts what is libtorch's.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from libtorch_ffi._C import dtype as Dtype  # noqa: N812 - the name is an argument's, too

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

P = ParamSpec("P")
R = TypeVar("R")

_CPU_DTYPES = (core.bfloat16, core.float16)


def is_autocast_available(device_type: str) -> bool:
    """Tell whether a kind of device has lower precisions.

    Parameters
    ----------
    device_type
        Such as ``"cuda"``.
    """
    available: bool = core.is_autocast_available(device_type)
    return available


class autocast:  # noqa: N801 - torch's name
    """Operators that bear it compute in a lower precision, inside a ``with`` block or a decorated function.

    Parameters
    ----------
    device_type
        The kind of device whose operators do: ``"cpu"``, ``"cuda"``.
    dtype
        The lower precision; by default the device's own: bfloat16 on a CPU, float16 on CUDA.
    enabled
        False switches it off inside the block.
    cache_enabled
        Whether the casts of weights are kept until the outermost block ends; by default as it is.
    """

    def __init__(
        self,
        device_type: str,
        dtype: Dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise TypeError(f"autocast(): device_type is a str, not {type(device_type).__name__}")
        if not is_autocast_available(device_type):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.device = device_type
        self.fast_dtype = core.get_autocast_dtype(device_type) if dtype is None else dtype
        self.cache_enabled = core.is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        if enabled and device_type == "cpu" and self.fast_dtype not in _CPU_DTYPES:
            import warnings

            warnings.warn(
                f"In CPU autocast, but the target dtype {self.fast_dtype} is not supported. Disabling autocast: it "
                "computes in torch.bfloat16 or torch.float16.",
                stacklevel=2,
            )
            enabled = False
        self.enabled = enabled
        self._before: list[tuple[bool, bool, Dtype]] = []

    def __enter__(self) -> Self:
        self._before.append(
            (
                core.is_autocast_cache_enabled(),
                core.is_autocast_enabled(self.device),
                core.get_autocast_dtype(self.device),
            )
        )
        core.set_autocast_dtype(self.device, self.fast_dtype)  # first: old releases refuse some, and nothing is changed
        core.set_autocast_enabled(self.device, self.enabled)
        core.autocast_increment_nesting()
        core.set_autocast_cache_enabled(self.cache_enabled)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cached, enabled, dtype = self._before.pop()
        if core.autocast_decrement_nesting() == 0:
            core.clear_autocast_cache()
        core.set_autocast_enabled(self.device, enabled)
        core.set_autocast_dtype(self.device, dtype)
        core.set_autocast_cache_enabled(cached)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function: each call runs in the context."""

        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            with autocast(self.device, self.fast_dtype, self.enabled, self.cache_enabled):
                return function(*args, **kwargs)

        return wrapper


def _cast(value: Any, device_type: str, dtype: Dtype) -> Any:
    """Cast the floating point tensors in a value, except float64."""
    if isinstance(value, core.Tensor):
        castable = value.dtype.is_floating_point and value.dtype != core.float64 and value.device.type == device_type
        return value.to(dtype) if castable else value
    if isinstance(value, dict):
        return {_cast(k, device_type, dtype): _cast(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(item, device_type, dtype) for item in value)
    return value


def custom_fwd(
    fwd: Callable[..., Any] | None = None, *, device_type: str, cast_inputs: Dtype | None = None
) -> Callable[..., Any]:
    """Decorate the forward of an `autograd.Function`, so that its backward runs in the same mode.

    Parameters
    ----------
    fwd
        The static method; left out where this is called with arguments, as ``@custom_fwd(device_type="cuda")``.
    device_type
        The kind of device whose mode it is.
    cast_inputs
        Forward gets its floating point tensors in this dtype and runs without autocast; by default neither.
    """
    if fwd is None:
        return lambda function: custom_fwd(function, device_type=device_type, cast_inputs=cast_inputs)
    function = fwd

    @wraps(function)
    def wrapper(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._dtype = core.get_autocast_dtype(device_type)
        ctx._fwd_used_autocast = core.is_autocast_enabled(device_type)
        if cast_inputs is None or not ctx._fwd_used_autocast:
            return function(ctx, *args, **kwargs)
        ctx._fwd_used_autocast = False
        with autocast(device_type, enabled=False):
            return function(ctx, *_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return wrapper


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Callable[..., Any]:
    """Decorate the backward of an `autograd.Function` whose forward has `custom_fwd`.

    Parameters
    ----------
    bwd
        The static method; left out where this is called with arguments.
    device_type
        The kind of device whose mode it is.
    """
    if bwd is None:
        return lambda function: custom_bwd(function, device_type=device_type)
    function = bwd

    @wraps(function)
    def wrapper(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, dtype=ctx._dtype, enabled=ctx._fwd_used_autocast):
            return function(ctx, *args, **kwargs)

    return wrapper
