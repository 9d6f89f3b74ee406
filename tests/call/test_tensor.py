"""Tensor's methods and properties take and answer what torch's do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from twins import lines, outcomes

import libtorch_ffi as lt

if TYPE_CHECKING:
    from types import ModuleType


@pytest.mark.parametrize(
    "line", [*lines("tensor_facts"), *lines("tensor_conversions"), *lines("tensor_methods"), *lines("indexing")]
)
def test_like_torch(torch: ModuleType, line: str) -> None:
    assert outcomes(line, lt) == outcomes(line, torch)


def test_every_name_of_torch_is_there_or_is_left_out_by_name(torch: ModuleType) -> None:
    from libtorch_ffi import _tensor

    explained = _tensor.__doc__ or ""
    ours = set(dir(lt.Tensor))
    private = {name for name in dir(torch.Tensor) if name.startswith("_")}
    hooks = {"register_hook", "register_post_accumulate_grad_hook"}
    for name in set(dir(torch.Tensor)) - ours - private - hooks:
        assert f"`{name}`" in explained, f"{name} is neither there nor explained"


def test_facts_without_torch() -> None:
    x = lt.zeros(2, 3)
    assert type(x.size()) is lt.Size
    assert x.size() == (2, 3)
    assert x.size(1) == 3
    assert x.stride() == (3, 1)
    assert type(x.stride()) is tuple
    assert (x.dim(), x.numel(), x.element_size(), x.storage_offset()) == (2, 6, 4, 0)
    assert x.data_ptr() == x.untyped_storage().data_ptr()
    with pytest.raises(IndexError):
        x.size(2)
    with pytest.raises(TypeError):
        x.size("a", "b")


def test_conversions_without_torch() -> None:
    x = lt.ones(2)
    assert x.to(lt.float32) is x
    assert x.to("cpu") is x
    assert x.float() is x
    assert x.contiguous() is x
    assert x.to(lt.float32, copy=True) is not x
    assert x.double().dtype == lt.float64
    assert x.to(lt.tensor(1)).dtype == lt.int64
    assert x.type() == "torch.FloatTensor"
    assert x.to() is x
    assert x.to(other=lt.tensor(1)).dtype == lt.int64
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        x.to(lt.float32, nonsense=1)
    with pytest.raises(TypeError, match="multiple values"):
        x.to(lt.float32, dtype=lt.float32)


def test_conversions_are_recorded() -> None:
    x = lt.ones(2, requires_grad=True)
    x.double().mul(2).sum().backward()
    assert x.grad.tolist() == [2, 2]
    assert x.grad.dtype == lt.float32


def test_numpy_functions_answer_tensors() -> None:
    assert isinstance(np.sin(lt.ones(2)), lt.Tensor)
    assert np.asarray(lt.ones(2)).dtype == np.float32
    assert (np.float64(2) * lt.ones(2)).tolist() == [2, 2]


def test_a_storage_is_the_memory_of_its_views() -> None:
    x = lt.arange(4.0)
    assert x[2:].untyped_storage() == x.untyped_storage()
    assert x.untyped_storage() != lt.arange(4.0).untyped_storage()
    assert x.untyped_storage().nbytes() == 16
    assert repr(x.untyped_storage()) == "UntypedStorage(nbytes=16, device='cpu')"


def test_python_functions_on_elements_refuse_what_they_would_lose() -> None:
    with pytest.raises(RuntimeError, match="requires grad"):
        lt.ones(1, requires_grad=True).apply_(abs)
    with pytest.raises(TypeError, match="CPU"):
        lt.empty(1, device="meta").apply_(abs)
