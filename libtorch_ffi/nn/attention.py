"""Attention of several heads as a module, under torch's name.

Owns `MultiheadAttention`: its weights and the masks. `functional.scaled_dot_product_attention` computes it where the
weights of the attention are not asked for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi.nn import functional, init
from libtorch_ffi.nn.layers import Linear
from libtorch_ffi.nn.module import Module, Parameter

if TYPE_CHECKING:
    from libtorch_ffi._C import Tensor

__all__ = ["MultiheadAttention"]

_empty, _zeros, _zeros_like = map(one, ("empty", "zeros", "zeros_like"))
_BATCHED = 3
"""The dimensions of a batch of sequences."""


class MultiheadAttention(Module):
    """Each step of one sequence as a mean of those of another, weighed by how well query and key fit, in several ways.

    Parameters
    ----------
    embed_dim
        Elements of a step, of both sequences.
    num_heads
        In how many ways; each has ``embed_dim / num_heads`` elements.
    dropout
        Of the weights, in training.
    bias
        Whether to have biases.
    batch_first
        Whether a batch is (batch, steps, embed_dim), and not (steps, batch, embed_dim).
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, *, batch_first: bool = False
    ) -> None:
        super().__init__()
        if num_heads < 1 or embed_dim < 1 or embed_dim % num_heads:
            raise ValueError(f"embed_dim must be divisible by num_heads, but got {embed_dim=}, {num_heads=}")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.in_proj_weight = Parameter(_empty((3 * embed_dim, embed_dim)))
        self.register_parameter("in_proj_bias", Parameter(_zeros(3 * embed_dim)) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias)
        init.xavier_uniform_(self.in_proj_weight)
        if bias:
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the means, of the query's shape, and the weights, or None.

        Parameters
        ----------
        query, key, value
            A batch of sequences, or one sequence: (steps, embed_dim).
        key_padding_mask, attn_mask
            Which keys are not to be looked at: of shape (batch, keys), and of (queries, keys) or
            (batch * heads, queries, keys). True for such a key; or numbers that are added before the softmax.
        need_weights, average_attn_weights
            Whether to return the weights, (batch, queries, keys), as their mean over the heads or with a dimension of
            heads before the queries. Without them it is faster.
        is_causal
            As in torch, a word about `attn_mask`, which has to be given.
        """
        if is_causal and attn_mask is None:
            raise RuntimeError("is_causal says that attn_mask is causal, and takes one: give attn_mask as well")
        sequences = [query, key, value]
        batched = query.dim() == _BATCHED
        if not batched:
            sequences = [given.unsqueeze(0) for given in sequences]
        elif not self.batch_first:
            sequences = [given.transpose(0, 1) for given in sequences]
        heads = self._heads(*sequences)
        padding = key_padding_mask if batched or key_padding_mask is None else key_padding_mask.unsqueeze(0)
        means, weights = self._attend(*heads, self._mask(padding, attn_mask, heads[0]), need_weights)
        result = self.out_proj(means.transpose(1, 2).flatten(2))
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if not batched:
            return result.squeeze(0), None if weights is None else weights.squeeze(0)
        return (result if self.batch_first else result.transpose(0, 1)), weights

    def _heads(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the three, each times its part of the weight, as (batch, heads, steps, elements)."""
        weights = self.in_proj_weight.chunk(3)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        made = [
            functional.linear(tensor, weight, bias).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for tensor, weight, bias in zip((query, key, value), weights, biases, strict=True)
        ]
        return made[0], made[1], made[2]

    def _mask(self, padding: Tensor | None, mask: Tensor | None, query: Tensor) -> Tensor | None:
        """Return both masks as one, of numbers to add, that fits (batch, heads, queries, keys)."""
        parts = []
        if mask is not None:
            parts.append(mask.unflatten(0, (-1, self.num_heads)) if mask.dim() == _BATCHED else mask)
        if padding is not None:
            parts.append(padding[:, None, None, :])
        numbers = [_numbers(part, query) for part in parts]
        return sum(numbers[1:], numbers[0]) if numbers else None

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        share = self.dropout if self.training else 0.0
        if not need_weights:
            means: Tensor = functional.scaled_dot_product_attention(query, key, value, mask, share)
            return means, None
        fit = (query / math.sqrt(query.shape[-1])) @ key.transpose(-2, -1)
        weights = functional.softmax(fit if mask is None else fit + mask, dim=-1)
        weights = functional.dropout(weights, share, training=self.training)
        return weights @ value, weights


def _numbers(mask: Tensor, query: Tensor) -> Tensor:
    """Return a mask as numbers to add: minus infinity where a key is not to be looked at."""
    if mask.dtype != core.bool:
        return mask
    result: Tensor = _zeros_like(mask, dtype=query.dtype)
    result.masked_fill_(mask, float("-inf"))
    return result
