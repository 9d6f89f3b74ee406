"""Optimizers: torch's numbers step by step, groups, states that travel both ways, closures, bad input."""

from __future__ import annotations

import contextlib
import copy
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt
from libtorch_ffi import optim
from libtorch_ffi.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

STEPS = 8

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.05}),
    "SGD momentum": ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
    "SGD nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "SGD maximize": ("SGD", {"lr": 0.01, "maximize": True}),
    "Adam": ("Adam", {"lr": 0.02}),
    "Adam amsgrad": ("Adam", {"lr": 0.02, "amsgrad": True, "weight_decay": 0.1, "betas": (0.8, 0.99), "eps": 1e-6}),
    "Adam maximize": ("Adam", {"lr": 0.02, "maximize": True}),
    "Adam decoupled": ("Adam", {"lr": 0.02, "weight_decay": 0.2, "decoupled_weight_decay": True}),
    "AdamW": ("AdamW", {"lr": 0.02, "weight_decay": 0.1}),
    "AdamW amsgrad": ("AdamW", {"lr": 0.02, "amsgrad": True}),
    "RMSprop": ("RMSprop", {"lr": 0.01}),
    "RMSprop centered": ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True, "weight_decay": 0.1, "alpha": 0.9}),
    "Adagrad": ("Adagrad", {"lr": 0.1}),
    "Adagrad decay": ("Adagrad", {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.1, "initial_accumulator_value": 0.3}),
    "LBFGS": ("LBFGS", {"lr": 0.3, "max_iter": 3, "history_size": 4}),
    "LBFGS wolfe": ("LBFGS", {"max_iter": 2, "line_search_fn": "strong_wolfe"}),
}
"""Optimizers and their options."""


class Fit:
    """A small nonlinear regression, the same for both modules."""

    def __init__(self, module: Any) -> None:
        module.manual_seed(3)
        self.x, self.y = module.randn(20, 4), module.randn(20, 2)
        self.parameters = [module.randn(4, 5), module.zeros(5), module.randn(5, 2), module.zeros(2)]
        for parameter in self.parameters:
            parameter.requires_grad_()

    def loss(self) -> Any:
        a, b, c, d = self.parameters
        return (((self.x @ a + b).tanh() @ c + d - self.y) ** 2).mean()

    def closure(self, optimizer: Any) -> Callable[[], Any]:
        def evaluate() -> Any:
            optimizer.zero_grad()
            loss = self.loss()
            loss.backward()
            return loss

        return evaluate

    def steps(self, optimizer: Any, count: int = STEPS) -> list[float]:
        return [optimizer.step(self.closure(optimizer)).item() for _ in range(count)]

    def values(self) -> list[Any]:
        return [parameter.tolist() for parameter in self.parameters]


def plain(value: Any) -> Any:
    """A state without tensors: both modules' compare."""
    if type(value).__name__ == "Tensor":
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("case", CASES)
def test_steps_are_torchs(case: str, torch: ModuleType) -> None:
    name, options = CASES[case]
    sides = []
    for module in (lt, torch):
        fit = Fit(module)
        optimizer = getattr(module.optim, name)(fit.parameters, **options)
        sides.append((fit.steps(optimizer), fit.values(), plain(optimizer.state_dict())))
    (our_losses, our_values, our_state), (losses, values, state) = sides
    assert our_losses == pytest.approx(losses, rel=1e-6)
    for ours, theirs in zip(our_values, values, strict=True):
        assert lt.allclose(lt.tensor(ours), lt.tensor(theirs), rtol=1e-4, atol=1e-6)
    assert our_state["param_groups"] == state["param_groups"]
    assert our_state["state"].keys() == state["state"].keys()
    for number, kept in state["state"].items():
        assert our_state["state"][number].keys() == kept.keys()


@pytest.mark.parametrize("case", CASES)
def test_a_state_saved_by_torch_goes_on_here(case: str, torch: ModuleType) -> None:
    """Half of the steps by torch, then the rest by torch and by us from torch's state."""
    name, options = CASES[case]
    theirs = Fit(torch)
    optimizer = getattr(torch.optim, name)(theirs.parameters, **options)
    theirs.steps(optimizer)
    ours = Fit(lt)
    for parameter, value in zip(ours.parameters, theirs.values(), strict=True):
        parameter.data.copy_(lt.tensor(value))
    successor = getattr(optim, name)(ours.parameters)
    successor.load_state_dict(_ours(optimizer.state_dict()))
    assert successor.param_groups[0]["lr"] == options["lr"] if "lr" in options else True
    assert ours.steps(successor) == pytest.approx(theirs.steps(optimizer), rel=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_a_state_saved_here_goes_on_in_torch(case: str, torch: ModuleType) -> None:
    name, options = CASES[case]
    ours = Fit(lt)
    optimizer = getattr(optim, name)(ours.parameters, **options)
    ours.steps(optimizer)
    theirs = Fit(torch)
    for parameter, value in zip(theirs.parameters, ours.values(), strict=True):
        parameter.data.copy_(torch.tensor(value))
    successor = getattr(torch.optim, name)(theirs.parameters)
    successor.load_state_dict(_converted(optimizer.state_dict(), torch.tensor))
    assert theirs.steps(successor) == pytest.approx(ours.steps(optimizer), rel=1e-5)


def _ours(value: Any) -> Any:
    return _converted(value, lt.tensor)


def _converted(value: Any, tensor: Callable[[Any], Any]) -> Any:
    """A state with the tensors of another module."""
    if type(value).__name__ == "Tensor":
        return tensor(value.tolist())
    if isinstance(value, dict):
        return {key: _converted(item, tensor) for key, item in value.items()}
    return type(value)(_converted(item, tensor) for item in value) if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("way", ["state_dict", "pickle", "deepcopy"])
def test_a_saved_optimizer_goes_on_where_it_was(case: str, way: str) -> None:
    name, options = CASES[case]
    fit = Fit(lt)
    optimizer = getattr(optim, name)(fit.parameters, **options)
    fit.steps(optimizer, 3)
    twin = Fit(lt)
    if way == "state_dict":
        twin.parameters = [parameter.detach().clone().requires_grad_() for parameter in fit.parameters]
        again = getattr(optim, name)(twin.parameters)
        again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    else:
        again = copy.deepcopy(optimizer) if way == "deepcopy" else pickle.loads(pickle.dumps(optimizer))
        twin.parameters = again.param_groups[0]["params"]
    assert twin.steps(again) == fit.steps(optimizer)


def test_every_option_and_default_is_torchs(torch: ModuleType) -> None:
    for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "LBFGS"):
        theirs = getattr(torch.optim, name)([torch.zeros(1, requires_grad=True)])
        ours = getattr(optim, name)([lt.zeros(1).requires_grad_()])
        assert ours.defaults == theirs.defaults
        assert repr(ours) == repr(theirs)


def test_options_of_a_group_hold_from_the_next_step_on() -> None:
    a, b = lt.ones(2).requires_grad_(), lt.ones(2).requires_grad_()
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.0}], lr=0.5)
    (a.sum() + b.sum()).backward()
    optimizer.step()
    assert (a.tolist(), b.tolist()) == ([0.5, 0.5], [1.0, 1.0])
    optimizer.param_groups[0]["lr"] = lt.tensor(0.0)
    optimizer.param_groups[1]["lr"] = 1
    optimizer.step()
    assert (a.tolist(), b.tolist()) == ([0.5, 0.5], [0.0, 0.0])


def test_a_group_that_is_added_has_the_defaults_and_a_state_of_its_own() -> None:
    a, b = lt.ones(1).requires_grad_(), lt.ones(3).requires_grad_()
    optimizer = optim.Adagrad([a], lr=0.1, initial_accumulator_value=2.0)
    optimizer.add_param_group({"params": (b,), "lr": 0.2})
    assert optimizer.param_groups[1]["eps"] == optimizer.param_groups[0]["eps"]
    assert optimizer.state[b]["sum"].tolist() == [2.0] * 3
    (b * 3).sum().backward()
    optimizer.step()
    assert optimizer.state[b]["sum"].tolist() == [11.0] * 3
    assert a.tolist() == [1.0]
    assert [optimizer.state[p]["step"].item() for p in (a, b)] == [0.0, 1.0]


def test_named_parameters_keep_their_names() -> None:
    pairs = [("weight", lt.ones(1).requires_grad_()), ("bias", lt.ones(1).requires_grad_())]
    optimizer = optim.SGD(pairs)
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


def test_parameters_without_a_gradient_are_left_alone() -> None:
    for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad"):
        used, unused = lt.ones(1).requires_grad_(), lt.ones(1).requires_grad_()
        optimizer = getattr(optim, name)([used, unused], lr=0.1, weight_decay=0.5)
        used.sum().backward()
        optimizer.step()
        assert (used.item() != 1.0, unused.item()) == (True, 1.0)


def test_zero_grad() -> None:
    parameter = lt.ones(2).requires_grad_()
    optimizer = optim.SGD([parameter])
    parameter.sum().backward()
    gradient = parameter.grad
    optimizer.zero_grad(set_to_none=False)
    assert gradient.tolist() == parameter.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert parameter.grad is None


def test_what_is_written_into_a_state_counts() -> None:
    parameter = lt.ones(1).requires_grad_()
    optimizer = optim.SGD([parameter], lr=1.0, momentum=1.0)
    parameter.grad = lt.zeros(1)
    optimizer.step()
    optimizer.state[parameter]["momentum_buffer"].fill_(5.0)
    optimizer.step()
    assert parameter.item() == -4.0
    assert list(optimizer.state) == [parameter]
    with pytest.raises(KeyError):
        optimizer.state[lt.ones(1)]


def test_two_handles_of_a_parameter_are_one() -> None:
    parameter = lt.ones(1).requires_grad_()
    other = parameter.requires_grad_()
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        optim.SGD([{"params": [parameter]}, {"params": [other]}])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([parameter, other])


def test_half_precision_and_double_parameters_keep_their_dtype() -> None:
    for dtype in (lt.bfloat16, lt.float64):
        parameter = lt.ones(2, dtype=dtype).requires_grad_()
        optimizer = optim.Adam([parameter])
        parameter.sum().backward()
        optimizer.step()
        assert parameter.dtype == optimizer.state[parameter]["exp_avg"].dtype == dtype
        again = optim.Adam([parameter])
        again.load_state_dict(optimizer.state_dict())
        assert again.state[parameter]["step"].dtype == lt.float32


BAD: dict[str, tuple[Callable[[Any], Any], type[Exception]]] = {
    "a tensor for a list": (lambda m: m.optim.SGD(m.ones(1)), TypeError),
    "nothing": (lambda m: m.optim.SGD([]), ValueError),
    "a set": (lambda m: m.optim.SGD([{"params": {1}}]), TypeError),
    "numbers": (lambda m: m.optim.SGD([1.0]), TypeError),
    "no leaf": (lambda m: m.optim.SGD([m.ones(1).requires_grad_() * 2]), ValueError),
    "a negative rate": (lambda m: m.optim.Adam([m.ones(1).requires_grad_()], lr=-1.0), ValueError),
    "two rates": (lambda m: m.optim.Adam([m.ones(1).requires_grad_()], lr=m.ones(2)), ValueError),
    "a beta of 1": (lambda m: m.optim.Adam([m.ones(1).requires_grad_()], betas=(0.9, 1.0)), ValueError),
    "nesterov alone": (lambda m: m.optim.SGD([m.ones(1).requires_grad_()], nesterov=True), ValueError),
    "two groups of LBFGS": (lambda m: m.optim.LBFGS([{"params": [m.ones(1)]}, {"params": [m.ones(2)]}]), ValueError),
    "another search": (
        lambda m: m.optim.LBFGS([m.ones(1).requires_grad_()], line_search_fn="weak").step(lambda: m.ones(1).sum()),
        RuntimeError,
    ),
    "no closure": (lambda m: m.optim.LBFGS([m.ones(1).requires_grad_()]).step(), TypeError),
    "a state of another shape": (
        lambda m: m.optim.SGD([m.ones(1)]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
        ValueError,
    ),
    "a state of more groups": (
        lambda m: m.optim.SGD([m.ones(1)]).load_state_dict({"state": {}, "param_groups": []}),
        ValueError,
    ),
    "a group that is none": (lambda m: m.optim.SGD([m.ones(1)]).add_param_group([m.ones(1)]), TypeError),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    make, kind = BAD[name]
    with pytest.raises(kind):
        make(lt)


@pytest.mark.parametrize("name", sorted(set(BAD) - {"another search"}))
def test_bad_input_is_refused_as_torch_does(name: str, torch: ModuleType) -> None:
    messages = []
    for module in (lt, torch):
        with pytest.raises(BAD[name][1]) as caught:
            BAD[name][0](module)
        messages.append(str(caught.value).replace("Optimizer.step", "LBFGS.step"))
    assert messages[0].replace("LBFGS.", "") == messages[1].replace("LBFGS.", "")


def test_what_libtorchs_optimizers_lack_is_refused() -> None:
    parameter = lt.ones(1).requires_grad_()
    with pytest.raises(UnsupportedError, match="expected capturable=False"):
        optim.Adam([parameter], capturable=True)
    with pytest.raises(UnsupportedError, match="view_as_complex"):
        optim.Adam([lt.ones(1, dtype=lt.complex64).requires_grad_()])
    z = lt.ones(1, dtype=lt.complex64).requires_grad_()
    z.grad = lt.full((1,), 1j)
    optim.SGD([z], lr=1.0).step()
    assert z.item() == 1 - 1j


@pytest.mark.parametrize(
    ("option", "value", "kind"),
    [("lr", "much", TypeError), ("betas", (0.1,), ValueError), ("betas", 3, TypeError), ("params", None, TypeError)],
)
def test_a_group_that_was_spoiled_is_an_error_at_the_step(option: str, value: object, kind: type[Exception]) -> None:
    parameter = lt.ones(1).requires_grad_()
    optimizer = optim.Adam([parameter])
    optimizer.param_groups[0][option] = value
    parameter.grad = lt.ones(1)
    with pytest.raises(kind):
        optimizer.step()
    assert parameter.item() == 1.0


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("nonsense", ["text", {"a": 1}, lt.ones(7, 7)], ids=["text", "dict", "shape"])
def test_a_state_of_nonsense_is_an_error(case: str, nonsense: object) -> None:
    name, options = CASES[case]
    fit = Fit(lt)
    optimizer = getattr(optim, name)(fit.parameters, **options)
    fit.steps(optimizer, 1)
    saved = optimizer.state_dict()
    for field, value in saved["state"].get(0, {}).items():
        if name == "LBFGS" and not (isinstance(nonsense, str) or isinstance(value, lt.Tensor)):
            continue  # a history may be any list of tensors, and a count any number
        spoiled = {number: {**kept, field: nonsense} for number, kept in saved["state"].items()}
        with pytest.raises((TypeError, RuntimeError, ValueError)):
            _loaded_and_stepped(getattr(optim, name)(Fit(lt).parameters), {**saved, "state": spoiled})


@pytest.mark.parametrize("history", [[], [lt.ones(3)], [lt.ones(3)] * 9, [None], None])
@pytest.mark.parametrize("field", ["old_dirs", "old_stps", "ro", "al"])
def test_a_spoiled_history_does_not_crash(field: str, history: object) -> None:
    fit = Fit(lt)
    optimizer = optim.LBFGS(fit.parameters, max_iter=3, history_size=4)
    fit.steps(optimizer, 1)
    saved = optimizer.state_dict()
    state = {0: {**saved["state"][0], field: history}}
    with contextlib.suppress(TypeError, RuntimeError, ValueError):
        _loaded_and_stepped(optim.LBFGS(Fit(lt).parameters, max_iter=3), {**saved, "state": state})
    assert [parameter.shape for parameter in fit.parameters] == [again.shape for again in Fit(lt).parameters]


def test_lists_of_a_history_have_to_be_as_long_as_each_other() -> None:
    fit = Fit(lt)
    optimizer = optim.LBFGS(fit.parameters, max_iter=3)
    fit.steps(optimizer, 1)
    saved = optimizer.state_dict()
    saved["state"][0]["ro"].pop()
    with pytest.raises(ValueError, match="1 old_dirs, 1 old_stps and 0 ro"):
        optimizer.load_state_dict(saved)


def test_a_history_may_grow_and_shrink_between_steps() -> None:
    fit = Fit(lt)
    optimizer = optim.LBFGS(fit.parameters, lr=0.2, max_iter=6, history_size=3)
    for size in (3, 50, 2, 7):
        optimizer.param_groups[0]["history_size"] = size
        fit.steps(optimizer, 2)
        state = optimizer.state[fit.parameters[0]]
        assert len(state["old_dirs"]) == len(state["ro"]) <= size == len(state["al"])
    optimizer.param_groups[0]["history_size"] = 0
    with pytest.raises(ValueError, match="history_size has to be from 1"):
        fit.steps(optimizer, 1)


def _loaded_and_stepped(optimizer: Any, state: dict[str, Any]) -> None:
    optimizer.load_state_dict(state)
    fit = Fit(lt)
    fit.parameters = optimizer.param_groups[0]["params"]
    fit.steps(optimizer, 3)


def test_errors_of_a_closure_pass() -> None:
    parameter = lt.ones(1).requires_grad_()

    def failing() -> Any:
        raise KeyError("mine")

    for name in ("SGD", "LBFGS"):
        with pytest.raises(KeyError, match="mine"):
            getattr(optim, name)([parameter]).step(failing)
    with pytest.raises(TypeError, match="has to return the loss"):
        optim.LBFGS([parameter]).step(lambda: None)


def test_a_closure_has_gradients_enabled() -> None:
    parameter = lt.ones(1).requires_grad_()
    seen = []

    def closure() -> Any:
        seen.append(lt.is_grad_enabled())
        loss = (parameter**2).sum()
        loss.backward()
        return loss

    with lt.no_grad():
        optim.SGD([parameter]).step(closure)
        optim.LBFGS([parameter], max_iter=1).step(closure)
    assert set(seen) == {True}


def test_a_step_within_a_step_is_refused() -> None:
    parameter = lt.ones(1).requires_grad_()
    optimizer = optim.LBFGS([parameter])
    with pytest.raises(RuntimeError, match="in the middle of a step"):
        optimizer.step(lambda: optimizer.step(parameter.sum))
    with pytest.raises(RuntimeError, match="in the middle of a step"):
        optimizer.step(optimizer.state_dict)
    assert optimizer.state_dict()["state"][0]["n_iter"] == 0


def test_threads_that_share_an_optimizer_do_not_crash() -> None:
    parameters = [lt.ones(300, 300).requires_grad_() for _ in range(4)]
    optimizer = optim.Adam(parameters)
    for parameter in parameters:
        parameter.grad = lt.ones(300, 300)
    outcomes: list[str] = []

    def work() -> None:
        for _ in range(20):
            try:
                optimizer.step()
                outcomes.append("stepped")
            except RuntimeError as error:  # noqa: PERF203 - each round of its own
                outcomes.append("refused" if "in the middle of a step" in str(error) else str(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"stepped", "refused"}
    assert optimizer.state[parameters[0]]["step"].item() == outcomes.count("stepped")


class Halving(optim.Optimizer):
    """An optimizer of a user's own: it halves the parameters, and counts."""

    def step(self, closure: Any = None) -> None:
        with lt.no_grad():
            for parameter in self.param_groups[0]["params"]:
                parameter.mul_(self.param_groups[0]["factor"])
                state = self.state[parameter]
                state["count"] = state.get("count", 0) + 1


def test_an_optimizer_written_in_python() -> None:
    parameter = lt.ones(1).requires_grad_()
    optimizer = Halving([parameter], {"factor": 0.5})
    optimizer.step()
    assert parameter.item() == 0.5
    saved = optimizer.state_dict()
    assert saved == {"state": {0: {"count": 1}}, "param_groups": [{"params": [0], "factor": 0.5}]}
    other = Halving([lt.ones(1).requires_grad_()], {"factor": 0.1})
    other.load_state_dict(saved)
    other.step()
    assert other.state_dict()["state"] == {0: {"count": 2}}
    assert other.param_groups[0]["factor"] == 0.5
