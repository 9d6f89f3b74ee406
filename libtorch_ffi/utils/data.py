"""Data in batches, under torch's names and in torch's order for the same seed.

Owns `TensorDataset`, `DataLoader` and `default_collate`. There are no workers: libtorch's operators release the GIL, so
a thread of the program's own prepares the next batch where that is worth it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from libtorch_ffi._C import Generator, Tensor

__all__ = ["DataLoader", "TensorDataset", "default_collate"]

_empty, _randperm, _stack = map(one, ("empty", "randperm", "stack"))


class TensorDataset:
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

    Raises
    ------
    ValueError
        If `batch_size` is not positive.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        drop_last: bool = False,
        generator: Generator | None = None,
    ) -> None:
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
