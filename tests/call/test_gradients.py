"""Gradients of many operators, against finite differences."""

from __future__ import annotations

import pytest
from gradients import check_gradient

import libtorch_ffi as lt

EXPRESSIONS = """
x.exp()
x.log()
x.log1p()
x.expm1()
x.sqrt()
x.rsqrt()
x.sin() * x.cos()
x.tan()
x.atan()
x.sinh() + x.cosh()
x.asinh()
x.tanh()
x.sigmoid()
m.special.digamma(x)
x.lgamma()
x.erf() - x.erfc()
x.reciprocal()
x.square() ** 1.5
x ** y
x / y
x * y - y / 3
m.atan2(x, y)
m.hypot(x, y)
m.logaddexp(x, y)
m.lerp(x, y, 0.3)
m.addcmul(x, x, y, value=2)
m.addcdiv(x, x, y, value=-0.5)
m.maximum(x, y) + m.minimum(x, y)
m.clamp(x, 0.5, 1.1)
m.where(x > 1, x * 2, y)
x.abs() * m.sign(y)
x.sum(0, keepdim=True) * x
x.mean(1).prod()
x.var(1) + x.std(0)[:3]
x.norm(3, 1)
m.linalg.vector_norm(x, 2.5)
x.amax(1) * x.amin(1)
x.logsumexp(1)
x.cumsum(1).cumprod(0)
x.softmax(1)[:, 1]
x.log_softmax(0)[1]
x.sort(1, descending=True).values * y
x.topk(2, 1).values
x.median(1).values
x.gather(1, m.tensor([[0, 2], [1, 1], [3, 0]]))
x.index_select(0, m.tensor([2, 0, 2]))
x[m.tensor([0, 2]), 1:3]
x[x > 1]
m.scatter_add(x, 1, m.tensor([[0, 1]] * 3), y[:, :2])
m.index_add(x, 0, m.tensor([1, 1]), y[:2])
x.t().contiguous().view(2, 6)
x.unfold(1, 2, 1) * 2
x.flip(0).roll(1, 1) * y
m.cat([x, y * x], 1)[:, 2:6]
m.stack(m.unbind(x, 1), 0) @ y
m.diagonal(x, 1) * m.tril(x).sum()
m.einsum("ij,kj->ik", x, y)
m.addmm(x[:, :3], x, y.t(), beta=0.5, alpha=2)
m.bmm(x.unsqueeze(0), y.t().unsqueeze(0))
m.baddbmm(x.unsqueeze(0)[..., :3], x.unsqueeze(0), y.t().unsqueeze(0))
m.outer(x[0], y[1])
m.kron(x[:2, :2], y[:2, :2])
m.linalg.det(x @ x.t() + m.eye(3, dtype=x.dtype))
m.linalg.slogdet(x @ x.t() + m.eye(3, dtype=x.dtype)).logabsdet
m.linalg.cholesky(x @ x.t() + m.eye(3, dtype=x.dtype))
m.linalg.solve(x @ x.t() + m.eye(3, dtype=x.dtype), y)
m.linalg.svdvals(x)
m.linalg.eigvalsh(x @ x.t())
m.linalg.matrix_exp(x @ y.t() / 9)
m.linalg.qr(x.t()).R.abs()
m.cdist(x, y * 2)
m.cosine_similarity(x, y)
m.layer_norm(x, [4], y[0], y[1])
m.group_norm(x.unsqueeze(0)[..., None].transpose(1, 2), 2, y[0])
m.batch_norm(x, y[0], y[1], None, None, True, 0.1, 1e-5, False)
m.conv1d(x.unsqueeze(0), y[:, :2].reshape(2, 3, 1), padding=1)
m.conv2d(x[None, None], y[:2, :2][None, None], stride=2)
m.conv_transpose1d(x.unsqueeze(0), y[:, :2].unsqueeze(1), stride=2)
m.max_pool2d(x[None, None], 2, 1)
m.avg_pool1d(x.unsqueeze(0), 2)
m.adaptive_avg_pool1d(x.unsqueeze(0), 3)
m.constant_pad_nd(x, [1, 2], 0.5)
m.embedding(x, m.tensor([[0, 2], [1, 1]]))
m.prelu(x - 1, y[0])
m.rrelu(x - 1)
m.celu(x - 1) + m.selu(x - 1)
m.ops.aten.gelu.default(x - 1)
m.ops.aten.silu.default(x - 1) + m.ops.aten.mish.default(x - 1)
m.ops.aten.hardswish.default(x) + m.ops.aten.softplus.default(x)
m.ops.aten.huber_loss.default(x, y, 0)
m.ops.aten.binary_cross_entropy_with_logits.default(x, (y > 1).double())
m.ops.aten.nll_loss.default(x.log_softmax(1), m.tensor([1, 0, 3]))
m.ops.aten.upsample_bilinear2d.default(x[None, None], [5, 6], True)
m.ops.aten.grid_sampler_2d.default(x[None, None], y[:, :2].reshape(1, 3, 1, 2) - 1, 0, 0, False)
m.ops.aten.scaled_dot_product_attention.default(x[None], y[None], x[None] * 2)
m.ops.aten.pixel_shuffle.default(x.reshape(1, 4, 1, 3), 2)
m.fft.rfft(x, dim=1).abs()
m.view_as_real(m.complex(x, y) * m.complex(y, x).conj())
m.polar(x, y).real
m.ops.aten.renorm.default(x, 2, 0, 1.0)
m.trapezoid(x, y, dim=1)
m.cumulative_trapezoid(x, dim=1)
m.diff(x, dim=1) * 3
m.special.logit(x / 3)
m.special.xlogy(x, y)
m.special.entr(x)
m.special.i0e(x) + m.special.ndtr(x)
""".strip().splitlines()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_gradients_by_finite_differences(expression: str) -> None:
    """The inputs are positive, distinct and away from the kinks of the functions."""
    lt.manual_seed(1)
    x, y = (lt.rand(3, 4, dtype=lt.float64) + 0.5 for _ in range(2))
    check_gradient(lambda x, y: eval(expression, {"m": lt, "x": x, "y": y}), x.requires_grad_(), y.requires_grad_())
