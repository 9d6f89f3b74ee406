"""torch's functions that are no plain operator take and answer what torch's do."""

from __future__ import annotations

import array
import importlib
import pickle
import pkgutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from twins import lines, outcomes

import libtorch_ffi as lt

if TYPE_CHECKING:
    from types import ModuleType

LIMITS = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "float8_e5m2",
    "float8_e4m3fn",
    "float8_e5m2fnuz",
    "float8_e4m3fnuz",
    "complex64",
    "complex128",
    "complex32",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint16",
    "uint32",
    "uint64",
    "quint8",
    "qint8",
    "qint32",
    "bool",
]


@pytest.mark.parametrize("line", [*lines("functions"), *lines("making"), *lines("namespaces")])
def test_like_torch(torch: ModuleType, line: str) -> None:
    assert outcomes(line, lt) == outcomes(line, torch)


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("kind", ["finfo", "iinfo"])
def test_limits_like_torch(torch: ModuleType, kind: str, dtype: str) -> None:
    def limits(module: ModuleType) -> dict[str, Any] | str:
        names = ["bits", "max", "min", "tiny", "smallest_normal", "resolution"]
        # c10's epsilon of this format is the one of a format with a bit more.
        names += ["eps"] if dtype != "float8_e5m2fnuz" else []
        # torch knows no name of a quantized dtype, and prints the limits of integers with six digits.
        names += ["dtype"] if not dtype.startswith("q") else []
        try:
            info = getattr(module, kind)(getattr(module, dtype))
        except TypeError:
            return "TypeError"
        return {name: getattr(info, name) for name in names if hasattr(info, name)}

    assert limits(lt) == limits(torch)


def test_limits_print_like_torch(torch: ModuleType) -> None:
    assert repr(lt.finfo(lt.float16)) == repr(torch.finfo(torch.float16))
    assert repr(lt.iinfo(lt.int16)) == repr(torch.iinfo(torch.int16))


def test_limits_without_torch() -> None:
    assert lt.finfo().eps == 2.0**-23
    assert lt.finfo(lt.complex128).max == lt.finfo(lt.float64).max == float(np.finfo(np.float64).max)
    assert lt.iinfo(lt.int64).min == -(2**63)
    assert lt.finfo(lt.float16) == lt.finfo(lt.float16)
    assert lt.finfo(lt.float16) != lt.finfo(lt.bfloat16)
    with pytest.raises(TypeError, match="iinfo"):
        lt.finfo(lt.int32)


def test_limits_are_made_once_and_cannot_be_changed() -> None:
    limits = lt.finfo(lt.float16)
    assert pickle.loads(pickle.dumps(limits)) == limits
    assert lt.finfo(lt.bfloat16) != limits
    with pytest.raises(AttributeError, match="fact of float16"):
        limits.eps = 1.0
    assert lt.finfo(lt.float16).eps == 2.0**-10
    assert {lt.iinfo(lt.int8): 1}[lt.iinfo(lt.int8)] == 1


def test_every_listed_function_is_there() -> None:
    from libtorch_ffi import _functions

    names = [info.name for info in pkgutil.iter_modules(_functions.__path__) if info.name != "spread"]
    assert "products" in names
    for module in (importlib.import_module(f"{_functions.__name__}.{name}") for name in names):
        for name in module.__all__:
            assert getattr(lt, name) is getattr(module, name)
            assert getattr(lt, name).__doc__


def test_frombuffer_shares_memory() -> None:
    memory = array.array("f", [1, 2, 3])
    tensor = lt.frombuffer(memory, dtype=lt.float32)
    memory[1] = 9
    assert tensor.tolist() == [1, 9, 3]


def test_asarray_shares_memory_unless_told_not_to() -> None:
    source = np.ones(2)
    assert lt.asarray(source).data_ptr() == source.ctypes.data
    assert lt.asarray(source, copy=True).data_ptr() != source.ctypes.data


def test_unique_without_torch() -> None:
    values, inverse, counts = lt.unique(lt.tensor([3, 1, 3]), return_inverse=True, return_counts=True)
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([1, 3], [1, 0, 1], [1, 2])


def test_einsum_without_torch() -> None:
    a, b = lt.arange(4.0).reshape(2, 2), lt.tensor([1.0, 2.0])
    assert lt.einsum("ij,j->i", a, b).tolist() == [2, 8]
    assert lt.einsum(a, [0, 1], b, [1], [0]).tolist() == [2, 8]


def test_namespaces_list_their_names() -> None:
    assert "svd" in dir(lt.linalg)
    assert "rfft" in dir(lt.fft)
    assert "erfcx" in dir(lt.special)
    assert lt.linalg.svd is lt.linalg.svd
    with pytest.raises(AttributeError, match=r"libtorch_ffi\.linalg"):
        _ = lt.linalg.nonsense
    with pytest.raises(lt.linalg.LinAlgError):
        lt.linalg.inv(lt.zeros(2, 2))
