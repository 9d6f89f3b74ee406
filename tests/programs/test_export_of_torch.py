"""Programs that torch exported: they compute here what they compute there.

The corpus is of small functions; each is exported as it is and once more decomposed into core operators, and is run on
inputs of several sizes.
"""

# ruff: noqa: E501 - the corpus is a table: a program a line
from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import libtorch_ffi as lt
from libtorch_ffi import export

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, while it exports


@dataclass(frozen=True)
class Case:
    """A function, and what it is called with: shapes of float tensors, the first dimension dynamic where `dynamic`."""

    name: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...] = ((4, 6),)
    dynamic: bool = True
    module: Callable[[ModuleType], Any] | None = None


def of(name: str, function: Callable[..., Any], *shapes: tuple[int, ...], dynamic: bool = True) -> Case:
    return Case(name, function, shapes or ((4, 6),), dynamic)


def network(name: str, make: Callable[[ModuleType], Any], *shapes: tuple[int, ...], dynamic: bool = True) -> Case:
    return Case(name, lambda t: None, shapes, dynamic, make)


CASES = [
    of("arithmetic", lambda t, x, y: (x + y * 2 - x / (y.abs() + 1), 2 - x, x**2, -x), (4, 6), (4, 6)),
    of("elementary", lambda t, x: (x.exp(), x.abs().log1p(), x.sin().cos(), x.tanh(), x.sigmoid(), x.erf(), x.rsqrt())),
    of("rounding", lambda t, x: (x.floor(), x.ceil(), x.round(), x.trunc(), x.sign(), x.frac(), (x * 3).fmod(2))),
    of("comparisons", lambda t, x, y: (x > y, x <= 0, (x == y).logical_not(), t.where(x > 0, x, y)), (4, 6), (4, 6)),
    of("reductions", lambda t, x: (x.sum(1), x.mean(), x.amax(1), x.var(0), x.prod(1), x.norm(), x.argmin(1))),
    of("extremes", lambda t, x: (*x.max(1), *x.topk(2, 1), *x.sort(1, descending=True), x.cumsum(0), x.logsumexp(1))),
    of("shapes", lambda t, x: (x.view(-1), x.t(), x.unsqueeze(1).expand(-1, 3, -1), x.reshape(-1, 2), x.flip(1))),
    of("slices", lambda t, x: (x[1:], x[:, ::2], x[..., -1], x.narrow(1, 1, 3), x.select(0, 1), x.index_select(1, t.tensor([0, 2])))),
    of("indexing", lambda t, x: (x[t.tensor([0, 1])], x[:, t.tensor([1, 1])], x.gather(1, t.zeros(x.shape[0], 2, dtype=t.long)))),
    of("joining", lambda t, x: (t.cat([x, x * 2], 1), t.stack([x, x]), t.hstack([x, x]), *x.split(2, 1), *x.unbind(1)[:2], *x.chunk(3, 1))),
    of("making", lambda t, x: (t.zeros(x.shape[0], 2), t.ones_like(x), t.arange(x.shape[0]), t.full((x.shape[1],), 2.5), t.eye(3), t.linspace(0, 1, 5))),
    of("masks", lambda t, x: (x.tril(), x.masked_fill(x > 0, -1e9), t.ones(3, 3).triu(1), x.clamp(-0.5, 0.5), x.clamp_min(0))),
    of("matrices", lambda t, x, y: (x @ y.t(), t.mm(x, x.t()), t.bmm(x[None], x.t()[None]), t.einsum("ij,kj->ik", x, y), t.outer(x[0], y[0])), (4, 6), (4, 6)),
    of("activations", lambda t, x: tuple(getattr(t.nn.functional, f)(x) for f in ("relu", "gelu", "silu", "elu", "hardswish", "softplus", "leaky_relu", "mish"))),
    of("softmaxes", lambda t, x: (x.softmax(-1), x.log_softmax(0), t.nn.functional.normalize(x), t.nn.functional.layer_norm(x, (6,)))),
    of("dtypes", lambda t, x: (x.to(t.float64), x.half().float(), x.long(), x.bool(), x.int() // 2, x.type_as(t.ones(1, dtype=t.float64)))),
    of("integers", lambda t, x: (x.long() % 3, x.long() & 1, x.long() << 1, x.long().bitwise_not(), t.bincount(x.long().abs().flatten(), minlength=8)), dynamic=False),
    of("complex numbers", lambda t, x: (t.fft.rfft(x).abs(), t.complex(x, x).conj().real, t.view_as_real(t.complex(x, -x)))),
    of("sizes", lambda t, x: (x.shape[0] * 2, x.new_full((x.shape[0] // 2 + 1,), x.shape[0] / 2), x.numel(), x.new_zeros(x.size(0) + 1), t.ones(max(x.shape[0], 3)))),
    of("padding", lambda t, x: (t.nn.functional.pad(x, (1, 2)), t.nn.functional.pad(x[None], (1, 1), "reflect"), t.roll(x, 1, 0), x.repeat(2, 1), x.repeat_interleave(2, 0))),
    of("in place", lambda t, x: (y := x.clone()).add_(1).mul_(x).clamp_(max=3)[0].fill_(9) + y),
    of("scattering", lambda t, x: (x.scatter(1, t.zeros(1, 2, dtype=t.long), 5.0), x.index_add(1, t.tensor([0]), x[:, :1]), x.index_put((t.tensor([0]),), x[1]))),
    of("distances", lambda t, x, y: (t.pairwise_distance(x, y), t.nn.functional.cosine_similarity(x, y), t.nn.functional.mse_loss(x, y), (x - y).square().sum(-1).sqrt()), (4, 6), (4, 6)),
    of("decompositions", lambda t, x: (t.linalg.qr(x)[1].abs(), t.linalg.svdvals(x), t.linalg.inv(x @ x.t() + t.eye(4)), t.linalg.det(x @ x.t())), dynamic=False),
    network("a convolutional network", lambda t: t.nn.Sequential(t.nn.Conv2d(3, 8, 3, padding=1), t.nn.BatchNorm2d(8), t.nn.ReLU(), t.nn.MaxPool2d(2), t.nn.ConvTranspose2d(8, 4, 2, stride=2), t.nn.GroupNorm(2, 4), t.nn.AdaptiveAvgPool2d(2), t.nn.Flatten(), t.nn.Linear(16, 5)), (4, 3, 8, 8)),
    network("pooling and resizing", lambda t: t.nn.Sequential(t.nn.AvgPool2d(2), t.nn.Upsample(scale_factor=2, mode="bilinear"), t.nn.PixelShuffle(2), t.nn.Upsample(scale_factor=2)), (4, 4, 8, 8)),
    network("a transformer", lambda t: t.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (4, 5, 16)),
    network("recurrent networks", lambda t: t.nn.LSTM(6, 8, batch_first=True), (3, 5, 6), dynamic=False),
]  # fmt: skip


@functools.cache
def exported(torch: ModuleType, case: Case) -> tuple[Any, Any]:
    """Return the module of a case, and its exported program."""

    class Function(torch.nn.Module):  # type: ignore[name-defined,misc] # torch is a fixture
        def forward(self, *inputs: Any) -> Any:
            return case.function(torch, *inputs)

    torch.manual_seed(0)
    module = (Function() if case.module is None else case.module(torch)).eval()
    inputs = tuple(torch.randn(shape) for shape in case.shapes)
    batch = torch.export.Dim("batch", min=3, max=512)
    dims = [{0: batch} for _ in inputs] if case.dynamic else None
    shapes = None if dims is None else (tuple(dims),) if case.module is None else tuple(dims)
    return module, torch.export.export(module, inputs, dynamic_shapes=shapes)


def saved(torch: ModuleType, program: Any) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def ours(value: Any) -> Any:
    """Return a tensor of torch's values."""
    return lt.from_numpy(value.detach().numpy().copy())


def assert_same(torch: ModuleType, got: Any, expected: Any) -> None:
    """Compare results, which may be nested."""
    if isinstance(expected, torch.Tensor):
        assert got.dtype == getattr(lt, str(expected.dtype).removeprefix("torch."))
        np.testing.assert_allclose(got.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-5)
    elif isinstance(expected, (tuple, list)):
        assert len(got) == len(expected)
        for left, right in zip(got, expected, strict=True):
            assert_same(torch, left, right)
    else:
        assert got == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_corpus(torch: ModuleType, case: Case) -> None:
    module, program = exported(torch, case)
    for form in (program, program.run_decompositions()):
        loaded = export.load(saved(torch, form))
        for batch in (case.shapes[0][0], 3, 7) if case.dynamic else (case.shapes[0][0],):
            inputs = [torch.randn(batch, *shape[1:]) for shape in case.shapes]
            with torch.no_grad():
                assert_same(torch, loaded(*map(ours, inputs)), module(*inputs))


def test_the_corpus_covers_many_operators(torch: ModuleType) -> None:
    operators: set[str] = set()
    for case in CASES:
        operators.update(
            node.target.name() for node in exported(torch, case)[1].graph.nodes if hasattr(node.target, "name")
        )
    assert len(operators) >= 120
