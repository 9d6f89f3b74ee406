"""nn.functional, nn.init and nn.utils: torch's values, gradients, random numbers and errors, program by program."""

from __future__ import annotations

import ast
import inspect
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import twins

import libtorch_ffi as lt
from libtorch_ffi import nn

if TYPE_CHECKING:
    from types import ModuleType

GIVEN = {
    "v": "m.linspace(-3, 3, 12)",
    "x": "m.linspace(-2, 2, 24).reshape(2, 3, 4)",
    "im": "m.linspace(-1, 1, 2 * 3 * 6 * 5).sin().reshape(2, 3, 6, 5)",
    "vol": "m.linspace(-1, 1, 2 * 2 * 4 * 4 * 4).cos().reshape(2, 2, 4, 4, 4)",
    "logits": "m.linspace(-2, 3, 20).sin().reshape(4, 5)",
    "p": "m.linspace(0.1, 0.9, 20).reshape(4, 5)",
    "q": "m.linspace(0.8, 0.2, 20).reshape(4, 5)",
    "y": "m.tensor([1, 0, 4, 2])",
    "sign": "m.tensor([1.0, -1.0, 1.0, -1.0])",
    "w3": "m.tensor([0.5, 1.0, 2.0])",
    "w5": "m.linspace(0.2, 1, 5)",
    "table": "m.linspace(-1, 1, 28).reshape(7, 4)",
    "rows": "m.tensor([[1, 2, 4], [6, 3, 2]])",
}
"""The tensors that the programs name; those that float require gradients."""

PROGRAMS = Path(__file__).with_name("programs") / "functional.txt"
LINES = [line for line in PROGRAMS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def _outcomes(line: str, module: ModuleType) -> dict[str, object]:
    whole = ast.parse(f"({line}\n)", mode="eval").body
    parts = whole.elts if isinstance(whole, ast.Tuple) else [whole]
    return {program: _outcome(program, module) for program in map(ast.unparse, parts)}


def _outcome(program: str, module: ModuleType) -> object:
    """What a program answers, the gradients that reach what was given, and the warnings; or its exception."""
    module.manual_seed(11)
    names: dict[str, Any] = {"m": module, "F": module.nn.functional, "math": math}
    for name, text in GIVEN.items():
        names[name] = eval(text, names)
        if names[name].is_floating_point():
            names[name].requires_grad_()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = eval(program, names)
        except Exception as error:  # noqa: BLE001 - whichever it is, it is the outcome
            return f"raises {type(error).__name__}"
    told = [warning.category.__name__ for warning in caught]
    gradients = {}
    first = answer[0] if isinstance(answer, tuple) else answer
    if type(first).__name__ == "Tensor" and first.grad_fn is not None and first.is_floating_point():
        first.double().sin().sum().backward()
        gradients = {name: twins.reduced(names[name].grad) for name in GIVEN if names[name].grad is not None}
    return twins.reduced(answer), gradients, told


@pytest.mark.parametrize("line", LINES)
def test_programs_answer_what_torch_answers(line: str, torch: ModuleType) -> None:
    theirs = _outcomes(line, torch)
    assert _outcomes(line, lt) == theirs


def test_signatures_are_torchs(torch: ModuleType) -> None:
    """Of every function that is written in Python here: the same names, in the same order, with the same defaults."""
    compared = 0
    for ours, theirs in ((nn.functional, torch.nn.functional), (nn.init, torch.nn.init), (nn.utils, torch.nn.utils)):
        for name in ours.__all__:
            function = getattr(theirs, name)
            try:
                expected = inspect.signature(function)
            except ValueError:
                continue
            if any(kind in str(expected) for kind in ("*args", "**kwargs")):
                continue  # a wrapper of torch's, which does not say
            parameters = [
                (p.name, p.default, p.kind) for p in inspect.signature(getattr(ours, name)).parameters.values()
            ]
            assert parameters == [(p.name, p.default, p.kind) for p in expected.parameters.values()], name
            compared += 1
    assert compared > 60


def test_every_name_is_torchs(torch: ModuleType) -> None:
    names = dir(nn.functional)
    assert "gelu" in names
    assert "softmax" in names
    assert [name for name in names if not hasattr(torch.nn.functional, name)] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    for module in (nn, nn.functional):
        with pytest.raises(AttributeError, match="has no attribute 'frobnicate'"):
            module.frobnicate  # noqa: B018
    assert "conv2d" in dir(nn.functional)
    assert "functional" in dir(nn)


def _with_gradients(module: Any) -> list[Any]:
    parameters = [module.ones(3), module.ones(2, 2), module.ones(1), module.ones(2, dtype=module.float64)]
    for number, parameter in enumerate(parameters):
        parameter.requires_grad_()
        if number != 2:
            (parameter * (number + 1)).pow(2).sum().backward()
    return parameters


CLIPS = [(1.0,), (1.0, 1.0), (0.5, math.inf), (1e9,), (2.0, 3.0)]


@pytest.mark.parametrize("arguments", CLIPS)
def test_clip_grad_norm(arguments: tuple[float, ...], torch: ModuleType) -> None:
    sides = []
    for module in (lt, torch):
        parameters = _with_gradients(module)
        total = module.nn.utils.clip_grad_norm_(iter(parameters), *arguments)
        sides.append((twins.reduced(total), [None if p.grad is None else p.grad.tolist() for p in parameters]))
    assert sides[0] == sides[1]


def test_clip_grad_norm_bounds_the_norm() -> None:
    parameters = _with_gradients(lt)
    before = nn.utils.clip_grad_norm_(parameters, 0.5)
    after = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    assert before.item() > 0.5
    assert after.item() == pytest.approx(0.5, rel=1e-4)
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0.0


def test_clip_grad_norm_refuses_what_is_not_finite() -> None:
    parameter = lt.ones(2).requires_grad_()
    parameter.grad = lt.tensor([math.inf, 1.0])
    with pytest.raises(RuntimeError, match="is non-finite, so it cannot be clipped"):
        nn.utils.clip_grad_norm_(parameter, 1.0, error_if_nonfinite=True)
    assert parameter.grad.tolist() == [math.inf, 1.0]


def test_clip_grad_value() -> None:
    parameters = _with_gradients(lt)
    nn.utils.clip_grad_value_(parameters, 5)
    gradients = [None if p.grad is None else p.grad.flatten().tolist() for p in parameters]
    assert gradients == [[2.0] * 3, [5.0] * 4, None, [5.0] * 2]


def test_batch_norm_follows_the_batch() -> None:
    mean, var = lt.zeros(2), lt.ones(2)
    x = lt.tensor([[1.0, 2.0], [3.0, 6.0]])
    nn.functional.batch_norm(x, mean, var, training=True, momentum=0.5)
    assert mean.tolist() == [1.0, 2.0]
    assert var.tolist() == [1.5, 4.5]


def test_padding_that_is_no_row_is_refused() -> None:
    """torch asserts it."""
    with pytest.raises(ValueError, match="there are 3, but got 3"):
        nn.functional.embedding(lt.tensor([1]), lt.ones(3, 4), padding_idx=3)


def test_a_table_is_scaled_in_place() -> None:
    table = lt.full((3, 4), 2.0).requires_grad_()
    rows = nn.functional.embedding(lt.tensor([1]), table, max_norm=1.0)
    assert rows.norm().item() == pytest.approx(1.0, rel=1e-5)
    assert [round(norm, 4) for norm in table.norm(dim=1).tolist()] == [4.0, 1.0, 4.0]
