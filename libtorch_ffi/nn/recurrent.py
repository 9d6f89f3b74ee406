"""Networks that go along a sequence: `RNN`, `LSTM` and `GRU`, under torch's names.

Owns their weights, in torch's order and under torch's names, and the state that they begin with. libtorch's operators
compute them: all layers and steps of a sequence in one call. Sequences are of one length; torch's packed ones are not
here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from libtorch_ffi._aten import one
from libtorch_ffi.nn import init
from libtorch_ffi.nn.module import Module, Parameter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from libtorch_ffi._C import Tensor

    Pair: TypeAlias = tuple[Tensor, Tensor]

__all__ = ["GRU", "LSTM", "RNN"]

_empty, _zeros = map(one, ("empty", "zeros"))
_BATCHED = 3
"""The dimensions of a batch of sequences."""


class _Recurrent(Module):
    _gates: ClassVar[int] = 1
    _operator: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        if hidden_size < 1 or num_layers < 1:
            raise ValueError(f"expected a layer and an element of it, but got {hidden_size=}, {num_layers=}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout is a probability, between 0 and 1, not {dropout}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        for name, shape in self._shapes():
            weight = Parameter(_empty(shape))
            init.uniform_(weight, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))
            self.register_parameter(name, weight)

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Iterate over the weights of each layer and direction: of the input, of the state, and their biases."""
        rows = self._gates * self.hidden_size
        for layer in range(self.num_layers):
            given = self.hidden_size * self._directions if layer else self.input_size
            for suffix in (f"_l{layer}", f"_l{layer}_reverse")[: self._directions]:
                yield f"weight_ih{suffix}", (rows, given)
                yield f"weight_hh{suffix}", (rows, self.hidden_size)
                if self.bias:
                    yield f"bias_ih{suffix}", (rows,)
                    yield f"bias_hh{suffix}", (rows,)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _run(self, input: Tensor, state: Any, begin: Any) -> tuple[Any, ...]:
        """Return what the operator computes of a batch: the results, and the last states."""
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"expected an input of {self.input_size} elements a step, but got {input.shape[-1]}")
        if state is not None:
            self._check(state, begin)
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first)
        weights = [getattr(self, name) for name, _ in self._shapes()]
        found: Any = one(self._operator)(input, begin if state is None else state, weights, *options)
        return tuple(found)

    def _check(self, state: Any, begin: Any) -> None:
        """Refuse a state that is not of the shape of the one to begin with: the operator would not."""
        states, wanted = (state, begin) if isinstance(begin, tuple) else ((state,), (begin,))
        if not isinstance(states, (tuple, list)) or len(states) != len(wanted):
            raise TypeError(f"{type(self).__name__} has a state of {len(wanted)} tensors, in a tuple")
        for given, own in zip(states, wanted, strict=True):
            if given.shape != own.shape:
                raise RuntimeError(f"Expected hidden size {tuple(own.shape)}, got {list(given.shape)}")

    def _batch(self, input: Tensor) -> tuple[Tensor, bool]:
        """Return a batch, of the one sequence where it is one, and whether it was a batch already."""
        if input.dim() == _BATCHED:
            return input, True
        if input.dim() != _BATCHED - 1:
            raise ValueError(f"{type(self).__name__}: expected input to be 2D or 3D, got {input.dim()}D instead")
        return input.unsqueeze(self._place), False

    @property
    def _place(self) -> int:
        return 0 if self.batch_first else 1

    def _begin(self, input: Tensor) -> Tensor:
        shape = (self.num_layers * self._directions, input.shape[self._place], self.hidden_size)
        result: Tensor = _zeros(shape, dtype=input.dtype, device=input.device)
        return result

    def _forward(self, input: Tensor, hx: Tensor | None) -> Pair:
        """Compute what has one state, of shape (layers * directions, batch, hidden)."""
        batch, batched = self._batch(input)
        state = hx if hx is None or batched else hx.unsqueeze(1)
        result, last = self._run(batch, state, self._begin(batch))
        return (result, last) if batched else (result.squeeze(self._place), last.squeeze(1))

    def extra_repr(self) -> str:
        """Return the sizes, and what is not the default."""
        shown = f"{self.input_size}, {self.hidden_size}"
        shown += f", num_layers={self.num_layers}" if self.num_layers != 1 else ""
        shown += "" if self.bias else ", bias=False"
        shown += ", batch_first=True" if self.batch_first else ""
        shown += f", dropout={self.dropout}" if self.dropout else ""
        return shown + (", bidirectional=True" if self.bidirectional else "")


class RNN(_Recurrent):
    """``h = tanh(W x + b + V h + c)`` along a sequence; see `LSTM`. `nonlinearity` may be ``"relu"``."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", **options: Any
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(input_size, hidden_size, num_layers, **options)
        self.nonlinearity, self._operator = nonlinearity, f"rnn_{nonlinearity}"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Pair:
        """Return the result of each step, and the last state."""
        return self._forward(input, hx)


class GRU(_Recurrent):
    """Gated recurrent units along a sequence; see `LSTM`."""

    _gates = 3
    _operator = "gru"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Pair:
        """Return the result of each step, and the last state."""
        return self._forward(input, hx)


class LSTM(_Recurrent):
    """Long short-term memory along a sequence.

    Parameters
    ----------
    input_size, hidden_size
        Elements of a step, and of the state.
    num_layers, dropout
        Layers, of which each gets the results of the one below; in training these with `dropout` between them.
    bias
        Whether to have biases.
    batch_first
        Whether a batch is (batch, steps, input_size), and not (steps, batch, input_size). One sequence is
        (steps, input_size).
    bidirectional
        Go along the sequence backwards too; a step's result has both.
    """

    _gates = 4
    _operator = "lstm"

    def forward(self, input: Tensor, hx: Pair | None = None) -> tuple[Tensor, Pair]:
        """Return the result of each step, and the last state and memory, (layers * directions, batch, hidden) each."""
        batch, batched = self._batch(input)
        state = hx if hx is None or batched or not isinstance(hx, tuple) else tuple(part.unsqueeze(1) for part in hx)
        result, hidden, memory = self._run(batch, state, (self._begin(batch), self._begin(batch)))
        if batched:
            return result, (hidden, memory)
        return result.squeeze(self._place), (hidden.squeeze(1), memory.squeeze(1))
