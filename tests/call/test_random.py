"""Random numbers: torch's own for the same seed, generators, states."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

DRAWS: dict[str, Callable[[Any], Any]] = {
    "rand": lambda m: m.rand(5),
    "rand of two sizes": lambda m: m.rand(2, 33),
    "rand float64": lambda m: m.rand(7, dtype=m.float64),
    "rand bfloat16": lambda m: m.rand(7, dtype=m.bfloat16),
    "rand_like": lambda m: m.rand_like(m.ones(3, 2)),
    "randn": lambda m: m.randn(5),
    "randn vectorized": lambda m: m.randn(100),
    "randn complex": lambda m: m.randn(4, dtype=m.complex64),
    "randn_like": lambda m: m.randn_like(m.ones(3, 2)),
    "randint": lambda m: m.randint(10, (4,)),
    "randint of an interval": lambda m: m.randint(-5, 5, (3, 3)),
    "randint_like": lambda m: m.randint_like(m.ones(3), 7),
    "randperm": lambda m: m.randperm(50),
    "normal_": lambda m: m.empty(20).normal_(2.0, 3.0),
    "normal of tensors": lambda m: m.normal(m.zeros(4), m.ones(4)),
    "normal of numbers": lambda m: m.normal(0.0, 1.0, (4,)),
    "uniform_": lambda m: m.empty(20).uniform_(-1, 1),
    "exponential_": lambda m: m.empty(20).exponential_(2.0),
    "cauchy_": lambda m: m.empty(20).cauchy_(),
    "log_normal_": lambda m: m.empty(20).log_normal_(),
    "geometric_": lambda m: m.empty(20).geometric_(0.3),
    "random_": lambda m: m.empty(20, dtype=m.int64).random_(0, 100),
    "bernoulli": lambda m: m.bernoulli(m.full((20,), 0.3)),
    "bernoulli_": lambda m: m.empty(20).bernoulli_(0.7),
    "poisson": lambda m: m.poisson(m.full((20,), 4.0)),
    "binomial": lambda m: m.binomial(m.full((20,), 10.0), m.full((20,), 0.5)),
    "multinomial": lambda m: m.multinomial(m.tensor([0.1, 0.2, 0.7]), 20, replacement=True),
    "multinomial without replacement": lambda m: m.multinomial(m.ones(20), 5),
    "dropout": lambda m: m.dropout(m.ones(40), 0.5, True),
    "rrelu": lambda m: m.rrelu(-m.ones(10), 0.1, 0.3, True),
    "standard gamma": lambda m: m._standard_gamma(m.ones(10)),
}
"""Draws of many kinds, which both modules make."""


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("seed", [0, 1234, -7, 2**63 + 5])
def test_the_same_seed_gives_torchs_numbers(name: str, seed: int, torch: ModuleType) -> None:
    answers = []
    for module in (torch, lt):
        module.manual_seed(seed)
        answers.append([DRAWS[name](module).tolist() for _ in range(2)])
    assert answers[0] == answers[1]


GENERATOR_DRAWS: dict[str, Callable[[Any, Any], Any]] = {
    "rand": lambda m, g: m.rand(2, 3, generator=g),
    "randn": lambda m, g: m.randn(3, generator=g),
    "randn of a list": lambda m, g: m.randn([3], generator=g),
    "randint": lambda m, g: m.randint(10, (4,), generator=g),
    "randint of an interval": lambda m, g: m.randint(2, 10, (4,), generator=g),
    "randperm": lambda m, g: m.randperm(9, generator=g),
    "normal": lambda m, g: m.normal(0.0, 2.0, (3,), generator=g),
    "normal_": lambda m, g: m.empty(3).normal_(generator=g),
    "uniform_": lambda m, g: m.empty(3).uniform_(0, 2, generator=g),
    "bernoulli": lambda m, g: m.bernoulli(m.full((9,), 0.5), generator=g),
    "multinomial": lambda m, g: m.multinomial(m.ones(9), 3, generator=g),
}


@pytest.mark.parametrize("name", GENERATOR_DRAWS)
def test_generators_give_torchs_numbers(name: str, torch: ModuleType) -> None:
    answers = []
    for module in (torch, lt):
        generator = module.Generator().manual_seed(11)
        module.manual_seed(0)
        before = module.get_rng_state().tolist()
        answers.append([GENERATOR_DRAWS[name](module, generator).tolist() for _ in range(2)])
        assert module.get_rng_state().tolist() == before
    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_repeats_itself(name: str) -> None:
    lt.manual_seed(5)
    first = DRAWS[name](lt).tolist()
    lt.manual_seed(5)
    assert DRAWS[name](lt).tolist() == first


def test_seeds() -> None:
    assert lt.manual_seed(42) is not None
    assert lt.initial_seed() == 42
    assert lt.manual_seed(-1).initial_seed() == 2**64 - 1
    assert lt.manual_seed(3.0).initial_seed() == 3
    found = lt.seed()
    assert lt.initial_seed() == found
    for wrong in (2**64, -(2**63) - 1):
        with pytest.raises(ValueError, match="seed"):
            lt.manual_seed(wrong)
    with pytest.raises(TypeError):
        lt.manual_seed(None)


def test_states() -> None:
    lt.manual_seed(1)
    state = lt.get_rng_state()
    assert (state.dtype, state.dim()) == (lt.uint8, 1)
    first = lt.rand(3).tolist()
    lt.set_rng_state(state)
    assert lt.rand(3).tolist() == first
    with pytest.raises(TypeError):
        lt.set_rng_state(lt.ones(3))
    with pytest.raises(RuntimeError):
        lt.set_rng_state(lt.zeros(3, dtype=lt.uint8))


def test_a_generator() -> None:
    generator = lt.Generator()
    assert generator.device == lt.device("cpu")
    assert generator.manual_seed(9) is generator
    assert generator.initial_seed() == 9
    state = generator.get_state()
    first = lt.rand(3, generator=generator).tolist()
    copied = generator.clone_state()
    assert lt.rand(3, generator=generator).tolist() == lt.rand(3, generator=copied).tolist()
    assert generator.set_state(state) is generator
    assert lt.rand(3, generator=generator).tolist() == first
    assert generator.seed() == generator.initial_seed()
    with pytest.raises(TypeError, match="device"):
        lt.Generator(3.5)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        lt.Generator("cuda" if not lt.cuda.is_available() else "xpu")


def test_the_default_generator() -> None:
    generator = lt.default_generator
    assert lt.random.default_generator == generator
    generator.manual_seed(8)
    assert lt.initial_seed() == 8
    assert lt.rand(2, generator=generator).shape == (2,)


def _pickled(generator: Any) -> Any:
    return pickle.loads(pickle.dumps(generator))


@pytest.mark.parametrize("copies", [_pickled, copy.deepcopy])
def test_generators_travel(copies: Callable[[Any], Any]) -> None:
    generator = lt.Generator().manual_seed(4)
    lt.rand(3, generator=generator)
    other = copies(generator)
    assert lt.rand(3, generator=generator).tolist() == lt.rand(3, generator=other).tolist()


def test_a_fork_leaves_no_trace() -> None:
    lt.manual_seed(2)
    expected = lt.rand(2).tolist()
    lt.manual_seed(2)
    with lt.random.fork_rng():
        lt.rand(100)
        lt.manual_seed(77)
    assert lt.rand(2).tolist() == expected
    with lt.random.fork_rng(enabled=False):
        lt.manual_seed(2)
    assert lt.rand(2).tolist() == expected


def test_a_generator_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(TypeError, match="generator"):
        lt.rand(3, generator=3)
