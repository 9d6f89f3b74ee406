"""Tensors print as torch prints them."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

SHAPES = [(), (1,), (5,), (30,), (2, 3), (3, 1, 4), (1001,), (40, 40), (7, 1, 200), (0,), (2, 0), (20, 2, 3, 15)]
REALS = ["float16", "bfloat16", "float32", "float64"]
INTEGERS = ["int8", "uint8", "int16", "int32", "int64", "bool", "uint16", "uint32", "uint64"]
KINDS: dict[str, Callable[[random.Random], float]] = {
    "uniform": lambda r: r.random(),
    "normal": lambda r: r.gauss(0, 1),
    "large": lambda r: r.gauss(0, 1e5),
    "small": lambda r: r.gauss(0, 1e-6),
    "whole": lambda r: float(r.randint(-50, 50)),
    "wide": lambda r: 10 ** r.uniform(-9, 9),
    "large whole": lambda r: float(r.randint(-(10**9), 10**9)),
    "special": lambda r: r.choice([0.0, -0.0, 1.0, 2.5, math.inf, -math.inf, math.nan, 1e-3]),
    "special whole": lambda r: r.choice([0.0, -0.0, 1.0, 2.0, math.inf, -math.inf, math.nan]),
}

FORMS = """
m.tensor([1., 2.], requires_grad=True)
m.tensor([1., 2.], requires_grad=True) * 2
(m.ones(3, 4, requires_grad=True) @ m.ones(4, 5)).sum()
m.ones(30, requires_grad=True).exp()
m.ones(2, requires_grad=True)[0]
m.empty(2, 3, device='meta')
m.empty(2, 3, device='meta', dtype=m.float64)
m.empty(0, 3, dtype=m.int64)
m.tensor([[[]]])
m.eye(3).to_sparse()
m.eye(3, requires_grad=True).to_sparse()
m.zeros(3, 3).to_sparse()
m.tensor(1 + 2j).conj()
m.tensor([1 + 2j, 3]).conj().imag
m.ones(3).to(m.float8_e4m3fn)
m.ones(3).to(m.float8_e5m2)
m._efficientzerotensor((2,))
m.tensor(True)
m.tensor(float('nan'))
m.ones(2, 3).T
m.tensor([1e-45, 1.])
m.tensor([1., float('inf')], dtype=m.float64)
m.Size([1, 2])
m.float32
m.zeros(2).device
[m.ones(2)]
m.ones(2, 2).max(dim=0)
m.ones(2, 2, requires_grad=True).sort()
""".strip().splitlines()

# Beside these, libtorch warns that they are in beta, or deprecated.
WARNING_FORMS = """
m.eye(3, dtype=m.float64).to_sparse_csr()
m.eye(3, dtype=m.float64).to_sparse_csc()
m.eye(4).to_sparse_bsr((2, 2))
m.zeros(3, 3).to_sparse_csr()
m.quantize_per_tensor(m.tensor([1., 2.]), 0.1, 3, m.quint8)
m.quantize_per_channel(m.ones(2, 2), m.tensor([0.1, 0.2]), m.tensor([1, 2]), 0, m.qint8)
m.ones(2, 2).to_mkldnn()
m._nested_tensor_from_tensor_list([m.ones(2), m.ones(2, 2)[0]])
""".strip().splitlines()

OPTIONS: list[dict[str, Any]] = [
    {"precision": 2},
    {"threshold": 3},
    {"threshold": 3, "edgeitems": 1},
    {"threshold": 3, "edgeitems": 0},
    {"linewidth": 30},
    {"sci_mode": True},
    {"sci_mode": False},
    {"profile": "short"},
    {"profile": "full"},
]
UNDER_OPTIONS = """
m.arange(10.) / 7
m.arange(1200.).reshape(3, 2, 200) / 7
m.arange(10)
m.arange(1200).reshape(20, 60)
m.tensor([1e-9, 1e9])
m.tensor([1., float('nan')])
m.tensor([0.])
m.complex(m.arange(5.) / 3, m.arange(5.) / 7)
m.tensor(1.5)
m.zeros(3)
m.eye(5).to_sparse()
""".strip().splitlines()


@pytest.fixture(autouse=True)
def default_options() -> Iterator[None]:
    yield
    lt.set_printoptions(profile="default")


def evaluate(form: str, module: ModuleType) -> object:
    return eval(form, {"m": module})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_floats(torch: ModuleType, kind: str, shape: tuple[int, ...]) -> None:
    source = random.Random(f"{kind}{shape}")
    values = [KINDS[kind](source) for _ in range(math.prod(shape))]
    for dtype in REALS:
        ours, theirs = (m.tensor(values, dtype=getattr(m, dtype)).reshape(shape) for m in (lt, torch))
        assert repr(ours) == repr(theirs), dtype


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_complex(torch: ModuleType, kind: str, shape: tuple[int, ...]) -> None:
    source = random.Random(f"{kind}{shape}")
    values = [complex(KINDS[kind](source), KINDS[kind](source)) for _ in range(math.prod(shape))]
    for dtype in ("complex32", "complex64", "complex128"):
        ours, theirs = (m.tensor(values, dtype=m.complex128).to(getattr(m, dtype)).reshape(shape) for m in (lt, torch))
        assert repr(ours) == repr(theirs), dtype


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_integers(torch: ModuleType, dtype: str, shape: tuple[int, ...]) -> None:
    source = random.Random(dtype)
    values = [source.randint(0, 100) for _ in range(math.prod(shape))]
    ours, theirs = (m.tensor(values, dtype=getattr(m, dtype)).reshape(shape) for m in (lt, torch))
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("form", FORMS)
def test_forms(torch: ModuleType, form: str) -> None:
    assert repr(evaluate(form, lt)) == repr(evaluate(form, torch))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", WARNING_FORMS)
def test_forms_that_warn(torch: ModuleType, form: str) -> None:
    assert repr(evaluate(form, lt)) == repr(evaluate(form, torch))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options(torch: ModuleType, options: dict[str, Any]) -> None:
    lt.set_printoptions(**options)
    torch.set_printoptions(**options)
    try:
        for form in UNDER_OPTIONS:
            assert repr(evaluate(form, lt)) == repr(evaluate(form, torch)), form
    finally:
        torch.set_printoptions(profile="default")


def test_without_torch() -> None:
    assert repr(lt.tensor([1.0, 2.5])) == "tensor([1.0000, 2.5000])"
    assert str(lt.tensor([[1, 20], [3, 4]])) == "tensor([[ 1, 20],\n        [ 3,  4]])"
    assert repr(lt.tensor(True)) == "tensor(True)"
    assert repr(lt.zeros(0, 2, dtype=lt.int32)) == "tensor([], size=(0, 2), dtype=torch.int32)"
    assert repr(lt.arange(1001)) == "tensor([   0,    1,    2,  ...,  998,  999, 1000])"
    assert repr(lt.ones(1, requires_grad=True) + 1) == "tensor([2.], grad_fn=<AddBackward0>)"


def test_the_default_dtype_is_not_named() -> None:
    lt.set_default_dtype(lt.float64)
    try:
        assert repr(lt.zeros(1)) == "tensor([0.])"
        assert repr(lt.zeros(1, dtype=lt.float32)) == "tensor([0.], dtype=torch.float32)"
    finally:
        lt.set_default_dtype(lt.float32)


def test_options_are_kept_and_answered() -> None:
    lt.set_printoptions(precision=2)
    lt.set_printoptions(edgeitems=1)
    assert lt.get_printoptions() == {
        "precision": 2,
        "threshold": 1000,
        "edgeitems": 1,
        "linewidth": 80,
        "sci_mode": None,
    }
    assert repr(lt.tensor(1.25)) == "tensor(1.25)"


def test_format() -> None:
    assert f"{lt.tensor(1.23456):.2f}" == "1.23"
    assert f"{lt.tensor(3)}" == "3"
    assert f"{lt.tensor([1, 2])}" == "tensor([1, 2])"
    with pytest.raises(TypeError):
        format(lt.tensor([1, 2]), ".2f")


def test_printing_records_nothing() -> None:
    x = lt.ones(3, requires_grad=True)
    version = x._version
    repr(x)
    assert x._version == version
    assert lt.is_grad_enabled()
