"""The engine: anomaly mode, hooks on saved tensors, a backward deep inside another.

torch brings an engine of its own, and libtorch starts the threads of the first only. So each test here runs in a
process without torch.
"""

from __future__ import annotations

import subprocess
import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt
from libtorch_ffi import autograd
from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Callable


def alone(test: Callable[[], None]) -> Callable[[], None]:
    """Run a test in a process of its own."""

    @wraps(test)
    def run() -> None:
        folder = str(Path(__file__).parent)
        text = f"import sys; sys.path.append({folder!r}); import test_engine; test_engine.{test.__name__}.__wrapped__()"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", text], capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr

    return run


def failing() -> Any:
    x = lt.zeros(1, requires_grad=True)
    return (x / x).sum()


def leaf() -> Any:
    return lt.tensor([1.0, 2.0, 3.0], requires_grad=True)


@alone
def test_anomaly_mode_names_the_node() -> None:
    with autograd.detect_anomaly():
        y = failing()
        with (
            pytest.warns(UserWarning, match=r"(?s)Error detected in DivBackward0.*in failing"),
            pytest.raises(RuntimeError, match="Function 'DivBackward0' returned nan values"),
        ):
            y.backward()
    failing().backward()
    y = failing()
    with (
        autograd.detect_anomaly(),
        pytest.warns(UserWarning, match="No forward pass information"),
        pytest.raises(RuntimeError, match="nan values"),
    ):
        y.backward()


@alone
def test_anomaly_mode_names_the_backward_that_a_node_comes_from() -> None:
    x = lt.zeros(1, requires_grad=True)
    with autograd.detect_anomaly():
        (first,) = autograd.grad(x**1.5, x, create_graph=True)
        assert first is not None
        with (
            pytest.warns(UserWarning, match="Error detected|Previous calculation") as caught,
            pytest.raises(RuntimeError, match="nan values"),
        ):
            first.backward(lt.zeros(1))
    texts = [str(warning.message) for warning in caught.list]
    assert "Error detected in" in texts[0]
    assert "Previous calculation was induced by PowBackward0" in texts[1]


@alone
def test_anomaly_mode_without_the_search_for_nan() -> None:
    with autograd.detect_anomaly(check_nan=False):
        failing().backward()
    with autograd.set_detect_anomaly(True):
        assert core.is_anomaly_enabled()
        assert core.is_anomaly_check_nan_enabled()
    assert not core.is_anomaly_enabled()


@alone
def test_anomaly_mode_where_warnings_are_errors() -> None:
    """The error that is under way is the one that comes out."""
    unraisable: list[Any] = []
    sys.unraisablehook = unraisable.append
    with autograd.detect_anomaly(), pytest.raises(RuntimeError, match="nan values"):
        failing().backward()
    assert len(unraisable) == 1


@alone
def test_anomaly_mode_and_functions() -> None:
    class Fails(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            raise ZeroDivisionError("here")

    with (
        autograd.detect_anomaly(),
        pytest.warns(UserWarning, match="FailsBackward"),
        pytest.raises(ZeroDivisionError, match="here"),
    ):
        Fails.apply(leaf()).sum().backward()


@alone
def test_hooks_on_saved_tensors() -> None:
    packed: list[list[float]] = []
    unpacked: list[list[float]] = []

    def pack(tensor: Any) -> list[float]:
        packed.append(tensor.tolist())
        return packed[-1]

    def unpack(kept: list[float]) -> Any:
        unpacked.append(kept)
        return lt.tensor(kept)

    x = leaf()
    with autograd.graph.saved_tensors_hooks(pack, unpack):
        y = (x * x).sum()
    z = x.exp()
    assert packed == [[1, 2, 3], [1, 2, 3]]
    y.backward()
    z.sum().backward()
    assert unpacked == packed
    assert x.grad.tolist() == pytest.approx([2 + 2.7182817, 4 + 7.389056, 6 + 20.0855369], rel=1e-6)


@alone
def test_hooks_on_saved_tensors_may_fail() -> None:
    def fail(value: Any) -> Any:
        raise ZeroDivisionError("in the hook")

    x = leaf()
    with autograd.graph.saved_tensors_hooks(fail, fail), pytest.raises(ZeroDivisionError):
        x.exp()
    with autograd.graph.saved_tensors_hooks(lambda t: t, fail):
        y = x.exp()
    with pytest.raises(ZeroDivisionError):
        y.sum().backward()
    wrong: Any = lambda _: 3  # noqa: E731 - a type checker would refuse the hook itself
    with autograd.graph.saved_tensors_hooks(lambda t: t, wrong):
        y = x.exp()
    with pytest.raises(TypeError, match="expected to be a Tensor"):
        y.sum().backward()


@alone
def test_save_on_cpu() -> None:
    x = leaf()
    with autograd.graph.save_on_cpu():
        y = x.exp().sum()
    y.backward()
    assert x.grad.tolist() == x.exp().tolist()


@alone
def test_what_was_packed_is_freed() -> None:
    import gc
    import weakref

    class Kept:
        def __init__(self, tensor: Any) -> None:
            self.tensor = tensor

    alive = []

    def pack(tensor: Any) -> Kept:
        kept = Kept(tensor)
        alive.append(weakref.ref(kept))
        return kept

    with autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        for _ in range(100):
            leaf().exp().sum().backward()
    gc.collect()
    assert len(alive) == 100
    assert sum(reference() is not None for reference in alive) == 0


@alone
def test_deep_reentrance() -> None:
    """Beyond sixty levels the engine continues in another thread, which takes the GIL by itself."""
    depth = []

    def descend(gradient: Any) -> None:
        depth.append(1)
        if len(depth) < 100:
            y = leaf()
            y.register_hook(descend)
            with lt.enable_grad():
                y.sum().backward()

    x = leaf()
    x.register_hook(descend)
    x.sum().backward()
    assert len(depth) == 100


@alone
def test_a_process_ends_while_the_graph_lives() -> None:
    """Nodes, hooks and contexts in Python may outlive it."""

    class Twice(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return gradient * 2

    x = leaf()
    y = Twice.apply(x)
    x.register_hook(lambda gradient: gradient)
    y.register_hook(lambda gradient: gradient)
    y.grad_fn.register_hook(lambda given, received: None)
    x.register_post_accumulate_grad_hook(lambda parameter: None)
    with autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        z = y.exp().sum()
    z.backward(retain_graph=True)
    vars(sys)["kept"] = [x, y, z, y.grad_fn]
    core.push_saved_tensor_hooks(lambda t: t, lambda t: t)


@alone
def test_a_backward_in_a_forked_process() -> None:
    import os

    leaf().exp().sum().backward()
    child = os.fork()
    if child == 0:
        x = leaf()
        calls: list[Any] = []
        x.register_hook(calls.append)
        (x * x).sum().backward()
        os._exit(0 if len(calls) == 1 and x.grad.tolist() == [2, 4, 6] else 1)
    assert os.waitpid(child, 0)[1] == 0
