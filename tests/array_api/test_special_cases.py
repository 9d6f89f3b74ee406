"""What the standard's "special cases" say where libtorch's own operators say otherwise."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import libtorch_ffi as lt

INF, NAN = math.inf, math.nan

REAL: list[tuple[str, tuple[float, float], float]] = [
    ("floor_divide", (INF, 2.0), INF),
    ("floor_divide", (INF, -2.0), -INF),
    ("floor_divide", (-INF, 2.0), -INF),
    ("floor_divide", (1.5, -INF), -0.0),
    ("floor_divide", (-1.5, INF), -0.0),
    ("floor_divide", (1.5, INF), 0.0),
    ("floor_divide", (INF, INF), NAN),
    ("floor_divide", (NAN, INF), NAN),
    ("floor_divide", (-7.0, 2.0), -4.0),
    ("floor_divide", (1.0, 0.1), 9.0),
    ("remainder", (0.0, -2.0), -0.0),
    ("remainder", (-0.0, 2.0), 0.0),
    ("remainder", (4.0, -2.0), -0.0),
    ("remainder", (-4.0, 2.0), 0.0),
    ("remainder", (-7.0, 2.0), 1.0),
    ("remainder", (7.0, -2.0), -1.0),
    ("remainder", (1.0, 0.0), NAN),
    ("remainder", (-1.5, INF), INF),
]
COMPLEX: list[tuple[str, complex, complex]] = [
    ("acos", complex(0.0, 0.0), complex(math.pi / 2, -0.0)),
    ("acos", complex(0.5, -0.0), complex(math.pi / 3, 0.0)),
    ("acos", complex(2.0, 0.0), complex(0.0, -math.acosh(2))),
    ("acos", complex(2.0, -0.0), complex(0.0, math.acosh(2))),
    ("acos", complex(-INF, 1.0), complex(math.pi, -INF)),
    ("acos", complex(1.0, NAN), complex(NAN, NAN)),
    ("acos", complex(1e10, 1e10), complex(math.pi / 4, -24.065439)),
    ("asin", complex(-0.0, 0.0), complex(-0.0, 0.0)),
    ("asin", complex(0.0, -0.0), complex(0.0, -0.0)),
    ("asin", complex(1e10, -1e10), complex(math.pi / 4, -24.065439)),
    ("asin", complex(2.0, 0.0), complex(math.pi / 2, math.acosh(2))),
    ("asin", complex(INF, 0.0), complex(math.pi / 2, INF)),
    ("atan", complex(0.0, -0.0), complex(0.0, -0.0)),
    ("atan", complex(-1e30, 1e30), complex(-math.pi / 2, 5e-31)),
    ("atan", complex(1.0, 1.0), complex(1.0172220, 0.40235948)),
    ("exp", complex(INF, 0.0), complex(INF, 0.0)),
    ("exp", complex(-INF, INF), complex(0.0, 0.0)),
    ("exp", complex(-INF, NAN), complex(0.0, 0.0)),
    ("exp", complex(INF, INF), complex(INF, NAN)),
    ("exp", complex(INF, NAN), complex(INF, NAN)),
    ("exp", complex(NAN, 0.0), complex(NAN, 0.0)),
    ("exp", complex(INF, 1.0), complex(INF, INF)),
    ("exp", complex(1.0, math.pi), complex(-math.e, 3e-16)),
    ("expm1", complex(-0.0, 0.0), complex(0.0, 0.0)),
    ("expm1", complex(0.0, -0.0), complex(0.0, -0.0)),
    ("expm1", complex(INF, 0.0), complex(INF, 0.0)),
    ("expm1", complex(-INF, INF), complex(-1.0, 0.0)),
    ("expm1", complex(-INF, NAN), complex(-1.0, 0.0)),
    ("expm1", complex(INF, INF), complex(INF, NAN)),
    ("expm1", complex(INF, NAN), complex(INF, NAN)),
    ("expm1", complex(NAN, 0.0), complex(NAN, 0.0)),
    ("expm1", complex(NAN, 1.0), complex(NAN, NAN)),
    ("expm1", complex(0.0, math.pi), complex(-2.0, math.sin(math.pi))),
    ("log1p", complex(INF, NAN), complex(INF, NAN)),
    ("log1p", complex(NAN, -INF), complex(INF, NAN)),
    ("log1p", complex(1e-20, INF), complex(INF, math.pi / 2)),
    ("log1p", complex(-INF, 1.0), complex(INF, math.pi)),
    ("log1p", complex(NAN, 1.0), complex(NAN, NAN)),
]


def same(found: float, expected: float) -> bool:
    """Tell whether two numbers are alike, with the signs of zeros, up to what float32 cannot say."""
    if math.isnan(expected):
        return math.isnan(found)
    if expected == 0:
        return found == 0 and math.copysign(1, found) == math.copysign(1, expected)
    return math.isclose(found, expected, rel_tol=1e-5, abs_tol=1e-6)


@pytest.mark.parametrize("dtype", [lt.float32, lt.float64])
@pytest.mark.parametrize(("name", "operands", "expected"), REAL)
def test_reals(name: str, operands: tuple[float, float], expected: float, dtype: lt.dtype) -> None:
    function = getattr(lt.array_api, name)
    first, second = (lt.tensor(operand, dtype=dtype) for operand in operands)
    results = [function(first, second), function(first, operands[1]), function(operands[0], second)]
    results += function(first.repeat(9), second).unbind()
    assert {result.dtype for result in results} == {dtype}
    assert [float(result) for result in results if not same(float(result), expected)] == []


@pytest.mark.parametrize("dtype", [lt.complex64, lt.complex128])
@pytest.mark.parametrize(("name", "operand", "expected"), COMPLEX)
def test_complex(name: str, operand: complex, expected: complex, dtype: lt.dtype) -> None:
    x = lt.tensor(operand, dtype=dtype)
    results = [getattr(lt.array_api, name)(x), *getattr(lt.array_api, name)(x.repeat(9)).unbind()]
    assert {result.dtype for result in results} == {dtype}
    found = [complex(result) for result in results]
    assert [
        number for number in found if not (same(number.real, expected.real) and same(number.imag, expected.imag))
    ] == []


def test_whole_numbers_are_divided_as_before() -> None:
    x = lt.tensor([-7, 7, 0])
    assert lt.array_api.floor_divide(x, 2).tolist() == [-4, 3, 0]
    assert lt.array_api.remainder(x, -2).tolist() == [-1, -1, 0]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("acos", [0.5 + 0j, 0.5 - 0.25j, -2 + 1j]),
        ("asin", [0.5 + 0j, 0.5 - 0.25j, -2 + 1j]),
        ("atan", [0.5 + 0j, 0.5 - 0.25j, -2 + 1j]),
        ("expm1", [0j, 0.5 + 0j, 1j]),
        ("log1p", [0j, 1 + 0j, 1j]),
    ],
)
def test_gradients_of_complex_numbers_are_the_operators(name: str, values: list[complex]) -> None:
    gradients = []
    for namespace in (lt.array_api, lt):
        x = lt.tensor(values, dtype=lt.complex128, requires_grad=True)
        lt.view_as_real(getattr(namespace, name)(x)).sum(-1).sum().backward()
        gradients.append(x.grad)
    assert lt.allclose(*gradients)


def test_gradients_at_zeros() -> None:
    x = lt.tensor([4.0, 5.0, -4.0], requires_grad=True)
    lt.array_api.remainder(x, -2.0).sum().backward()
    assert x.grad is not None
    assert lt.equal(x.grad, lt.ones(3))


# Complex numbers that are the same


@pytest.mark.parametrize("dtype", [lt.complex64, lt.complex128])
def test_distinct_complex_numbers(dtype: lt.dtype) -> None:
    elements = np.array([[2 + 1j, 1 + 5j, 2 - 1j], [1 + 5j, complex(-0.0, 0.0), 0j]], dtype=np.complex64)
    x = lt.tensor(elements, dtype=dtype)
    values, indices, inverse, counts = lt.array_api.unique_all(x)
    expected = np.unique(elements, return_index=True, return_inverse=True, return_counts=True)
    assert values.dtype == dtype
    assert [values.tolist(), indices.tolist()] == [expected[0].tolist(), expected[1].tolist()]
    assert counts.tolist() == expected[3].tolist()
    assert lt.equal(values[inverse], x)
    assert lt.array_api.unique_values(x).tolist() == values.tolist()
    assert [part.tolist() for part in lt.array_api.unique_counts(x)] == [values.tolist(), counts.tolist()]
    assert lt.equal(lt.array_api.unique_inverse(x).inverse_indices, inverse)


def test_no_number_is_like_another() -> None:
    x = lt.tensor([complex(NAN, 1), complex(1, NAN), complex(1, NAN), 1j, 1j])
    found = lt.array_api.unique_all(x)
    assert found.values.shape == (4,)
    assert sorted(found.counts.tolist()) == [1, 1, 1, 2]
    assert sorted(found.indices.tolist()) == [0, 1, 2, 3]


def test_nothing_is_distinct_in_nothing() -> None:
    found = lt.array_api.unique_all(lt.ones((0, 2), dtype=lt.complex64))
    assert [tuple(part.shape) for part in found] == [(0,), (0,), (0, 2), (0,)]


# Promotion

INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


@pytest.mark.parametrize(("first", "second"), [*itertools.product(INTEGERS, repeat=2)])
def test_integers_are_promoted_as_the_standard_has_it(strict: Any, first: str, second: str) -> None:
    xp, pair = lt.array_api, (getattr(lt, first), getattr(lt, second))
    try:
        expected = str(strict.result_type(getattr(strict, first), getattr(strict, second))).rpartition(".")[2]
    except TypeError:
        with pytest.raises(TypeError, match=rf"{first} and torch\.{second}: cast one of the two"):
            xp.result_type(*pair)
        assert not xp.can_cast(*pair)
        return
    assert xp.result_type(*pair) == getattr(lt, expected)
    assert xp.can_cast(*pair) == (expected == second)


def test_large_unsigned_numbers_are_joined_with_others() -> None:
    joined = lt.array_api.concat([lt.tensor([65535], dtype=lt.uint16), lt.tensor([-1], dtype=lt.int8)])
    assert joined.dtype == lt.int32
    assert joined.tolist() == [65535, -1]
