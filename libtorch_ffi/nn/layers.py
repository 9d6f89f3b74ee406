"""Layers, under torch's names, with torch's first numbers for the same seed.

Owns `Linear`, `Embedding`, `Dropout`, what changes a shape, and how weights and biases begin. Each layer holds its
parameters, made in float32 on the CPU, and hands them to a function of `libtorch_ffi.nn.functional`, which checks them;
`Module.to` moves them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from libtorch_ffi._aten import one
from libtorch_ffi.nn import functional, init
from libtorch_ffi.nn.function import Function
from libtorch_ffi.nn.module import Module, Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libtorch_ffi._C import Tensor

__all__ = [
    "Affine",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "Embedding",
    "Flatten",
    "Identity",
    "Linear",
    "Unflatten",
]

_empty = one("empty")


class Affine(Module):
    """What has a weight and perhaps a bias, which begin as torch's linear layers and convolutions do."""

    def _make(self, shape: tuple[int, ...], outputs: int, *, bias: bool) -> None:
        self.weight = Parameter(_empty(shape))
        self.register_parameter("bias", Parameter(_empty(outputs)) if bias else None)
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = math.prod(shape[1:])
        if bias and fan_in:
            init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))


class Linear(Affine):
    """``x @ weight.T + bias``, for x of shape (…, in_features)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self._make((out_features, in_features), out_features, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the product, of shape (…, out_features)."""
        result: Tensor = functional.linear(input, self.weight, self.bias)
        return result

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Embedding(Module):
    """A table of vectors, looked up by number; no gradient reaches the row `padding_idx`, which begins as zeros."""

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None) -> None:
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"padding_idx is a row of the {num_embeddings}, not {padding_idx}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(_empty((num_embeddings, embedding_dim)))
        init.normal_(self.weight)
        if self.padding_idx is not None:
            init.zeros_(self.weight.data[self.padding_idx])

    def forward(self, input: Tensor) -> Tensor:
        """Return the rows that ints of any shape name, of shape (…, embedding_dim)."""
        return functional.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """Return the sizes, and the row that learns nothing."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Dropout(Function, of="dropout"):
    """In training, zeros in place of elements drawn with probability `p`, and the others larger by as much."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__(p=p, inplace=inplace)
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")

    def _given(self) -> dict[str, Any]:
        return {**super()._given(), "training": self.training}

    def extra_repr(self) -> str:
        """Return the probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout, of="dropout1d"):
    """`Dropout` of whole channels of (batch, channels, length)."""


class Dropout2d(Dropout, of="dropout2d"):
    """`Dropout` of whole channels of (batch, channels, height, width)."""


class Dropout3d(Dropout, of="dropout3d"):
    """`Dropout` of whole channels of (batch, channels, depth, height, width)."""


class Identity(Module):
    """What it is given. It takes any arguments, so that it can stand for another layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - whatever the other layer takes
        super().__init__()

    def forward(self, input: Any) -> Any:
        """Return the input."""
        return input


class Flatten(Module):
    """The dimensions from `start_dim` to `end_dim` as one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Return a view of the input where that can be, else a copy."""
        result: Tensor = input.flatten(self.start_dim, self.end_dim)
        return result

    def extra_repr(self) -> str:
        """Return the dimensions."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """The dimension `dim` as several, of the sizes given."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """Return a view of the input."""
        result: Tensor = input.unflatten(self.dim, self.unflattened_size)
        return result

    def extra_repr(self) -> str:
        """Return the dimension and the sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
