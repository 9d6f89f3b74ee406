"""DLPack both ways: the memory is shared, kept alive by whoever has it, and given back once."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import capsules
import numpy as np
import pytest

import libtorch_ffi as lt

if TYPE_CHECKING:
    from types import ModuleType

CASES: dict[str, lt.Tensor] = {
    "float32": lt.arange(6.0).reshape(2, 3),
    "float64": lt.arange(6, dtype=lt.float64),
    "float16": lt.arange(4, dtype=lt.float16),
    "int8": lt.arange(4, dtype=lt.int8),
    "int16": lt.arange(4, dtype=lt.int16),
    "int32": lt.arange(4, dtype=lt.int32),
    "int64": lt.arange(4),
    "uint8": lt.arange(4, dtype=lt.uint8),
    "uint16": lt.tensor([1, 2], dtype=lt.uint16),
    "uint32": lt.tensor([1, 2], dtype=lt.uint32),
    "uint64": lt.tensor([1, 2], dtype=lt.uint64),
    "bool": lt.tensor([True, False]),
    "complex64": lt.tensor([1 + 2j, 3]),
    "complex128": lt.tensor([1 + 2j, 3], dtype=lt.complex128),
    "0-dim": lt.tensor(3.0),
    "empty": lt.zeros(0, 3),
    "empty within": lt.zeros(2, 0, 3),
    "transposed": lt.arange(6).reshape(2, 3).T,
    "stepped": lt.arange(10)[1::3],
    "offset": lt.arange(10)[4:],
    "expanded": lt.ones(1).expand(3),
    "one column": lt.arange(6).reshape(2, 3)[:, 1:2],
}
BEYOND_NUMPY = {
    "bfloat16": lt.arange(4, dtype=lt.bfloat16),
    "complex32": lt.arange(4, dtype=lt.float16).view(lt.complex32),
    "float8_e4m3fn": lt.ones(3).to(lt.float8_e4m3fn),
    "float8_e5m2": lt.ones(3).to(lt.float8_e5m2),
}

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


class Producer:
    """An array of another library, as far as DLPack goes: it records how it was asked."""

    def __init__(self, array: Any, *, old: bool = False) -> None:
        self.array = array
        self.old = old
        self.asked: list[dict[str, Any]] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, stream: int | None = None, **today: Any) -> object:
        self.asked.append(today)
        if self.old and today:
            raise TypeError("__dlpack__() got an unexpected keyword argument")
        return self.array.__dlpack__(stream=stream, **today)


class Foreign:
    """An array on a device that no libtorch has, whose owner copies it to the host when asked."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return (4, 0)

    def __dlpack__(self, **today: Any) -> object:
        if today.get("dl_device") == (1, 0):
            return np.arange(3).__dlpack__(max_version=(1, 1))
        raise BufferError("memory of an OpenCL device")


@pytest.mark.parametrize("case", CASES)
def test_to_numpy_and_back(case: str) -> None:
    tensor = CASES[case]
    array = np.from_dlpack(tensor)
    assert array.shape == tuple(tensor.shape)
    assert array.tolist() == tensor.tolist()
    again = lt.from_dlpack(array)
    assert again.dtype == tensor.dtype
    assert again.shape == tensor.shape
    assert lt.equal(again, tensor)
    if tensor.numel():
        assert array.ctypes.data == again.data_ptr() == tensor.data_ptr()


@pytest.mark.parametrize("case", [*CASES, *BEYOND_NUMPY])
@pytest.mark.parametrize("version", [None, (0, 8), (1, 0), (2, 0)])
def test_a_round_trip(case: str, version: tuple[int, int] | None) -> None:
    tensor = {**CASES, **BEYOND_NUMPY}[case]
    capsule = tensor.__dlpack__(max_version=version)
    assert ("dltensor_versioned" in repr(capsule)) == (version in ((1, 0), (2, 0)))
    again = lt.from_dlpack(capsule)
    assert again.dtype == tensor.dtype
    assert again.shape == tensor.shape
    assert again.data_ptr() == tensor.data_ptr()
    assert bytes(_bits(again)) == bytes(_bits(tensor))


def _bits(tensor: lt.Tensor) -> memoryview:
    return memoryview(tensor.contiguous().flatten().view(lt.uint8))


@pytest.mark.parametrize("case", [*CASES, *BEYOND_NUMPY])
def test_to_torch_and_back(torch: ModuleType, case: str) -> None:
    tensor = {**CASES, **BEYOND_NUMPY}[case]
    theirs = torch.from_dlpack(tensor)
    assert str(theirs.dtype) == str(tensor.dtype)
    assert tuple(theirs.shape) == tuple(tensor.shape)
    again = lt.from_dlpack(theirs)
    assert again.dtype == tensor.dtype
    if tensor.numel():
        assert theirs.data_ptr() == tensor.data_ptr() == again.data_ptr()
    assert bytes(_bits(again)) == bytes(_bits(tensor))


def test_writes_are_seen_on_both_sides() -> None:
    tensor = lt.zeros(3)
    array = np.from_dlpack(tensor)
    tensor[0] = 1
    array[1] = 2
    assert tensor.tolist() == array.tolist() == [1, 2, 0]


# Lifetimes


def test_the_array_outlives_the_tensor() -> None:
    array = np.from_dlpack(lt.arange(100_000).clone())
    gc.collect()
    lt.empty(100_000, dtype=lt.int64).fill_(-1)
    assert array.sum() == 100_000 * 99_999 // 2


def test_the_tensor_outlives_the_array() -> None:
    tensor = lt.from_dlpack(np.arange(100_000))
    gc.collect()
    np.full(100_000, -1)
    assert int(tensor.sum()) == 100_000 * 99_999 // 2


def test_the_array_dies_with_its_last_tensor() -> None:
    class Tracked(np.ndarray[Any, Any]):
        pass

    array = np.arange(3).view(Tracked)
    gone = weakref.ref(array)
    tensor = lt.from_dlpack(array)
    view = tensor[1:]
    del array, tensor
    gc.collect()
    assert gone() is not None
    del view
    gc.collect()
    assert gone() is None


def test_another_thread_may_drop_the_tensor() -> None:
    box = [lt.from_dlpack(np.arange(1000))]
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    assert box == []


def test_reference_counts_stay_flat() -> None:
    array, tensor = np.arange(6.0).reshape(2, 3), lt.arange(6.0)
    before = sys.getrefcount(array), sys.getrefcount(tensor)
    for _ in range(100):
        lt.from_dlpack(array).sum()
        np.from_dlpack(tensor).sum()
        tensor.__dlpack__()  # never consumed
        lt.from_dlpack(tensor.__dlpack__(max_version=(1, 0)))
    gc.collect()
    assert (sys.getrefcount(array), sys.getrefcount(tensor)) == before


@LINUX
def test_capsules_that_nobody_consumes_give_their_memory_back() -> None:
    assert _resident_growth(lambda: lt.ones(1_000_000).__dlpack__(max_version=(1, 0))) < 40_000_000


@LINUX
def test_capsules_that_are_consumed_give_their_memory_back() -> None:
    assert _resident_growth(lambda: lt.from_dlpack(lt.ones(1_000_000).__dlpack__())) < 40_000_000


def _resident_growth(step: Any) -> int:
    """Return the bytes by which 50 steps of 4 MB each let the process grow."""
    step()
    before = _resident()
    for _ in range(50):
        step()
    return _resident() - before


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel's
        return int(file.read().split()[1]) * 4096


def test_memory_that_others_look_at_is_not_resized() -> None:
    tensor = lt.arange(3.0)
    array = np.from_dlpack(tensor)
    with pytest.raises(RuntimeError, match="not resizable"):
        tensor.resize_(1_000_000)
    tensor.data = lt.zeros(2)
    assert array.tolist() == [0, 1, 2]


# What a capsule may not be


@pytest.mark.parametrize("version", [None, (1, 0)])
def test_a_capsule_is_consumed_once(version: tuple[int, int] | None) -> None:
    capsule = lt.ones(2).__dlpack__(max_version=version)
    kept = lt.from_dlpack(capsule)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="was consumed"):
            lt.from_dlpack(capsule)
    assert kept.tolist() == [1, 1]


def test_a_refused_capsule_can_be_given_to_another() -> None:
    capsule = np.arange(4)[::-1].__dlpack__()
    for _ in range(2):
        with pytest.raises(BufferError, match="stride -1 in dimension 0"):
            lt.from_dlpack(capsule)
    assert "used" not in repr(capsule)


@pytest.mark.parametrize("value", [3, "text", None, object(), [1, 2]])
def test_other_objects_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="not " + type(value).__name__):
        lt.from_dlpack(value)


def test_another_capsule_is_refused() -> None:
    import datetime as dt

    with pytest.raises(TypeError, match="not PyCapsule"):
        lt.from_dlpack(dt.datetime_CAPI)


def test_a_capsule_made_by_hand() -> None:
    made, address = capsules.capsule([1, 2, 3, 4], byte_offset=4, shape=[3])
    tensor = lt.from_dlpack(made)
    assert tensor.tolist() == [2, 3, 4]
    del tensor
    assert capsules.deleted.count(address) == 1


@pytest.mark.parametrize(
    ("shape", "expected"), [([2, 3], [[0, 1, 2], [3, 4, 5]]), ([1, 6], [[0, 1, 2, 3, 4, 5]]), ([3, 0], [[], [], []])]
)
def test_a_capsule_without_strides_is_contiguous(shape: list[int], expected: list[list[float]]) -> None:
    made, _ = capsules.capsule([0, 1, 2, 3, 4, 5], shape=shape, strides=None, ndim=2)
    assert lt.from_dlpack(made).tolist() == expected


def test_a_capsule_without_dimensions_memory_or_deleter() -> None:
    assert lt.from_dlpack(capsules.capsule([7], shape=None, strides=None, ndim=0)[0]).tolist() == 7
    assert lt.from_dlpack(capsules.capsule([], data=None, shape=[0])[0]).tolist() == []
    assert lt.from_dlpack(capsules.capsule([7], deleter=None)[0]).tolist() == [7]


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "version": ({"major": 2, "minor": 3}, r"version 2\.3; this package reads 1\.x"),
    "code": ({"code": 3}, "type code 3, 32 bits, 1 lanes"),
    "bits": ({"bits": 128}, "type code 2, 128 bits"),
    "lanes": ({"lanes": 4}, "4 lanes"),
    "device": ({"device_type": 7}, "device of type 7"),
    "no such device": ({"device_type": 10}, "device of type 10"),
    "ndim": ({"ndim": -1}, "has -1 dimensions"),
    "many dimensions": ({"ndim": 1000}, "has 1000 dimensions"),
    "no shape": ({"shape": None}, "has 1 dimensions"),
    "length": ({"shape": [-5]}, "length -5 in dimension 0"),
    "elements": ({"shape": [2**62, 2**62], "strides": [0, 0], "ndim": 2}, "more elements than can be addressed"),
    "span": ({"shape": [2, 2**62], "strides": [2**62, 2], "ndim": 2}, "more elements than can be addressed"),
    "span unsaid": ({"shape": [2**40, 2**40, 2], "strides": None, "ndim": 3}, "more elements than can be"),
    "stride": ({"strides": [-1]}, "stride -1 in dimension 0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_capsule_is_refused_and_left_to_its_owner(fault: str) -> None:
    fields, message = FAULTS[fault]
    made, address = capsules.capsule([1, 2], **fields)
    with pytest.raises(BufferError, match=message):
        lt.from_dlpack(made)
    assert "used" not in repr(made)
    assert address not in capsules.deleted


HINDERED = {
    "detach": lambda: lt.ones(2, requires_grad=True),
    "resolve_conj": lambda: lt.ones(2, dtype=lt.complex64).conj(),
    "resolve_neg": lambda: lt.ones(2, dtype=lt.complex64).conj().imag,
    "to_dense": lambda: lt.eye(2).to_sparse(),
    "clone": lambda: lt._efficientzerotensor((2,)),
    "meta": lambda: lt.ones(2, device="meta"),
    "dtype QInt8": lambda: lt._empty_affine_quantized((2,), scale=1.0, zero_point=0, dtype=lt.qint8),
}


@pytest.mark.filterwarnings("ignore")  # quantized tensors are deprecated
@pytest.mark.parametrize("remedy", HINDERED)
def test_tensors_that_are_not_plain_memory_are_refused(remedy: str) -> None:
    with pytest.raises(BufferError, match=remedy):
        HINDERED[remedy]().__dlpack__()


# Arguments


def test_device_pairs() -> None:
    assert lt.ones(1).__dlpack_device__() == (1, 0)
    assert repr(lt.ones(1).__dlpack_device__()[0]) == "<DLDeviceType.kDLCPU: 1>"
    with pytest.raises(BufferError, match="meta"):
        lt.ones(1, device="meta").__dlpack_device__()


def test_copies() -> None:
    tensor = lt.ones(3)
    copy = lt.from_dlpack(tensor.__dlpack__(copy=True))
    assert copy.data_ptr() != tensor.data_ptr()
    assert lt.from_dlpack(tensor, copy=True).data_ptr() != tensor.data_ptr()
    assert lt.from_dlpack(tensor, copy=False).data_ptr() == tensor.data_ptr()
    assert lt.from_dlpack(tensor, device="cpu", copy=False).data_ptr() == tensor.data_ptr()
    assert np.from_dlpack(tensor, copy=True).ctypes.data != tensor.data_ptr()


def test_a_device_that_needs_a_copy() -> None:
    tensor = lt.ones(3)
    assert lt.from_dlpack(tensor, device="meta").is_meta
    with pytest.raises(ValueError, match="from cpu to meta without a copy"):
        lt.from_dlpack(tensor, device="meta", copy=False)
    with pytest.raises(BufferError, match=r"device \(2, 0\)"):
        tensor.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="without a copy"):
        tensor.__dlpack__(dl_device=(2, 0), copy=False)
    assert lt.from_dlpack(tensor.__dlpack__(dl_device=(1, 0))).data_ptr() == tensor.data_ptr()


def test_streams_of_a_device_that_has_none() -> None:
    for stream in (None, -1):
        assert lt.ones(1).__dlpack__(stream=stream)
    with pytest.raises(ValueError, match="stream must be None, not 5"):
        lt.ones(1).__dlpack__(stream=5)
    with pytest.raises(TypeError, match="not str"):
        lt.ones(1).__dlpack__(stream="5")


def test_older_producers_are_asked_again() -> None:
    producer = Producer(np.arange(3), old=True)
    assert lt.from_dlpack(producer).tolist() == [0, 1, 2]
    assert producer.asked == [{"max_version": (1, 1)}, {}]


def test_what_a_producer_is_asked() -> None:
    producer = Producer(np.arange(3))
    lt.from_dlpack(producer, copy=False)
    assert producer.asked == [{"max_version": (1, 1), "copy": False}]


def test_memory_of_a_strange_device_is_asked_for_on_the_host() -> None:
    assert lt.from_dlpack(Foreign(), device="cpu").tolist() == [0, 1, 2]
    with pytest.raises(BufferError, match="OpenCL"):
        lt.from_dlpack(Foreign())
    with pytest.raises(ValueError, match=r"\(4, 0\) to cpu without a copy"):
        lt.from_dlpack(Foreign(), device="cpu", copy=False)


def test_read_only_memory_is_shared_with_a_warning() -> None:
    array = np.arange(3)
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable") as warnings:
        tensor = lt.from_dlpack(array)
    assert warnings[0].filename == __file__
    assert tensor.data_ptr() == array.ctypes.data
    copy = lt.from_dlpack(array, copy=True)  # and no warning
    assert copy.data_ptr() != array.ctypes.data


def test_cuda_array_interface_is_no_attribute_of_a_cpu_tensor() -> None:
    assert not hasattr(lt.ones(1), "__cuda_array_interface__")
    with pytest.raises(AttributeError, match="cpu has no __cuda_array_interface__"):
        lt.ones(1).__cuda_array_interface__  # noqa: B018 - asking is the test


@pytest.mark.parametrize("name", ["bool", "float16", "float32", "float64", "complex64", "int8", "uint8", "int64"])
def test_names_of_dtypes_in_array_interfaces(name: str) -> None:
    from libtorch_ffi._dlpack import typestr

    assert typestr(getattr(lt, name)) == np.dtype(name).str


def test_dtypes_without_a_name() -> None:
    from libtorch_ffi._dlpack import typestr

    for dtype in (lt.bfloat16, lt.complex32, lt.float8_e5m2):
        with pytest.raises(AttributeError, match="no name"):
            typestr(dtype)


@pytest.mark.cuda
@pytest.mark.skipif(not lt.cuda.is_available(), reason="no CUDA device")
def test_cuda() -> None:
    tensor = lt.arange(6.0, device="cuda").reshape(2, 3)
    assert tensor.__dlpack_device__() == (2, tensor.get_device())
    assert tensor.__cuda_array_interface__["data"] == (tensor.data_ptr(), False)
    for stream in (None, 1, -1):
        assert lt.from_dlpack(tensor.__dlpack__(stream=stream)).data_ptr() == tensor.data_ptr()
    with lt.cuda.stream(lt.cuda.Stream()):
        assert lt.equal(lt.from_dlpack(tensor * 2), tensor * 2)
    for stream in (0, 2):
        with pytest.raises(BufferError, match=f"stream {stream}"):
            tensor.__dlpack__(stream=stream)
    assert lt.from_dlpack(tensor, device="cpu").tolist() == tensor.tolist()


def test_what_a_producer_refuses_is_said_and_not_asked_again() -> None:
    class Refusing:
        asked = 0

        def __dlpack__(self, **today: Any) -> object:
            self.asked += 1
            raise TypeError("Can only use DLPack on arrays with no nulls.")

        def __dlpack_device__(self) -> tuple[int, int]:
            return 1, 0

    producer = Refusing()
    with pytest.raises(TypeError, match="no nulls"):
        lt.from_dlpack(producer)
    assert producer.asked == 1
