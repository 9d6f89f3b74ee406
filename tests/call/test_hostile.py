"""Objects that change under the reader's hands, and data that lies: an exception, never a crash."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import libtorch_ffi as lt
from libtorch_ffi._binding import core


class Clearing:
    """An int whose reading empties a list."""

    def __init__(self, victim: list[object], value: int = 1) -> None:
        self.victim, self.value = victim, value

    def __index__(self) -> int:
        self.victim.clear()
        return self.value


def _hostile(length: int = 2000) -> list[object]:
    items: list[object] = []
    items.extend(Clearing(items) for _ in range(length))
    return items


def test_a_list_of_sizes_that_empties_itself() -> None:
    """The sizes end where the list ends."""
    assert lt.zeros(_hostile()).shape == (1,)
    assert lt.ops.aten.permute.default(lt.zeros(3), [Clearing([], 0)]).shape == (3,)


def test_an_index_that_empties_itself() -> None:
    """What was read counts."""
    key = _hostile(20)  # a longer list is one index
    key[1:1] = [None]
    with pytest.warns(UserWarning, match="non-tuple sequence"):
        assert lt.zeros(3, 4)[key].shape == (4,)


class Shrinking:
    """A sequence that is shorter (or longer) each time it is read."""

    def __init__(self, *lengths: int) -> None:
        self.lengths = list(lengths)

    def __len__(self) -> int:
        return self.lengths[0]

    def __getitem__(self, i: int) -> float:
        if i >= self.lengths[0]:
            if len(self.lengths) > 1:
                del self.lengths[0]
            raise IndexError
        return 1.0


@pytest.mark.parametrize("lengths", [(3, 1), (1, 100000)])
def test_data_that_changes_between_two_readings(lengths: tuple[int, int]) -> None:
    """The memory is as large as the first reading said: the second may not write past it."""
    with pytest.raises(RuntimeError, match="the data changed while it was read"):
        lt.tensor(Shrinking(*lengths))


@pytest.mark.parametrize("data", [[[], 1], [1, []], [[1, 2], 3], [1, [2, 3]], [[1], [2, 3]], [[[]], [1]], [[1], [[]]]])
def test_data_of_no_shape(data: list[object]) -> None:
    """Ragged data is refused, whatever part of it is empty: by its length, or by what stands where a list would."""
    with pytest.raises((TypeError, ValueError), match="expected"):
        lt.tensor(data)


def test_data_that_holds_itself() -> None:
    """Neither the shape nor the values of a list within itself have an end."""
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="too many dimensions"):
        lt.tensor(endless)
    takes_anything = [name for name in ("_test_ambiguous_defaults",) if hasattr(lt.ops.aten, name)]
    assert takes_anything
    for operator in (lt.ops.static_runtime.dict_unpack, lt.ops.profiler._record_function_exit):
        with pytest.raises((TypeError, RecursionError, RuntimeError)):
            operator(endless)


def test_lists_nested_deeper_than_the_stack() -> None:
    """A million dimensions are refused before the C stack ends."""
    deep = lt.zeros(1).reshape([1] * 200)
    assert str(deep.tolist()).count("[") == 200
    with pytest.raises(RecursionError, match="dimensions"):
        lt.zeros(1).reshape([1] * 100_000).tolist()


def test_a_buffer_outlives_the_tensor_that_changes() -> None:
    """What NumPy looks at is kept: the tensor may get other memory, and its own cannot be resized."""
    x = lt.arange(1000.0)
    view = memoryview(x)
    array = x.numpy()
    x.data = lt.zeros(3)
    assert (view[999], array[999]) == (999.0, 999.0)
    y = lt.arange(4.0)
    shared = y.numpy()
    with pytest.raises(RuntimeError, match="not resizable"):
        y.resize_(1 << 20)
    assert shared.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_tensor_of_zeros_without_memory() -> None:
    """Its zeros are made where they are wanted."""
    zeros = lt.ops.aten._efficientzerotensor.default([2, 2])
    assert zeros.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert np.array_equal(zeros.numpy(force=True), np.zeros((2, 2)))
    with pytest.raises(RuntimeError, match="ZeroTensor"):
        zeros.numpy()
    with pytest.raises(BufferError, match="ZeroTensor"):
        memoryview(zeros)


def test_a_view_of_a_conjugated_tensor_is_a_view() -> None:
    """An operator composed of others passes the lazy conjugation on instead of copying."""
    x = lt.tensor([[1 + 2j, 3j], [0j, 1 + 1j]])
    conjugated = x.conj()
    assert conjugated.is_conj()
    assert conjugated.adjoint().is_conj() is False
    moved = conjugated.movedim(0, 1)
    moved[0, 1] = 5 + 6j
    assert x[1, 0].item() == 5 - 6j


def test_out_is_kept_while_the_kernel_runs() -> None:
    """A list of out tensors may be emptied by the reading of another argument."""
    out: list[object] = [lt.empty(0), lt.empty(0, dtype=lt.int64)]
    references = sys.getrefcount(out)
    values, indices = lt.max(lt.tensor([[1.0, 5.0, 2.0]]), Clearing(out), out=out)
    assert (values.tolist(), indices.tolist(), out) == ([5.0], [1], [])
    assert sys.getrefcount(out) == references


def test_every_dtype_answers() -> None:
    """Each property of each dtype is a value or an exception."""
    dtypes = [value for value in vars(core).values() if isinstance(value, lt.dtype)]
    assert len(dtypes) > 20
    for dtype in dtypes:
        assert dtype.itemsize in (1, 2, 4, 8, 16)
        assert isinstance(dtype.is_complex or dtype.is_floating_point, bool)
