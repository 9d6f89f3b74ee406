"""`<libtorch_ffi/caster.h>`: what passes between Python and a user's C++ functions."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType


def test_a_tensor_goes_in_and_comes_out(functions: ModuleType, lt: Any) -> None:
    result = functions.twice(lt.arange(3))
    assert type(result) is lt.Tensor
    assert result.tolist() == [0, 2, 4]


def test_no_element_is_copied(functions: ModuleType, lt: Any) -> None:
    x = lt.ones([4])
    assert functions.address(x) == x.data_ptr()
    scaled = functions.scaled(x, 3)
    assert scaled.data_ptr() == x.data_ptr()
    assert x.tolist() == [3.0] * 4


def test_views_keep_their_base(functions: ModuleType, lt: Any) -> None:
    x = lt.zeros([4])
    first, second = functions.halves(x)
    del second
    first.fill_(1)
    assert x.tolist() == [1.0, 1.0, 0.0, 0.0]
    del x
    gc.collect()
    assert first.tolist() == [1.0, 1.0]


def test_gradients_flow_through(functions: ModuleType, lt: Any) -> None:
    x = lt.ones([3]).requires_grad_()
    functions.twice(x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_a_subclass_of_tensor_is_a_tensor(functions: ModuleType, lt: Any) -> None:
    class Named(lt.Tensor):  # type: ignore[misc]
        pass

    assert functions.twice(Named([1.0])).tolist() == [2.0]


def test_none_is_an_absent_tensor_and_an_undefined_one(functions: ModuleType, lt: Any) -> None:
    assert functions.is_given(lt.ones([1]))
    assert not functions.is_given(None)
    assert functions.nothing() is None


@pytest.mark.parametrize("other", [None, 3, [1.0], "tensor"])
def test_what_is_no_tensor_is_a_type_error_that_names_ours(functions: ModuleType, other: object) -> None:
    with pytest.raises(TypeError, match=r"arg0: libtorch_ffi\.Tensor"):
        functions.twice(other)


def test_errors_are_those_of_an_operator(functions: ModuleType) -> None:
    assert functions.fail_at(0) is None
    with pytest.raises(IndexError, match=r"^nothing at 7$"):
        functions.fail_at(7)
    with pytest.raises(ValueError, match=r"^below 0$"):
        functions.fail_at(-1)


def test_a_failing_operator_inside(functions: ModuleType, lt: Any) -> None:
    x = lt.ones([2]).requires_grad_()
    with pytest.raises(RuntimeError, match=r"a leaf Variable that requires grad"):
        functions.scaled(x, 2.0)


def test_a_warning_reaches_python(functions: ModuleType, lt: Any) -> None:
    functions.warn()
    with pytest.warns(UserWarning, match="careful"):
        lt.ones([1]).add(1)


def test_other_threads_run_while_a_function_waits(functions: ModuleType) -> None:
    waker = threading.Timer(0.05, functions.wake)
    waker.start()
    assert functions.wait()
    waker.join()


def test_handles_are_not_leaked(functions: ModuleType, lt: Any) -> None:
    x = lt.ones([2])
    seen = weakref.ref(x)
    functions.twice(x)
    del x
    gc.collect()
    assert seen() is None


def test_docstrings(functions: ModuleType) -> None:
    assert functions.twice.__doc__ == "twice(arg0: libtorch_ffi.Tensor) -> libtorch_ffi.Tensor\n\nTwo of it.\n"
    assert functions.scaled.__doc__.endswith('A "quoted" word,\na line, a ? and an é.\n')
