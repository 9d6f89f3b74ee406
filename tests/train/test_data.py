"""Data in batches: torch's batches in torch's order, and what is refused."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import libtorch_ffi as lt
from libtorch_ffi.errors import UnsupportedError
from libtorch_ffi.utils import data

if TYPE_CHECKING:
    from types import ModuleType

Point = namedtuple("Point", ["x", "y"])  # noqa: PYI024 - the kind without types is what collating looks for


def images(module: Any) -> tuple[Any, Any]:
    return module.arange(22.0).reshape(11, 2), module.arange(11)


def batches(module: Any, loader: Any) -> list[Any]:
    return [[part.tolist() for part in batch] for _ in range(2) for batch in loader]


@pytest.mark.parametrize("seeded", [False, True])
@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"shuffle": True, "drop_last": True}, {"batch_size": 20}])
def test_batches_are_torchs(options: dict[str, Any], seeded: bool, torch: ModuleType) -> None:
    import torch.utils.data

    sides = []
    for module in (lt, torch):
        module.manual_seed(5)
        generator = {"generator": module.Generator().manual_seed(7)} if seeded else {}
        dataset = module.utils.data.TensorDataset(*images(module))
        loader = module.utils.data.DataLoader(dataset, **{"batch_size": 4, **options}, **generator)
        sides.append((len(loader), batches(module, loader), module.rand(1).item()))
    assert sides[0] == sides[1]


def test_a_list_of_samples_gives_what_the_tensors_give() -> None:
    dataset = data.TensorDataset(*images(lt))
    samples = [dataset[index] for index in range(len(dataset))]
    for one, other in zip(data.DataLoader(dataset, 3), data.DataLoader(samples, 3), strict=True):
        assert [part.tolist() for part in one] == [part.tolist() for part in other]


SAMPLES: dict[str, list[Any]] = {
    "floats": [1.5, 2.5],
    "ints": [1, 2],
    "truths": [True, False],
    "arrays": [np.ones(2), np.zeros(2)],
    "numbers of NumPy": [np.float32(1), np.float32(2)],
    "texts": ["a", "b"],
    "bytes": [b"a", b"b"],
    "dicts": [{"a": 1, "b": [2.0, "x"]}, {"a": 3, "b": [4.0, "y"]}],
    "tuples": [(1, (2.0,)), (3, (4.0,))],
    "named": [Point(1, 2.0), Point(3, 4.0)],
}


def plain(value: Any) -> Any:
    """A batch as Python's own values, with the dtypes of its tensors."""
    if hasattr(value, "dtype"):
        return str(value.dtype).rpartition(".")[2], value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(item) for item in value]
    return value


@pytest.mark.parametrize("kind", SAMPLES)
def test_samples_are_collated_as_torch_does(kind: str, torch: ModuleType) -> None:
    from torch.utils.data import default_collate

    assert plain(data.default_collate(SAMPLES[kind])) == plain(default_collate(SAMPLES[kind]))


def test_collating_can_be_ones_own() -> None:
    loader = data.DataLoader(range(5), 2, collate_fn=sum)
    assert list(loader) == [1, 5, 4]
    assert len(data.DataLoader(range(5), 2, drop_last=True)) == 2


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tensors of one length; they have \[2, 3\]"):
        data.TensorDataset(lt.ones(2), lt.ones(3))
    with pytest.raises(ValueError, match="one length"):
        data.TensorDataset(lt.tensor(1.0))
    for size in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"batch_size={size}"):
            data.DataLoader([1], size)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"not of set: give the DataLoader a collate_fn"):
        data.default_collate([{1}, {2}])
    with pytest.raises(RuntimeError, match="equal size"):
        data.default_collate([[1], [2, 3]])


def test_parts_are_torchs(torch: ModuleType) -> None:
    import torch.utils.data

    sides = []
    for module in (lt, torch):
        sets = module.utils.data
        module.manual_seed(3)
        parts = [sets.random_split(range(11), lengths) for lengths in ([7, 4], [0.5, 0.3, 0.2])]
        seeded = sets.random_split(range(5), [2, 3], generator=module.Generator().manual_seed(1))
        sides.append([[list(part.indices) for part in split] for split in (*parts, seeded)])
        both = sets.ConcatDataset([sets.Subset(range(10), [3, 5]), range(100, 103)])
        sides[-1].append([both[index] for index in (*range(len(both)), -1, -5)])
    assert sides[0] == sides[1]


def test_a_data_set_of_ones_own() -> None:
    class Squares(data.Dataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> int:
            return index * index

    batches = list(data.DataLoader(Squares() + Squares(), batch_size=4, num_workers=0, pin_memory=False))
    assert [batch.tolist() for batch in batches] == [[0, 1, 4, 0], [1, 4]]
    with pytest.raises(NotImplementedError, match=r"Dataset has no __len__\(\)"):
        len(data.Dataset())
    with pytest.raises(NotImplementedError, match=r"Dataset has no __getitem__\(\)"):
        data.Dataset()[0]


def test_what_data_sets_refuse() -> None:
    with pytest.raises(UnsupportedError, match=r"no workers .* num_workers=2, pin_memory=False: leave them out"):
        data.DataLoader([1], num_workers=2)
    with pytest.raises(ValueError, match="5 samples, and not 6"):
        data.random_split(range(5), [3, 3])
    with pytest.raises(ValueError, match="between 0 and 1"):
        data.random_split(range(5), [1.5, -0.5])
    with pytest.raises(IndexError, match="none of index 3"):
        data.ConcatDataset([range(3)])[3]
    with pytest.raises(ValueError, match="at least one"):
        data.ConcatDataset([])
