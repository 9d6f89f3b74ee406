"""Arrays of other libraries: buffers, NumPy's protocols, and whoever speaks DLPack."""

from __future__ import annotations

import array
import gc
import operator
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

NAMES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128")


class Offering:
    """An object that has nothing but ``__array__``."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def __array__(self, dtype: object = None, copy: object = None) -> Any:
        return self.answer


# The buffer protocol


@pytest.mark.parametrize("name", [*NAMES, "uint16", "uint32", "uint64"])
def test_a_buffer_of_each_dtype(name: str) -> None:
    tensor = lt.tensor([0, 1], dtype=getattr(lt, name))
    view = np.asarray(memoryview(tensor))
    assert view.dtype == name
    assert view.ctypes.data == tensor.data_ptr()
    assert view.tolist() == tensor.tolist()


def test_a_buffer_knows_strides() -> None:
    tensor = lt.arange(6, dtype=lt.int32).reshape(2, 3).T
    view = memoryview(tensor)
    assert (view.shape, view.strides, view.itemsize, view.readonly) == ((3, 2), (4, 12), 4, False)
    with pytest.raises(BufferError, match="not contiguous"):
        hash_of_bytes(tensor)


def hash_of_bytes(buffer: Any) -> bytes:
    import hashlib

    return hashlib.sha256(buffer).digest()  # takes one block of bytes


def test_a_dtype_without_a_buffer() -> None:
    with pytest.raises(BufferError, match="BFloat16"):
        memoryview(lt.ones(2, dtype=lt.bfloat16))


def test_writing_through_a_buffer() -> None:
    tensor = lt.zeros(4, dtype=lt.uint8)
    memoryview(tensor)[1:3] = b"ab"
    assert tensor.tolist() == [0, 97, 98, 0]


# NumPy


@pytest.mark.parametrize("name", NAMES)
def test_numpy_both_ways(name: str) -> None:
    source = np.array([[0, 1], [1, 0]], dtype=name)
    tensor = lt.from_numpy(source)
    assert tensor.data_ptr() == source.ctypes.data
    assert np.asarray(tensor).ctypes.data == source.ctypes.data
    assert np.array_equal(np.asarray(tensor), source)


def test_array_arguments() -> None:
    tensor = lt.arange(3.0)
    assert np.asarray(tensor, dtype=np.float64).dtype == np.float64
    assert np.array(tensor, copy=True).ctypes.data != tensor.data_ptr()
    assert np.array(tensor, copy=False).ctypes.data == tensor.data_ptr()
    with pytest.raises(ValueError, match="without a copy"):
        tensor.__array__(np.float64, copy=False)
    assert tensor.__array__("float32", copy=False).ctypes.data == tensor.data_ptr()


def test_reference_counts_stay_flat() -> None:
    source, tensor = np.ones(3), lt.ones(3)
    before = sys.getrefcount(source), sys.getrefcount(tensor)
    for _ in range(50):
        lt.from_numpy(source)
        lt.asarray(source)
        np.asarray(tensor)
        memoryview(tensor)
    gc.collect()
    assert (sys.getrefcount(source), sys.getrefcount(tensor)) == before


def test_read_only_arrays_are_shared_with_a_warning() -> None:
    source = np.arange(3)
    source.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        assert lt.from_numpy(source).data_ptr() == source.ctypes.data
    assert lt.tensor(source).tolist() == [0, 1, 2]  # a copy, and no warning


@pytest.mark.parametrize("source", [np.array(["a"]), np.array([None]), np.zeros(2, "M8[s]"), np.zeros(2, ">f4")])
def test_arrays_of_other_things_are_refused(source: np.ndarray[Any, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        lt.from_numpy(source)
    assert isinstance(source, np.ndarray)


# Whatever offers its memory


@pytest.mark.parametrize("make", [lt.asarray, lt.as_tensor], ids=["asarray", "as_tensor"])
def test_offers_are_taken_without_a_copy(make: Callable[[object], lt.Tensor]) -> None:
    source = np.arange(4.0)
    assert make(Offering(source)).data_ptr() == source.ctypes.data
    tensor = lt.ones(2)
    assert make(tensor.__dlpack__()).data_ptr() == tensor.data_ptr()


def test_tensor_copies_offers() -> None:
    source = np.arange(4.0)
    tensor = lt.tensor(Offering(source), dtype=lt.int32)
    source[:] = 7
    assert tensor.tolist() == [0, 1, 2, 3]
    assert lt.asarray(Offering(source), copy=True).data_ptr() != source.ctypes.data
    assert lt.asarray(Offering(source), copy=False).data_ptr() == source.ctypes.data


@pytest.mark.parametrize("answer", [None, [1, 2], "text"])
def test_an_offer_that_is_no_array(answer: object) -> None:
    with pytest.raises(TypeError, match=r"Offering.*answered no array"):
        lt.as_tensor(Offering(answer))


def test_a_failing_offer_says_why() -> None:
    class Failing:
        def __array__(self) -> None:
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        lt.as_tensor(Failing())


FROM_BUFFER: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda m: m.frombuffer(bytearray(b"\1\2\3\4"), dtype=m.uint8),
    "wider": lambda m: m.frombuffer(bytearray(8), dtype=m.float32),
    "count": lambda m: m.frombuffer(bytearray(range(8)), dtype=m.int16, count=2, offset=2),
    "array": lambda m: m.frombuffer(array.array("i", [-1, 2]), dtype=m.int32),
    "bfloat16": lambda m: m.frombuffer(bytearray(4), dtype=m.bfloat16),
    "grad": lambda m: m.frombuffer(bytearray(8), dtype=m.float32, requires_grad=True),
    "ragged": lambda m: m.frombuffer(bytearray(7), dtype=m.float32),
    "nothing": lambda m: m.frombuffer(bytearray(0), dtype=m.float32),
    "too far": lambda m: m.frombuffer(bytearray(8), dtype=m.float32, offset=8),
    "too many": lambda m: m.frombuffer(bytearray(8), dtype=m.float32, count=3),
    "no buffer": lambda m: m.frombuffer([1, 2], dtype=m.float32),
}
AS_ARRAY: dict[str, Callable[[Any], Any]] = {
    "list": lambda m: m.asarray([1, 2.5]),
    "number": lambda m: m.asarray(3, dtype=m.float64),
    "tensor": lambda m: m.asarray(m.ones(2)),
    "tensor as": lambda m: m.asarray(m.ones(2), dtype=m.int64),
    "numpy": lambda m: m.asarray(np.arange(3)),
    "numpy scalar": lambda m: m.asarray(np.float32(2)),
    "buffer": lambda m: m.asarray(bytearray(8), dtype=m.int32),
    "nested": lambda m: m.asarray([[1, 2], [3, 4]], dtype=m.float32),
    "no copy": lambda m: m.asarray([1, 2], copy=False),
    "no cast": lambda m: m.asarray(np.arange(3), dtype=m.float32, copy=False),
    "grad": lambda m: m.asarray([1.0], requires_grad=True),
    "capsule": lambda m: m.asarray(m.ones(2).__dlpack__()),
}


@pytest.mark.parametrize("case", [*FROM_BUFFER, *AS_ARRAY])
def test_as_torch_does(torch: ModuleType, case: str) -> None:
    expression = {**FROM_BUFFER, **AS_ARRAY}[case]
    try:
        expected = expression(torch)
    except (ValueError, TypeError, RuntimeError) as error:
        with pytest.raises(type(error)):
            expression(lt)
        return
    result = expression(lt)
    assert (str(result.dtype), tuple(result.shape), result.requires_grad) == (
        str(expected.dtype),
        tuple(expected.shape),
        expected.requires_grad,
    )
    assert result.tolist() == expected.tolist()


# Other libraries, where they are installed


@pytest.mark.filterwarnings("ignore:The given")  # JAX's memory is read-only
def test_jax() -> None:
    jax = pytest.importorskip("jax")
    source = jax.numpy.arange(6.0).reshape(2, 3)
    tensor = lt.from_dlpack(source)
    assert tensor.data_ptr() == source.unsafe_buffer_pointer()
    assert lt.asarray(source).tolist() == source.tolist()
    half = jax.numpy.ones(3, dtype=jax.numpy.bfloat16)
    assert lt.from_dlpack(half).dtype == lt.bfloat16
    assert lt.as_tensor(half).tolist() == [1, 1, 1]
    del source
    gc.collect()
    assert tensor.tolist() == [[0, 1, 2], [3, 4, 5]]
    ours = lt.arange(1024.0)  # which libtorch aligns as far as JAX asks for
    theirs = jax.dlpack.from_dlpack(ours)
    assert theirs.unsafe_buffer_pointer() == ours.data_ptr()
    del ours
    gc.collect()
    assert float(theirs.sum()) == 1024 * 1023 / 2


@pytest.mark.filterwarnings("ignore:The given")  # Arrow's memory is read-only
def test_pyarrow() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    source = pyarrow.array([1.5, 2.5, 3.5])
    tensor = lt.from_dlpack(source)
    assert tensor.data_ptr() == source.buffers()[1].address
    assert lt.as_tensor(source).tolist() == [1.5, 2.5, 3.5]
    assert pyarrow.array(np.asarray(lt.arange(3))).to_pylist() == [0, 1, 2]
    buffer = pyarrow.py_buffer(bytearray(b"\1\0\2\0"))
    assert lt.frombuffer(buffer, dtype=lt.int16).tolist() == [1, 2]
    del source
    gc.collect()
    assert tensor.tolist() == [1.5, 2.5, 3.5]


@pytest.mark.filterwarnings("ignore:The given")  # so is what pandas hands out
def test_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    series = pandas.Series([1.0, 2.0], index=["a", "b"])
    assert lt.as_tensor(series).tolist() == [1, 2]
    assert lt.as_tensor(series).data_ptr() == series.to_numpy().ctypes.data
    frame = pandas.DataFrame({"x": [1, 2, 3], "y": [4, 5, 6]})
    assert lt.tensor(frame, dtype=lt.float32).tolist() == [[1, 4], [2, 5], [3, 6]]
    assert pandas.Series(np.asarray(lt.arange(3))).tolist() == [0, 1, 2]
    with pytest.raises(TypeError):
        lt.tensor(pandas.Series(["a", "b"]))


COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("dtype", ["float64", "int8", "complex64", "bool"])
def test_arrays_are_compared_elementwise(compare: Callable[[Any, Any], Any], dtype: str) -> None:
    """NumPy leaves comparisons with a tensor to the tensor; Python would fall back to identity."""
    if dtype == "complex64" and compare not in {operator.eq, operator.ne}:
        pytest.skip("complex numbers have no order")
    array = np.array([0, 1, 2]).astype(dtype)
    tensor = lt.tensor([1, 1, 1])
    expected = compare(array, np.array([1, 1, 1])).tolist()
    assert compare(array, tensor).tolist() == expected
    assert compare(lt.from_numpy(array), np.array([1, 1, 1])).tolist() == expected
    assert compare(array, tensor).dtype == lt.bool


def test_arrays_of_other_things_equal_no_tensor() -> None:
    tensor = lt.ones(2)
    assert (tensor == np.array(["a", "b"])) is False
    assert (tensor != np.array([object(), None])) is True
    with pytest.raises(TypeError):
        _ = tensor < np.array(["a", "b"])


def test_arrays_in_lists() -> None:
    rows = [np.arange(3), np.arange(3, dtype=np.float32)[::-1], [7, 8, 9]]
    tensor = lt.tensor(rows)
    assert (tensor.dtype, tensor.tolist()) == (lt.float32, [[0, 1, 2], [2, 1, 0], [7, 8, 9]])
    assert lt.tensor([np.zeros((0, 2))] * 3).shape == (3, 0, 2)
    assert lt.tensor([np.array(1), np.array(2)]).tolist() == [1, 2]
    assert lt.tensor([np.array([2**63], np.uint64)]).tolist() == [[2**63]]
    with pytest.raises(ValueError, match="expected sequence of length 3 at dim 1"):
        lt.tensor([np.arange(3), np.arange(4)])
    with pytest.raises(TypeError, match="expected a sequence at dim 1"):
        lt.tensor([np.arange(3), 1])
    with pytest.raises(TypeError, match="expected a number at dim 1"):
        lt.tensor([1, np.arange(3)])
