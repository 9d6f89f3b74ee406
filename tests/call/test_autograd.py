"""backward and grad, the modes of a thread, anomaly mode, saved tensors, tangents, derivatives of functions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from gradients import check_gradient, check_second_gradient

import libtorch_ffi as lt
from libtorch_ffi import autograd
from libtorch_ffi._binding import core
from libtorch_ffi.autograd import forward_ad, functional

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType


def leaf(*values: float) -> Any:
    return lt.tensor(list(values) or [1.0, 2.0, 3.0], requires_grad=True)


# backward and grad


def test_gradients_add_up() -> None:
    x = leaf()
    for _ in range(3):
        (x * 2).sum().backward()
    assert x.grad.tolist() == [6, 6, 6]


def test_the_graph_is_used_up() -> None:
    x = leaf()
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    assert x.grad.tolist() == [4, 8, 12]


def test_create_graph_keeps_it() -> None:
    x = leaf(3.0)
    y = (x**3).sum()
    (first,) = autograd.grad(y, x, create_graph=True)
    (second,) = autograd.grad(first, x, create_graph=True)
    (third,) = autograd.grad(second, x)
    assert [g.item() for g in (first, second, third)] == [27, 18, 6]
    assert x.grad is None


def test_only_some_leaves_gather() -> None:
    a, b = leaf(1.0), leaf(2.0)
    y = a * b
    y.backward(inputs=[a])
    assert (a.grad.item(), b.grad) == (2, None)
    (a * b).backward(inputs=b)
    assert b.grad.item() == 1
    with pytest.raises(RuntimeError, match="cannot be empty"):
        (a * b).backward(inputs=[])


def test_many_outputs() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    outputs = [a * b, a.sum()]
    seeds = [lt.tensor([1.0, 10.0]), None]
    found = autograd.grad(outputs, [a, b], seeds, retain_graph=True)
    assert [g.tolist() for g in found] == [[4, 41], [1, 20]]
    autograd.backward(outputs, seeds)
    assert (a.grad.tolist(), b.grad.tolist()) == ([4, 41], [1, 20])


def test_unused_inputs() -> None:
    a, b = leaf(1.0), leaf(2.0)
    with pytest.raises(RuntimeError, match="allow_unused"):
        autograd.grad(a * 2, [a, b])
    found = autograd.grad(a * 2, [a, b], allow_unused=True)
    assert found[1] is None
    zeros = autograd.grad(a * 2, [a, b], materialize_grads=True)
    assert zeros[1] is not None
    assert (zeros[1].tolist(), zeros[1].requires_grad) == ([0], False)
    with pytest.raises(ValueError, match="allow_unused"):
        autograd.grad(a * 2, [a, b], allow_unused=False, materialize_grads=True)
    with pytest.raises(ValueError, match="only"):
        autograd.grad(a * 2, [a], only_inputs=False)


WRONG: dict[str, Callable[[Any, Any], object]] = {
    "no scalar": lambda m, x: (x * 2).backward(),
    "not recorded": lambda m, x: m.ones(3).sum().backward(),
    "shape that could be summed": lambda m, x: (x * 2).backward(m.ones(2, 3)),
    "shape": lambda m, x: (x * 2).backward(m.ones(4)),
    "as many gradients": lambda m, x: m.autograd.backward([x.sum(), x.sum()], [m.tensor(1.0)]),
    "complex": lambda m, x: (x * 2).backward(m.ones(3, dtype=m.complex64)),
    "input not in the graph": lambda m, x: m.autograd.grad(x.sum(), m.ones(3)),
    "input not used": lambda m, x: m.autograd.grad(x.sum(), m.ones(3, requires_grad=True)),
    "integers": lambda m, x: m.ones(3, dtype=m.int64).requires_grad_(),
    "complex scalar": lambda m, x: m.ones(1, dtype=m.complex64, requires_grad=True).backward(),
    "not a leaf": lambda m, x: setattr(x * 2, "requires_grad", False),
    "in place on a leaf": lambda m, x: x.add_(1),
    "saved and changed": lambda m, x: x.exp().mul_(2).sum().backward(),
    "grad of another shape": lambda m, x: setattr(x, "grad", m.ones(2)),
    "grad of another dtype": lambda m, x: setattr(x, "grad", m.ones(3, dtype=m.float64)),
    "grad that is itself": lambda m, x: setattr(x, "grad", x),
    "retain_grad without": lambda m, x: m.ones(3).retain_grad(),
    "inference tensor": lambda m, x: (_inference(m) * x).sum().backward(),
    "numpy": lambda m, x: x.numpy(),
    "hook without": lambda m, x: m.ones(2).register_hook(print),
}


def _inference(m: Any) -> Any:
    with m.inference_mode():
        return m.ones(3)


@pytest.mark.parametrize("case", WRONG)
def test_errors_are_of_torchs_types(case: str, torch: ModuleType) -> None:
    errors = []
    for module in (torch, lt):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what is compared
            WRONG[case](module, module.ones(3, requires_grad=True))
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1]), errors


@pytest.mark.parametrize("case", ["no scalar", "not recorded", "shape", "as many gradients", "input not used"])
def test_messages_are_torchs(case: str, torch: ModuleType) -> None:
    texts = []
    for module in (torch, lt):
        with pytest.raises(RuntimeError) as caught:
            WRONG[case](module, module.ones(3, requires_grad=True))
        texts.append(str(caught.value))
    assert texts[0][:60] == texts[1][:60]


# Gradients of operators


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "mlp": lambda m, x: (m.relu(x @ m.ones(4, 5, dtype=x.dtype)) @ m.ones(5, 1, dtype=x.dtype)).tanh(),
    "softmax": lambda m, x: m.log_softmax(x, 1)[:, 0],
    "norm": lambda m, x: (x**2).sum(1).sqrt(),
    "index": lambda m, x: x[m.tensor([0, 2, 0])] * x[1],
    "cat": lambda m, x: m.cat([x.sin(), x.cos()], 1).cumsum(0),
    "where": lambda m, x: m.where(x > 0, x.exp(), x * 3),
    "views": lambda m, x: x.t().reshape(-1)[1:5].view(2, 2) ** 3,
    "in place": lambda m, x: (x * 2).mul_(x).add_(1),
    "in place on a view": lambda m, x: _in_place_on_a_view(x),
    "matrix": lambda m, x: m.linalg_inv(x @ x.t() + m.eye(3, dtype=x.dtype)),
    "layer norm": lambda m, x: m.layer_norm(x, [4]),
    "logsumexp": lambda m, x: m.logsumexp(x, [0, 1]),
}


def _in_place_on_a_view(x: Any) -> Any:
    y = x * 1
    y[1] *= 3
    y[:, 0] = y[:, 1]
    return y


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_by_finite_differences(name: str) -> None:
    lt.manual_seed(0)
    x = lt.randn(3, 4, dtype=lt.float64).requires_grad_()
    check_gradient(lambda t: FUNCTIONS[name](lt, t), x)
    check_second_gradient(lambda t: FUNCTIONS[name](lt, t), x)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "matrix"])
def test_gradients_are_torchs(name: str, torch: ModuleType) -> None:
    answers = []
    for module in (torch, lt):
        module.manual_seed(3)
        x = module.randn(3, 4).requires_grad_()
        y = FUNCTIONS[name](module, x)
        (first,) = module.autograd.grad(y.sum(), x, create_graph=True)
        (second,) = module.autograd.grad((first * x).sum(), x)
        # A number is an overload of its own here, which torch makes a tensor of first: AddBackward1, not AddBackward0.
        answers.append((y.tolist(), first.tolist(), second.tolist(), y.grad_fn.name().rstrip("01")))
    assert answers[0] == answers[1]


def test_leaves_and_flags() -> None:
    x = lt.ones(2)
    assert x.requires_grad_() is x
    assert x.requires_grad
    y = x * 2
    assert (x.is_leaf, y.is_leaf) == (True, False)
    assert not y.detach().requires_grad
    assert y.detach().is_set_to(y)
    y.retain_grad()
    assert y.retains_grad
    y.detach_()
    assert y.is_leaf
    assert x.requires_grad_(False) is x
    assert not x.requires_grad
    del x.grad
    assert x.grad is None


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
def test_a_number_is_an_operand_like_a_tensor(name: str) -> None:
    """As in torch, whose functions have no overload for numbers: the gradient is of the same function."""
    x = lt.ones(2, requires_grad=True)
    made = (getattr(lt, name)(x, 2), getattr(x, name)(2), getattr(x.clone(), f"{name}_")(2))
    assert {str(each.grad_fn) for each in made} == {f"<{name.capitalize()}Backward0>"}


def test_versions_count_changes_and_nothing_else() -> None:
    x = lt.arange(3)
    made = (x, x.clone(), lt.rand(2), lt.zeros_like(x), x.sum(), x.double().softmax(0), lt.hann_window(4), lt.eye(2))
    assert [each._version for each in made] == [0] * len(made)
    x[1:].add_(1)
    assert (x._version, x[0]._version) == (1, 1)


def test_retain_grad_under_no_grad() -> None:
    y = leaf() * 2
    with lt.no_grad():
        y.retain_grad()
    y.sum().backward()
    assert y.grad.tolist() == [1, 1, 1]


# Modes


def test_modes_nest_and_decorate() -> None:
    assert lt.is_grad_enabled()
    with lt.no_grad():
        assert not lt.is_grad_enabled()
        with lt.enable_grad():
            assert lt.is_grad_enabled()
            with lt.set_grad_enabled(False):
                assert not lt.is_grad_enabled()
        assert not lt.is_grad_enabled()

    @autograd.no_grad()
    def off() -> bool:
        return core.is_grad_enabled()

    @autograd.enable_grad()
    def on() -> bool:
        return core.is_grad_enabled()

    assert not off()
    with lt.no_grad():
        assert on()
    assert lt.is_grad_enabled()


def test_a_decorated_generator_is_in_the_mode_between_its_yields() -> None:
    """Whoever takes what it yields is not."""
    seen: list[object] = []

    @autograd.no_grad()
    def steps() -> Generator[int, str, str]:
        try:
            seen.append((yield 1))
            seen.append(lt.is_grad_enabled())
            yield 2
        except KeyError as error:
            seen.append(error.args[0])
            seen.append(lt.is_grad_enabled())
            yield 3
        finally:
            seen.append(lt.is_grad_enabled())
        return "end"

    generator = steps()
    assert (next(generator), lt.is_grad_enabled()) == (1, True)
    assert (generator.send("sent"), lt.is_grad_enabled()) == (2, True)
    assert (generator.throw(KeyError("thrown")), lt.is_grad_enabled()) == (3, True)
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == "end"
    assert seen == ["sent", False, "thrown", False, False]
    seen.clear()
    generator = steps()
    next(generator)
    generator.close()
    assert (seen, lt.is_grad_enabled()) == ([False], True)


def test_inference_mode() -> None:
    with lt.inference_mode():
        assert lt.is_inference_mode_enabled()
        x = lt.ones(2)
        with lt.inference_mode(False):
            assert not lt.is_inference_mode_enabled()
    assert not lt.is_inference_mode_enabled()
    assert x.is_inference()

    @autograd.inference_mode()
    def inside() -> bool:
        return core.is_inference_mode_enabled()

    assert inside()


def test_modes_belong_to_a_thread() -> None:
    seen = []
    with lt.no_grad():
        thread = threading.Thread(target=lambda: seen.append(lt.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_multithreading_can_be_switched_off() -> None:
    with autograd.set_multithreading_enabled(False):
        assert not core.is_multithreading_enabled()
        x = leaf()
        x.sum().backward()
    assert core.is_multithreading_enabled()
    assert x.grad.tolist() == [1, 1, 1]


# Tangents


def test_tangents() -> None:
    x, v = lt.tensor([1.0, 2.0]), lt.tensor([1.0, 10.0])
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, v)
        value, tangent = forward_ad.unpack_dual(dual * dual)
        assert tangent is not None
        assert (value.tolist(), tangent.tolist()) == ([1, 4], [2, 40])
        assert forward_ad.unpack_dual(x).tangent is None
    assert forward_ad.unpack_dual(dual).tangent is None
    with pytest.raises(RuntimeError, match="dual_level"):
        forward_ad.make_dual(x, v)


# Derivatives of functions


def test_functional_is_torchs(torch: ModuleType) -> None:
    def answers(m: Any, f: Any) -> list[Any]:
        x, y = m.tensor([1.0, 2.0, 3.0]), m.tensor([4.0, 5.0, 6.0])
        v = m.tensor([1.0, 0.5, 2.0])

        def both(a: Any, b: Any) -> Any:
            return a * b, (a.exp() @ b)

        def single(a: Any) -> Any:
            return (a**3).sum()

        return [
            f.jacobian(both, (x, y)),
            f.hessian(single, x),
            f.hessian(lambda a, b: (a * b).sum() ** 2, (x, y)),
            f.vjp(lambda a: a**2, x, v),
            f.jvp(lambda a: a**2, x, v),
            f.vhp(single, x, v),
            f.hvp(single, x, v),
        ]

    def plain(value: Any) -> Any:
        return [plain(item) for item in value] if isinstance(value, tuple) else value.tolist()

    assert plain(tuple(answers(lt, functional))) == plain(tuple(answers(torch, torch.autograd.functional)))


def test_functional_refuses() -> None:
    with pytest.raises(RuntimeError, match="one element"):
        functional.vjp(lambda x: x, lt.ones(2))
    with pytest.raises(RuntimeError, match="one element"):
        functional.hessian(lambda x: x, lt.ones(2))
    with pytest.raises(TypeError, match="Tensor"):
        functional.jacobian(lambda x: 3, lt.ones(2))


# Memory


def test_rounds_of_training_leave_nothing() -> None:
    import gc

    x = leaf()

    def step() -> None:
        (x * x).sum().backward()
        with lt.no_grad():
            x.sub_(x.grad * 0.0)
        x.grad = None

    for _ in range(10):
        step()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(2000):
        step()
    gc.collect()
    assert abs(len(gc.get_objects()) - before) < 50
