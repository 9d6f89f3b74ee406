"""autograd.Function: what its context and its nodes keep alive, and for how long."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from functions import Cube, Scale, leaf


@pytest.mark.parametrize("kind", ["output", "node", "input", "context"])
def test_cycles_through_the_context_are_collected(kind: str) -> None:
    class Payload:
        pass

    class Cyclic(Cube):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.payload = Payload()
            ctx.own = ctx if kind == "context" else None
            alive.append(weakref.ref(ctx.payload))
            return Cube.forward(ctx, x)

    alive: list[Any] = []
    for _ in range(200):
        x = leaf()
        y = Cyclic.apply(x)
        y.grad_fn.kept = {"output": y, "node": y.grad_fn, "input": x, "context": None}[kind]
        y.sum().backward()
    del x, y
    gc.collect()
    assert len(alive) == 200
    assert sum(reference() is not None for reference in alive) == 0


def test_the_node_outlives_its_tensor() -> None:
    x = leaf(2.0)
    node = Cube.apply(x).grad_fn
    gc.collect()
    assert node.name() == "CubeBackward"
    assert node.saved_tensors[0].item() == 2


def test_a_long_chain_is_freed_without_recursion() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = Scale.apply(y, 1.0)
    y.backward()
    del y
    assert x.grad.item() == 1
    y = x
    for _ in range(20_000):
        y = Cube.apply(y)
    del y


def test_contexts_do_not_pile_up() -> None:
    import sys

    x = leaf(1.0)
    for _ in range(10):
        Cube.apply(x).backward()
    gc.collect()
    before = len(gc.get_objects()), sys.getrefcount(None), sys.getrefcount(Cube)
    for _ in range(2000):
        Cube.apply(x).backward()
    gc.collect()
    after = len(gc.get_objects()), sys.getrefcount(None), sys.getrefcount(Cube)
    assert all(abs(b - a) < 100 for a, b in zip(before, after, strict=True))
