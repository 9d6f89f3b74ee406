"""Schedules: torch's rates to the last bit, states, and the order of the two steps."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt
from libtorch_ffi import optim
from libtorch_ffi.optim import lr_scheduler

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

EPOCHS = 25


def _falling(epoch: int) -> float:
    return 1 / (1 + epoch)


SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "StepLR": ("StepLR", {"step_size": 3}),
    "StepLR gamma": ("StepLR", {"step_size": 1, "gamma": 0.7}),
    "MultiStepLR": ("MultiStepLR", {"milestones": [2, 5, 5, 9], "gamma": 0.3}),
    "ConstantLR": ("ConstantLR", {"factor": 0.3, "total_iters": 4}),
    "LinearLR": ("LinearLR", {"start_factor": 0.1, "total_iters": 7}),
    "LinearLR down": ("LinearLR", {"start_factor": 1.0, "end_factor": 0.25, "total_iters": 6}),
    "ExponentialLR": ("ExponentialLR", {"gamma": 0.9}),
    "CosineAnnealingLR": ("CosineAnnealingLR", {"T_max": 5}),
    "CosineAnnealingLR eta_min": ("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.01}),
    "OneCycleLR": ("OneCycleLR", {"max_lr": 0.1, "total_steps": 25}),
    "OneCycleLR of two": ("OneCycleLR", {"max_lr": [0.1, 0.3], "epochs": 5, "steps_per_epoch": 6, "pct_start": 0.5}),
    "OneCycleLR linear": ("OneCycleLR", {"max_lr": 1.0, "total_steps": 40, "anneal_strategy": "linear"}),
    "OneCycleLR three phases": ("OneCycleLR", {"max_lr": 1.0, "total_steps": 25, "three_phase": True}),
    "OneCycleLR, momentum stays": ("OneCycleLR", {"max_lr": 1.0, "total_steps": 30, "cycle_momentum": False}),
    "CosineAnnealingWarmRestarts": ("CosineAnnealingWarmRestarts", {"T_0": 4}),
    "CosineAnnealingWarmRestarts longer": ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 3, "eta_min": 0.01}),
    "PolynomialLR": ("PolynomialLR", {"total_iters": 9, "power": 2.0}),
    "LambdaLR": ("LambdaLR", {"lr_lambda": _falling}),
    "LambdaLR of two": ("LambdaLR", {"lr_lambda": [_falling, lambda epoch: 0.95**epoch]}),
}


def both_groups(module: Any) -> Any:
    groups = [{"params": [module.ones(1)]}, {"params": [module.ones(1)], "lr": 0.3}]
    optimizer = module.optim.SGD(groups, lr=0.1)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_torchs(name: str, torch: ModuleType) -> None:
    kind, options = SCHEDULES[name]
    sides = []
    for module, schedules in ((lt, lr_scheduler), (torch, torch.optim.lr_scheduler)):
        optimizer = both_groups(module)
        schedule = getattr(schedules, kind)(optimizer, **options)
        rates = [schedule.get_last_lr()]
        for _ in range(EPOCHS):
            optimizer.step()
            schedule.step()
            rates.append(schedule.get_last_lr())
        assert [group["lr"] for group in optimizer.param_groups] == rates[-1]
        sides.append(rates)
    assert sides[0] == sides[1]


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_saved_schedule_goes_on(name: str) -> None:
    kind, options = SCHEDULES[name]
    optimizer = both_groups(lt)
    schedule = getattr(lr_scheduler, kind)(optimizer, **options)
    for _ in range(4):
        schedule.step()
    other = both_groups(lt)
    again = getattr(lr_scheduler, kind)(other, **options)
    again.load_state_dict(copy.deepcopy(schedule.state_dict()))
    other.load_state_dict(optimizer.state_dict())
    for _ in range(8):
        schedule.step()
        again.step()
        assert again.get_last_lr() == schedule.get_last_lr()


@pytest.mark.parametrize("kind", ["SGD", "AdamW", "RMSprop"])
@pytest.mark.parametrize("options", [{}, {"three_phase": True}, {"anneal_strategy": "linear", "max_momentum": 0.99}])
def test_one_cycle_moves_momentum_and_parameters_as_torch_does(
    kind: str, options: dict[str, Any], torch: ModuleType
) -> None:
    sides = []
    for module, schedules in ((lt, lr_scheduler), (torch, torch.optim.lr_scheduler)):
        parameter = module.ones(3).requires_grad_()
        extra = {} if kind == "AdamW" else {"momentum": 0.5}
        optimizer = getattr(module.optim, kind)([parameter], lr=0.1, **extra)
        schedule = schedules.OneCycleLR(optimizer, max_lr=0.2, total_steps=12, **options)
        seen = []
        for _ in range(12):
            optimizer.zero_grad()
            (parameter * parameter).sum().backward()
            optimizer.step()
            schedule.step()
            [group] = optimizer.param_groups
            seen.append((group["lr"], group.get("momentum", group.get("betas")), parameter.tolist()))
        sides.append(seen)
    assert [step[:2] for step in sides[0]] == [step[:2] for step in sides[1]]
    for ours, theirs in zip(*sides, strict=True):
        assert ours[2] == pytest.approx(theirs[2], rel=1e-6)


def test_one_cycle_ends() -> None:
    optimizer = optim.SGD([lt.ones(1)], momentum=0.9)
    optimizer.step()
    schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=2, pct_start=0.5)
    assert optimizer.param_groups[0]["momentum"] == 0.85  # a way up of no steps ends at its end
    assert schedule.get_last_lr() == [1.0]
    schedule.step()
    schedule.step()
    with pytest.raises(ValueError, match=r"Tried to step 3 times. The specified number of total steps is 2"):
        schedule.step()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either total_steps OR"),
        ({"epochs": 3}, "either total_steps OR"),
        ({"total_steps": 0}, "positive integer total_steps, but got 0"),
        ({"epochs": 2.5, "steps_per_epoch": 2}, "positive integer epochs, but got 2.5"),
        ({"total_steps": 5, "pct_start": 1.5}, "between 0 and 1 pct_start, but got 1.5"),
        ({"total_steps": 5, "anneal_strategy": "round"}, "one of 'cos' or 'linear', instead got round"),
        ({"total_steps": 5, "max_lr": [1.0, 2.0]}, "max_lr must have the same length"),
    ],
)
def test_one_cycle_refuses_bad_options(options: dict[str, Any], message: str) -> None:
    optimizer = optim.SGD([lt.ones(1)])
    with pytest.raises(ValueError, match=message):
        lr_scheduler.OneCycleLR(optimizer, **{"max_lr": 0.1, **options})


def test_one_cycle_needs_a_momentum() -> None:
    optimizer = optim.Adagrad([lt.ones(1)])
    with pytest.raises(ValueError, match="must support momentum or beta1"):
        lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5)
    assert lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5, cycle_momentum=False).get_last_lr() == [
        pytest.approx(0.1 / 25)
    ]


PLATEAUS: dict[str, dict[str, Any]] = {
    "min": {},
    "max": {"mode": "max"},
    "abs": {"threshold_mode": "abs", "threshold": 0.5, "cooldown": 2},
    "max abs": {"mode": "max", "threshold_mode": "abs", "threshold": 0.5, "min_lr": [0.05, 0.001]},
    "eager": {"patience": 0, "factor": 0.5, "min_lr": 0.01, "eps": 0.004},
}


@pytest.mark.parametrize("name", PLATEAUS)
def test_a_plateau_lowers_the_rate_as_torch_does(name: str, torch: ModuleType) -> None:
    figures = [5, 4, 4, 4, 4.2, 3.9, 3.9, 4, 4, 4, 1, 1, 1, 1, 1, 1, 2, 1, 3, 1, 1, 1]
    sides = []
    for module, schedules in ((lt, lr_scheduler), (torch, torch.optim.lr_scheduler)):
        schedule = schedules.ReduceLROnPlateau(both_groups(module), **{"patience": 2, **PLATEAUS[name]})
        rates = []
        for figure in figures:
            schedule.step(module.tensor(figure))
            rates.append(schedule.get_last_lr())
        sides.append(rates)
    assert sides[0] == sides[1]
    assert sides[0][-1] != sides[0][0]


def test_the_optimizer_steps_first() -> None:
    optimizer = optim.SGD([lt.ones(1)])
    schedule = lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match=r"before `optimizer.step\(\)`"):
        schedule.step()
    optimizer = optim.SGD([lt.ones(1)])
    schedule = lr_scheduler.StepLR(optimizer, 1)
    optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule.step()
    assert schedule.last_epoch == 1


def test_training_that_goes_on_needs_the_rate_that_it_began_with() -> None:
    optimizer = optim.SGD([lt.ones(1)], lr=0.5)
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.ExponentialLR(optimizer, 0.5, last_epoch=3)
    optimizer.param_groups[0]["initial_lr"] = 4.0
    assert lr_scheduler.LambdaLR(optimizer, _falling, last_epoch=0).get_last_lr() == [2.0]


def test_bad_input_is_refused() -> None:
    optimizer = optim.SGD([lt.ones(1)])
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        lr_scheduler.StepLR(3, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Expected 1 lr_lambdas, but got 2"):
        lr_scheduler.LambdaLR(optimizer, [_falling, _falling])
    with pytest.raises(ValueError, match="mode least is unknown"):
        lr_scheduler.ReduceLROnPlateau(optimizer, mode="least")
    with pytest.raises(ValueError, match="Factor should be < 1"):
        lr_scheduler.ReduceLROnPlateau(optimizer, factor=1.0)
    with pytest.raises(ValueError, match="expected 1 min_lrs, got 2"):
        lr_scheduler.ReduceLROnPlateau(optimizer, min_lr=[0.1, 0.2])
    with pytest.raises(ValueError, match="greater than 0"):
        lr_scheduler.LinearLR(optimizer, start_factor=0.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        lr_scheduler.ConstantLR(optimizer, factor=2.0)


COMPOSED: dict[str, Callable[[Any, Any], Any]] = {
    "warm-up, then a cosine": lambda schedules, optimizer: schedules.SequentialLR(
        optimizer,
        [schedules.LinearLR(optimizer, 0.1, total_iters=4), schedules.CosineAnnealingLR(optimizer, 10, 0.001)],
        [4],
    ),
    "three": lambda schedules, optimizer: schedules.SequentialLR(
        optimizer,
        [
            schedules.ConstantLR(optimizer, 0.5, 2),
            schedules.CosineAnnealingWarmRestarts(optimizer, 3),
            schedules.ExponentialLR(optimizer, 0.9),
        ],
        [5, 12],
    ),
    "chained": lambda schedules, optimizer: schedules.ChainedScheduler(
        [schedules.ConstantLR(optimizer, 0.1, 3), schedules.ExponentialLR(optimizer, 0.9)]
    ),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_schedules_of_schedules_are_torchs(name: str, torch: ModuleType) -> None:
    sides = []
    for module, schedules in ((lt, lr_scheduler), (torch, torch.optim.lr_scheduler)):
        optimizer = both_groups(module)
        schedule = COMPOSED[name](schedules, optimizer)
        rates = [schedule.get_last_lr()]
        for _ in range(EPOCHS):
            optimizer.step()
            schedule.step()
            rates.append(schedule.get_last_lr())
            assert rates[-1] == [group["lr"] for group in optimizer.param_groups]
        sides.append(rates)
    for ours, theirs in zip(*sides, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12)  # torch begins the second by a closed form


@pytest.mark.parametrize("name", COMPOSED)
def test_a_saved_schedule_of_schedules_goes_on(name: str) -> None:
    optimizer = both_groups(lt)
    schedule = COMPOSED[name](lr_scheduler, optimizer)
    for _ in range(6):
        schedule.step()
    state, rates = copy.deepcopy(schedule.state_dict()), copy.deepcopy(optimizer.state_dict())
    after = [schedule.step() or schedule.get_last_lr() for _ in range(EPOCHS)]
    other = both_groups(lt)
    fresh = COMPOSED[name](lr_scheduler, other)
    fresh.load_state_dict(state)
    other.load_state_dict(rates)
    assert [fresh.step() or fresh.get_last_lr() for _ in range(EPOCHS)] == after


def test_a_restart_is_told_fractions_of_an_epoch(torch: ModuleType) -> None:
    sides = []
    for module, schedules in ((lt, lr_scheduler), (torch, torch.optim.lr_scheduler)):
        schedule = schedules.CosineAnnealingWarmRestarts(both_groups(module), 3, 2)
        rates = []
        for epoch in (0.25, 1.5, 2.75, 3.25, 8.5, 9.0, 20.125):
            schedule.step(epoch)
            rates.append(schedule.get_last_lr())
        sides.append(rates)
    assert sides[0] == sides[1]


def test_schedules_that_do_not_fit_together_are_refused() -> None:
    optimizer, other = both_groups(lt), both_groups(lt)
    steps = [lr_scheduler.StepLR(optimizer, 2), lr_scheduler.StepLR(other, 2)]
    with pytest.raises(ValueError, match="schedule 1 is of another optimizer"):
        lr_scheduler.SequentialLR(optimizer, steps, [3])
    with pytest.raises(ValueError, match="number of schedulers 1 and the number of milestones to be equal to 1"):
        lr_scheduler.SequentialLR(optimizer, steps[:1], [3])
    with pytest.raises(ValueError, match="at least one"):
        lr_scheduler.ChainedScheduler([])
    plateau: Any = lr_scheduler.ReduceLROnPlateau(optimizer)
    with pytest.raises(TypeError, match="schedule 0 is ReduceLROnPlateau"):
        lr_scheduler.ChainedScheduler([plateau])
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match=f"T_0 is a positive int, not {wrong}"):
            lr_scheduler.CosineAnnealingWarmRestarts(optimizer, wrong)  # type: ignore[arg-type]
