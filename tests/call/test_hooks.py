"""Hooks on tensors and nodes: what they see, what they change, what they keep alive."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest

import libtorch_ffi as lt


class BoomError(Exception):
    """What a hook raises here."""


def leaf(*values: float) -> Any:
    return lt.tensor(list(values) or [1.0, 2.0, 3.0], requires_grad=True)


def test_a_hook_sees_the_gradient_and_may_replace_it() -> None:
    x = leaf()
    seen = []

    def double(gradient: Any) -> Any:
        seen.append(gradient.tolist())
        return gradient * 2

    handle = x.register_hook(double)
    (x * 3).sum().backward()
    assert seen == [[3, 3, 3]]
    assert x.grad.tolist() == [6, 6, 6]
    handle.remove()
    handle.remove()
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3, 3]


def test_hooks_run_in_order_and_each_gets_the_last_answer() -> None:
    x = leaf(1.0)
    x.register_hook(lambda g: g + 1)
    second = x.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: None)
    x.sum().backward()
    assert x.grad.item() == 20
    second.remove()
    x.grad = None
    x.sum().backward()
    assert x.grad.item() == 2


def test_a_hook_on_a_computed_tensor_changes_what_flows_on() -> None:
    x = leaf()
    y = x * 2
    y.register_hook(lambda g: g * 5)
    y.retain_grad()
    y.sum().backward()
    assert y.grad.tolist() == [5, 5, 5]
    assert x.grad.tolist() == [10, 10, 10]


def test_a_hook_belongs_to_the_value_it_was_registered_on() -> None:
    x = leaf()
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(("before", g.tolist())))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(("after", g.tolist())))
    y.sum().backward()
    assert seen == [("after", [1, 1, 1]), ("before", [3, 3, 3])]


def test_a_handle_is_a_context_manager() -> None:
    x = leaf(1.0)
    with x.register_hook(lambda g: g * 0):
        x.sum().backward()
    x.sum().backward()
    assert x.grad.item() == 1


def test_a_hook_may_remove_itself() -> None:
    x = leaf(1.0)
    calls = []

    def once(gradient: Any) -> None:
        calls.append(gradient.item())
        handle.remove()

    handle = x.register_hook(once)
    for _ in range(3):
        x.sum().backward()
    assert calls == [1]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda g: 1, TypeError),
        (lambda g: g[:2], RuntimeError),
        (lambda g: g.to(lt.float64), RuntimeError),
    ],
)
def test_a_wrong_answer_is_refused(answer: Any, error: type[Exception]) -> None:
    x = leaf()
    x.register_hook(answer)
    with pytest.raises(error):
        x.sum().backward()


def test_hooks_need_a_gradient() -> None:
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        lt.ones(2).register_hook(print)
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        lt.ones(2).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="non-leaf"):
        (leaf() * 2).register_post_accumulate_grad_hook(print)


def test_an_exception_in_a_hook_comes_out_as_itself() -> None:
    x = leaf()
    error = BoomError("here")

    def fail(gradient: Any) -> None:
        raise error

    (x * 2).register_hook(fail)
    x.register_hook(fail)
    with pytest.raises(BoomError, match="here") as caught:
        x.sum().backward()
    assert caught.value is error
    assert "fail" in [entry.name for entry in caught.traceback]


def test_the_post_accumulate_hook_gets_the_object_that_it_was_registered_on() -> None:
    x = leaf(1.0, 2.0)
    steps = {x: 0.5}
    seen = []

    def step(parameter: Any) -> None:
        seen.append((steps[parameter], parameter.grad.tolist()))
        parameter.grad = None

    handle = x.register_post_accumulate_grad_hook(step)
    (x * 4).sum().backward()
    assert seen == [(0.5, [4, 4])]
    assert x.grad is None
    handle.remove()
    x.sum().backward()
    assert len(seen) == 1


def test_a_post_accumulate_hook_answers_nothing() -> None:
    x = leaf()
    x.register_post_accumulate_grad_hook(lambda p: p)
    with pytest.raises(RuntimeError, match="should return None"):
        x.sum().backward()


def test_hooks_of_a_node() -> None:
    x = leaf(1.0)
    y = x * 3
    seen: list[Any] = []
    y.grad_fn.register_prehook(lambda grads: (grads[0] * 2,))
    last = y.grad_fn.register_hook(lambda given, received: seen.append((given[0].item(), received[0].item())))
    y.grad_fn.register_hook(lambda given, received: (given[0] + 1, *given[1:]))
    y.sum().backward()
    assert seen == [(6, 2)]
    assert x.grad.item() == 7
    last.remove()


def test_a_hook_of_a_node_answers_as_many() -> None:
    y = leaf(1.0) * 3
    y.grad_fn.register_hook(lambda given, received: (given[0],) * 5)
    with pytest.raises(RuntimeError, match="incorrect number"):
        y.sum().backward()


def test_nodes_can_be_looked_at() -> None:
    x = leaf()
    y = (x * 2).sum()
    assert y.grad_fn.name().startswith("SumBackward")
    assert y.grad_fn == y.grad_fn
    assert len({y.grad_fn, y.grad_fn}) == 1
    ((mul, index),) = y.grad_fn.next_functions
    assert (mul.name(), index) == ("MulBackward0", 0)
    (accumulate, _), *rest = mul.next_functions
    assert accumulate.variable is not None
    assert accumulate.variable.is_set_to(x)
    assert [node for node, _ in rest] == [None] * len(rest)
    with pytest.raises(AttributeError):
        y.grad_fn.saved_self_something  # noqa: B018
    assert isinstance(y.grad_fn, lt.autograd.graph.Node)


def test_several_gradients_at_once() -> None:
    a, b = leaf(1.0), leaf(2.0)
    seen: list[Any] = []
    with lt.autograd.graph.register_multi_grad_hook([a, b], seen.append):
        (a * b).sum().backward()
        (a + b).sum().backward()
    a.sum().backward()
    assert [[g.item() for g in gradients] for gradients in seen] == [[2, 1], [1, 1]]


@pytest.mark.parametrize("computed", [False, True])
def test_a_hook_that_refers_to_its_tensor_is_no_leak(computed: bool) -> None:
    class Payload:
        pass

    alive = []
    for _ in range(200):
        x = leaf()
        y = x * 2 if computed else x
        payload = Payload()
        alive.append(weakref.ref(payload))
        y.register_hook(lambda g, y=y, payload=payload: None)
        y.sum().backward()
    del x, y, payload
    gc.collect()
    assert sum(reference() is not None for reference in alive) == 0


def test_a_post_accumulate_hook_that_refers_to_its_tensor_is_no_leak() -> None:
    class Payload:
        pass

    alive = []
    for _ in range(200):
        x, payload = leaf(), Payload()
        alive.append(weakref.ref(payload))
        x.register_post_accumulate_grad_hook(lambda p, x=x, payload=payload: None)
        x.sum().backward()
    del x, payload
    gc.collect()
    assert sum(reference() is not None for reference in alive) == 0


def test_a_node_hook_that_refers_to_its_tensor_is_no_leak() -> None:
    class Payload:
        pass

    alive = []
    for _ in range(200):
        y, payload = leaf() * 2, Payload()
        alive.append(weakref.ref(payload))
        y.grad_fn.register_hook(lambda a, b, y=y, payload=payload: None)
        y.register_hook(lambda g, y=y: None)
        y.sum().backward()
    del y, payload
    gc.collect()
    assert sum(reference() is not None for reference in alive) == 0


def test_what_is_still_in_use_is_not_collected() -> None:
    """The collector sees hooks as the tensor's own only where they are."""

    class Payload:
        pass

    payload = Payload()
    alive = weakref.ref(payload)
    x = leaf()
    y = x * 2
    y.register_hook(lambda g, y=y, payload=payload: None)
    loss = y.sum()
    del y, payload
    gc.collect()
    assert alive() is not None
    loss.backward()
    assert x.grad.tolist() == [2, 2, 2]
    del loss
    gc.collect()
    assert alive() is None


def test_a_handle_keeps_nothing_alive() -> None:
    x = leaf()
    alive = weakref.ref(x)
    handle = x.register_hook(lambda g: None)
    del x
    gc.collect()
    assert alive() is None
    handle.remove()


def test_hooks_in_many_threads() -> None:
    """Each thread has its graph; the engine runs without the GIL and takes it for each hook."""
    results: list[int] = []

    def work(factor: int) -> None:
        for _ in range(50):
            x = lt.ones(300, requires_grad=True)
            calls: list[Any] = []
            x.register_hook(lambda g, calls=calls: calls.append(g) or g * factor)
            (x * 2).sum().backward()
            assert len(calls) == 1
            assert x.grad.tolist() == [2 * factor] * 300
        results.append(factor)

    threads = [threading.Thread(target=work, args=(factor,)) for factor in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(1, 9))


def test_one_leaf_in_many_threads() -> None:
    x = lt.ones(4, requires_grad=True)
    calls = []
    x.register_hook(lambda g: calls.append(g.sum().item()))

    def work() -> None:
        for _ in range(100):
            (x * 2).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [8] * 800
    assert x.grad.tolist() == [1600] * 4


def test_backward_inside_a_hook() -> None:
    x, z = leaf(2.0), leaf(3.0)

    def inner(gradient: Any) -> Any:
        with lt.enable_grad():
            (z * z).sum().backward()
        return gradient * z.grad

    x.register_hook(inner)
    x.sum().backward()
    assert x.grad.item() == 6
