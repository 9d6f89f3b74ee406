"""The namespace against array_api_strict: names, signatures, dtypes, shapes and values."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import standard

import libtorch_ffi as lt

CALLS: dict[str, list[tuple[str, standard.Call]]] = {}
for _label, _call in standard.calls():
    CALLS.setdefault(_label.split()[0], []).append((_label, _call))

NEWER = {"broadcast_shapes", "isin"}
"""Names of the standard's next version."""


def parts(result: Any) -> list[Any]:
    """Return the arrays and values of a result, one after the other."""
    return [part for one in result for part in parts(one)] if isinstance(result, (tuple, list)) else [result]


def facts(value: Any) -> tuple[str, str, np.ndarray[Any, Any] | None]:
    """Return kind, dtype and elements; of what is no array or number, its name."""
    if hasattr(value, "shape"):
        elements = value.resolve_conj().numpy() if isinstance(value, lt.Tensor) else np.asarray(value)
        return "array", str(value.dtype).rpartition(".")[2], elements
    if isinstance(value, (bool, int, float, complex)):
        return "number", "", np.asarray(value)
    return str(value).rpartition(".")[2], "", None


def difference(result: Any, expected: Any) -> str:
    """Say how a result differs from the expected one; nothing where it does not."""
    pairs = list(zip(map(facts, parts(result)), map(facts, parts(expected)), strict=False))
    if len(parts(result)) != len(parts(expected)):
        return f"{len(parts(result))} parts for {len(parts(expected))}"
    for (kind, dtype, left), (other_kind, other_dtype, right) in pairs:
        if (kind, dtype) != (other_kind, other_dtype):
            return f"{kind} {dtype} for {other_kind} {other_dtype}"
        if left is None or right is None:
            continue
        if left.shape != right.shape or not np.allclose(left, right, rtol=1e-5, atol=1e-6, equal_nan=True):
            return f"{left} for {right}"
    return ""


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore")  # NumPy's, of what overflows or is no number
def test_results(strict: Any, name: str) -> None:
    failures, compared = [], 0
    for label, call in CALLS[name]:
        try:
            expected = call(strict)
        except (TypeError, ValueError):
            continue  # the standard does not have it
        compared += 1
        found = difference(call(lt.array_api), expected)
        if found:
            failures.append(f"{label}: {found}")
    assert failures == []
    assert compared > 0


def test_every_name_is_there(strict: Any) -> None:
    for namespace, ours in (
        (strict, lt.array_api),
        (strict.linalg, lt.array_api.linalg),
        (strict.fft, lt.array_api.fft),
    ):
        names = {name for name in namespace.__all__ if name.islower() and "flags" not in name and name != "__version__"}
        assert names - NEWER - set(ours.__all__) == set()


def _functions() -> list[str]:
    plain = [name for name in lt.array_api.__all__ if inspect.isfunction(getattr(lt.array_api, name))]
    return plain + [f"{part}.{name}" for part in ("linalg", "fft") for name in getattr(lt.array_api, part).__all__]


@pytest.mark.parametrize("name", _functions())
def test_signatures(strict: Any, name: str) -> None:
    ours: Any = lt.array_api
    theirs = strict
    for part in name.split("."):
        ours, theirs = getattr(ours, part), getattr(theirs, part)
    left, right = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
    if name == "expand_dims":
        pytest.skip("array_api_strict has the next version's, with an axis that may be given by position")
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in right.values()):
        pytest.skip("array_api_strict leaves its arguments open")
    assert [name for name, one in left.items() if _by_name(one)] == [
        name for name, one in right.items() if _by_name(one)
    ]
    assert [one.kind for one in left.values()] == [one.kind for one in right.values()]
    for ours_one, theirs_one in zip(left.values(), right.values(), strict=True):
        given = theirs_one.default
        assert ours_one.default == given or _is_unsaid(given), ours_one.name


def _is_unsaid(default: object) -> bool:
    """Tell whether a default stands for an argument that was not given."""
    return type(default) is object or "Undef" in str(default) or "_default" in str(default)


def _by_name(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL)


# What tensors themselves have


def test_the_namespace_of_a_tensor() -> None:
    assert lt.ones(1).__array_namespace__() is lt.array_api
    assert lt.ones(1).__array_namespace__(api_version="2023.12") is lt.array_api
    with pytest.raises(ValueError, match=r"'2099\.01'"):
        lt.ones(1).__array_namespace__(api_version="2099.01")
    assert lt.array_api.__array_api_version__ == "2024.12"


def test_to_device() -> None:
    tensor = lt.ones(2)
    assert tensor.to_device("cpu") is tensor
    assert tensor.to_device(lt.device("meta")).is_meta
    with pytest.raises(ValueError, match="stream"):
        tensor.to_device("cpu", stream=1)


def test_size_is_torch_s() -> None:
    assert lt.ones(2, 3).size() == (2, 3)
    assert lt.ones(2, 3).size(1) == 3


def test_info() -> None:
    info = lt.array_api.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    assert info.default_device() in info.devices()
    assert info.default_dtypes()["real floating"] == lt.float32
    assert info.default_dtypes()["complex floating"] == lt.complex64
    assert set(info.dtypes(kind="integral")) == {"int8", "int16", "int32", "int64", "uint8"}
    assert set(info.dtypes(kind=("bool", "real floating"))) == {"bool", "float32", "float64"}
    assert len(info.dtypes()) == 10


# What the standard says and array_api_strict cannot be asked for


def test_dimensions_have_no_say_in_promotion() -> None:
    xp = lt.array_api
    assert xp.add(lt.ones(2, dtype=lt.float32), lt.tensor(1.0, dtype=lt.float64)).dtype == lt.float64
    assert (lt.ones(2, dtype=lt.float32) + lt.tensor(1.0, dtype=lt.float64)).dtype == lt.float32  # torch's
    assert xp.where(lt.tensor(True), lt.ones(2, dtype=lt.int8), lt.tensor(1)).dtype == lt.int64


def test_copies() -> None:
    xp, x = lt.array_api, lt.arange(6).reshape(2, 3)
    assert xp.asarray(x, copy=False).data_ptr() == x.data_ptr()
    assert xp.asarray(x, copy=True).data_ptr() != x.data_ptr()
    assert xp.astype(x, lt.int64, copy=False) is x
    assert xp.astype(x, lt.int64).data_ptr() != x.data_ptr()
    assert xp.reshape(x, (6,), copy=False).data_ptr() == x.data_ptr()
    assert xp.reshape(x, (6,), copy=True).data_ptr() != x.data_ptr()
    with pytest.raises(ValueError, match="needs a copy"):
        xp.reshape(x.T, (6,), copy=False)
    assert xp.positive(x).data_ptr() != x.data_ptr()


def test_negative_places() -> None:
    x = lt.tensor([[1, 2, 3], [4, 5, 6]])
    assert lt.array_api.take(x, lt.tensor([-1, 0]), axis=1).tolist() == [[3, 1], [6, 4]]
    assert lt.array_api.take_along_axis(x, lt.tensor([[-1], [0]])).tolist() == [[3], [4]]


def test_bounds_beyond_the_dtype() -> None:
    x = lt.tensor([-100, 0, 100], dtype=lt.int8)
    assert lt.array_api.clip(x, -1000, 50).tolist() == [-100, 0, 50]
    assert lt.array_api.clip(x, max=1000).tolist() == [-100, 0, 100]
    assert lt.array_api.clip(x).data_ptr() != x.data_ptr()


def test_what_is_first_of_many() -> None:
    found = lt.array_api.unique_all(lt.tensor([[3, 1], [1, 3]]))
    assert [part.tolist() for part in found] == [[1, 3], [1, 0], [[1, 0], [0, 1]], [2, 2]]
    assert found.values.tolist() == [1, 3]


ERRORS: dict[str, Any] = {
    "no number and no tensor": lambda xp: xp.add(lt.ones(1), "a"),
    "two numbers": lambda xp: xp.add(1, 2),
    "where of numbers": lambda xp: xp.where(lt.tensor(True), 1, 2),
    "no axis": lambda xp: xp.cumulative_sum(lt.ones(2, 2)),
    "take without an axis": lambda xp: xp.take(lt.ones(2, 2), lt.tensor([0])),
    "a length that is not 1": lambda xp: xp.squeeze(lt.ones(2, 2), 0),
    "an axis twice": lambda xp: xp.sum(lt.ones(2, 2), axis=(0, -2)),
    "no such axis": lambda xp: xp.sum(lt.ones(2, 2), axis=2),
    "nonzero of one number": lambda xp: xp.nonzero(lt.tensor(1)),
    "a step of nothing": lambda xp: xp.arange(1, 2, 0),
    "joined without dimensions": lambda xp: xp.concat([lt.tensor(1), lt.tensor(2)]),
    "complex to real": lambda xp: xp.astype(lt.ones(1, dtype=lt.complex64), lt.float32),
    "no kind": lambda xp: xp.isdtype(lt.float32, 3),
    "no dtype": lambda xp: xp.result_type(1, 2.0),
    "vectors of other lengths": lambda xp: xp.vecdot(lt.ones(3), lt.ones(1)),
    "no matrix": lambda xp: xp.matrix_transpose(lt.ones(3)),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case: str) -> None:
    with pytest.raises((TypeError, ValueError, IndexError)) as caught:
        ERRORS[case](lt.array_api)
    assert str(caught.value)
