"""Data in batches, under torch's names and in torch's order for the same seed.

Owns `DataLoader`, `default_collate`, and the data sets: `Dataset`, `TensorDataset`, and those made of others. There are
no workers: libtorch's operators release the GIL, so a thread of the program's own prepares the next batch where that is
worth it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from libtorch_ffi._C import Generator, Tensor

__all__ = ["ConcatDataset", "DataLoader", "Dataset", "Subset", "TensorDataset", "default_collate", "random_split"]

_empty, _randperm, _stack = map(one, ("empty", "randperm", "stack"))


class Dataset:
    """Samples by their index: a subclass has ``__getitem__`` and ``__len__``. Whatever else has them does as well."""

    def __getitem__(self, index: Any) -> Any:
        """Return a sample. A subclass says which."""
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__(): a data set gives its samples there")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__(): a data set counts its samples there")

    def __class_getitem__(cls, _: Any) -> type[Dataset]:
        return cls

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class Subset(Dataset):
    """The samples of another data set that have the indices given, in their order."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: int) -> Any:
        """Return a sample of the other."""
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """The samples of several data sets, one set after the other; of one at least, or a ValueError."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("a ConcatDataset is made of at least one data set, and got none")
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __getitem__(self, index: int) -> Any:
        """Return a sample of one of them."""
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"there are {len(self)} samples, and none of index {index}")
        number = bisect_right(self.cumulative_sizes, place)
        return self.datasets[number][place - (self.cumulative_sizes[number - 1] if number else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Return parts of a data set, drawn as torch draws them.

    Parameters
    ----------
    dataset
        Has a length, and samples by their index.
    lengths
        How many samples each part has, all in all as many as the data set; or fractions of 1.
    generator
        Draws them, by default the one of `manual_seed`.

    Raises
    ------
    ValueError
        If the lengths do not make up the data set.
    """
    counts = _counts(len(dataset), lengths)
    if sum(counts) != len(dataset):
        raise ValueError(
            f"the lengths of the parts make up the data set's {len(dataset)} samples, and not {sum(counts)}"
        )
    order: list[int] = _randperm(len(dataset), generator=generator).tolist()
    ends = list(accumulate(counts))
    return [Subset(dataset, order[end - count : end]) for count, end in zip(counts, ends, strict=True)]


def _counts(whole: int, lengths: Sequence[float]) -> list[int]:
    """Return lengths that may be fractions as numbers of samples; what is left over goes to the first ones."""
    if not math.isclose(sum(lengths), 1) or sum(lengths) > 1:
        return [int(length) for length in lengths]
    if any(not 0 <= length <= 1 for length in lengths):
        raise ValueError(f"a fraction of a data set lies between 0 and 1, but got {list(lengths)}")
    counts = [math.floor(whole * length) for length in lengths]
    for number in range(whole - sum(counts)):
        counts[number % len(counts)] += 1
    return counts


class TensorDataset(Dataset):
    """Samples that are rows of tensors.

    Parameters
    ----------
    *tensors
        Of equal length; a sample is a tuple with a row of each.

    Raises
    ------
    ValueError
        If their lengths differ.
    """

    def __init__(self, *tensors: Tensor) -> None:
        lengths = [tensor.shape[0] if tensor.dim() else 0 for tensor in tensors]
        if not tensors or any(not tensor.dim() for tensor in tensors) or len(set(lengths)) > 1:
            raise ValueError(f"a TensorDataset takes tensors of one length; they have {lengths}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        """Return a sample; or several, for a tensor of indices."""
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])


def default_collate(batch: Sequence[Any]) -> Any:
    """Return samples as one batch.

    Parameters
    ----------
    batch
        Samples of one form: tensors of one shape, which are stacked; arrays and numbers, which become a tensor; texts,
        which stay as they are; or tuples, lists and dicts of these, taken apart as torch does (a tuple becomes a list).

    Raises
    ------
    TypeError
        If a sample is of another type.
    """
    first = batch[0]
    if isinstance(first, core.Tensor):
        return _stack(list(batch))
    if hasattr(first, "__array_interface__"):
        return _stack([core.as_tensor(sample) for sample in batch])
    if isinstance(first, (int, float)):
        return core.tensor(batch, dtype=core.float64 if isinstance(first, float) else None)
    if isinstance(first, (str, bytes)):
        return batch
    return _parted(first, batch)


def _parted(first: Any, batch: Sequence[Any]) -> Any:
    """Return samples of several parts as one batch of as many parts."""
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if not isinstance(first, Sequence):
        raise TypeError(
            f"a batch is made of tensors, arrays, numbers, texts, dicts and lists, not of {type(first).__name__}: give "
            "the DataLoader a collate_fn"
        )
    if len({len(sample) for sample in batch}) > 1:
        raise RuntimeError("each element in list of batch should be of equal size")
    parts = [default_collate(part) for part in zip(*batch, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else parts


class DataLoader:
    """Samples in batches; each iteration goes through all of them once.

    Parameters
    ----------
    dataset
        Has a length, and samples by their index.
    batch_size
        How many samples a batch has.
    shuffle
        Go through them in an order that is drawn anew each time.
    collate_fn
        Makes a batch of a list of samples, by default `default_collate`.
    drop_last
        Leave a last batch out that has fewer.
    generator
        Draws the order, by default the one of `manual_seed`.
    num_workers, pin_memory
        0 and False, as by default: taken so that programs which say so run.

    Raises
    ------
    UnsupportedError
        If workers or pinned memory are asked for.
    ValueError
        If `batch_size` is not positive.
    """

    def __init__(  # noqa: PLR0913 - torch's options
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        drop_last: bool = False,
        generator: Generator | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        if num_workers or pin_memory:
            raise UnsupportedError(
                f"a DataLoader here has no workers and pins no memory, but got {num_workers=}, {pin_memory=}: leave "
                "them out. Operators release the GIL: a thread can prepare the next batch, and batch.pin_memory() pins"
            )
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.collate_fn, self.generator = collate_fn, generator

    def __len__(self) -> int:
        samples, size = len(self.dataset), self.batch_size
        return samples // size if self.drop_last else -(-samples // size)

    def __iter__(self) -> Iterator[Any]:
        self._drawn(self.generator)  # torch draws a seed for its workers first, and the order would be another without
        return self._batches()

    def _batches(self) -> Iterator[Any]:
        generator = self.generator
        if self.shuffle and generator is None:
            generator = core.Generator().manual_seed(self._drawn(None))
        order = self._permutation(generator) if self.shuffle else range(len(self.dataset))
        for number in range(len(self)):
            indices = order[number * self.batch_size : (number + 1) * self.batch_size]
            if isinstance(self.dataset, TensorDataset) and self.collate_fn is None:
                yield list(self.dataset[core.tensor(indices)])  # the same batch, without its samples one by one
            else:
                yield (self.collate_fn or default_collate)([self.dataset[index] for index in indices])
        if self.shuffle:
            self._permutation(generator)  # torch draws one that it does not use; the next order follows from it

    def _permutation(self, generator: Generator | None) -> Sequence[int]:
        order: list[int] = _randperm(len(self.dataset), generator=generator).tolist()
        return order

    @staticmethod
    def _drawn(generator: Generator | None) -> int:
        return int(_empty((), dtype=core.int64).random_(generator=generator).item())
