"""Every layer against torch's own: names, first numbers, what it shows, what it computes, and gradients."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import libtorch_ffi as lt
from libtorch_ffi import nn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

LAYERS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        (
            "CELU(0.5)",
            "ELU(0.5)",
            "GELU()",
            "GELU('tanh')",
            "GLU(1)",
            "Hardsigmoid()",
            "Hardswish()",
            "Hardtanh(-0.5, 2.0)",
            "LeakyReLU(0.2)",
            "LogSigmoid()",
            "LogSoftmax(1)",
            "Mish()",
            "PReLU()",
            "PReLU(4, 0.5)",
            "ReLU()",
            "ReLU(inplace=True)",
            "ReLU6()",
            "SELU()",
            "SiLU()",
            "Sigmoid()",
            "Softmax(dim=1)",
            "Softplus(2.0)",
            "Softsign()",
            "Tanh()",
            "Identity(3, unused=True)",
            "Flatten()",
            "Flatten(0, 1)",
            "Unflatten(1, (2, 2))",
            "Dropout(0.0)",
            "Linear(6, 3)",
            "Linear(6, 3, bias=False)",
            "LayerNorm((4, 6))",
            "GroupNorm(2, 4)",
            "GroupNorm(2, 4, affine=False)",
            "BatchNorm1d(4)",
            "BatchNorm1d(4, momentum=None)",
            "Conv1d(4, 6, 3, padding=1, groups=2)",
            "Conv1d(4, 6, 3, padding='same', dilation=2)",
            "ConvTranspose1d(4, 6, 3, stride=2, output_padding=1)",
            "MaxPool1d(2)",
            "AvgPool1d(3, 1, 1)",
            "AdaptiveAvgPool1d(2)",
            "AdaptiveMaxPool1d(2)",
            "Upsample(scale_factor=2.0)",
            "GRU(6, 5, batch_first=True)",
            "GRU(6, 5, num_layers=2, bidirectional=True)",
            "RNN(6, 5)",
            "RNN(6, 5, nonlinearity='relu', bias=False)",
            "LSTM(6, 5, num_layers=2, batch_first=True)",
            "LSTM(6, 5, bidirectional=True, dropout=0.0)",
        ),
        (3, 4, 6),
    ),
    "BatchNorm1d(6)": (3, 6),
    "GRU(6, 5)": (4, 6),
    "LSTM(6, 5)": (4, 6),
    **dict.fromkeys(
        (
            "Conv2d(4, 6, 3)",
            "Conv2d(4, 6, (1, 3), stride=(2, 1), padding=(0, 1), bias=False)",
            "ConvTranspose2d(4, 6, 3, 2, padding=1, groups=2)",
            "BatchNorm2d(4, affine=False)",
            "MaxPool2d(2)",
            "MaxPool2d(3, 2, 1, ceil_mode=True)",
            "AvgPool2d(2, count_include_pad=False)",
            "AdaptiveAvgPool2d((1, None))",
            "AdaptiveMaxPool2d(2)",
            "Upsample((8, 8), mode='bilinear', align_corners=True)",
        ),
        (2, 4, 6, 6),
    ),
    **dict.fromkeys(
        (
            "Conv3d(2, 4, 3, padding=1)",
            "ConvTranspose3d(2, 4, 2)",
            "BatchNorm3d(2)",
            "MaxPool3d(2)",
            "AvgPool3d(2)",
            "AdaptiveAvgPool3d(1)",
            "AdaptiveMaxPool3d(1)",
        ),
        (2, 2, 4, 4, 4),
    ),
}


def built(module: Any, text: str) -> Any:
    module.manual_seed(5)
    return eval(f"nn.{text}", {"nn": module.nn})


def leaves(result: Any) -> list[Any]:
    """The tensors of a result."""
    return [leaf for part in result for leaf in leaves(part)] if isinstance(result, tuple) else [result]


def trained(module: Any, text: str, shape: tuple[int, ...]) -> list[np.ndarray[Any, Any]]:
    """What a layer computes in training, the gradients, its state after that, and what it computes in evaluation."""
    layer = built(module, text)
    data = np.random.default_rng(1).standard_normal(shape).astype("float32")
    given = module.from_numpy(data).requires_grad_()
    results = leaves(layer(given * 1))
    sum((part * module.arange(part.shape[-1])).sum() for part in results).backward()
    gradients = [given.grad, *(p.grad for p in layer.parameters())]
    with module.no_grad():
        after = leaves(layer.eval()(module.from_numpy(data)))
    return [part.detach().numpy() for part in (*results, *gradients, *layer.state_dict().values(), *after)]


@pytest.mark.parametrize("text", LAYERS)
def test_layers_are_torchs(text: str, torch: ModuleType) -> None:
    ours, theirs = built(lt, text), built(torch, text)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].numpy(), value.numpy(), err_msg=name)
    assert repr(ours) == repr(theirs)
    numbers = (trained(module, text, LAYERS[text]) for module in (lt, torch))
    for mine, reference in zip(*numbers, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", LAYERS)
def test_layers_go_through_a_pickle(text: str) -> None:
    layer = built(lt, text).eval()
    again = pickle.loads(pickle.dumps(layer))
    x = lt.randn(LAYERS[text])
    for mine, other in zip(leaves(layer(x)), leaves(again(x)), strict=True):
        assert lt.equal(mine, other)
    assert repr(again) == repr(layer)


LOSSES = {
    "BCELoss()": "chances",
    "BCEWithLogitsLoss(pos_weight=ones(4))": "chances",
    "CrossEntropyLoss(label_smoothing=0.1)": "classes",
    "CrossEntropyLoss(ones(4), ignore_index=1, reduction='none')": "classes",
    "HuberLoss(delta=0.5)": "chances",
    "KLDivLoss(reduction='batchmean')": "chances",
    "L1Loss()": "chances",
    "MSELoss(reduction='sum')": "chances",
    "NLLLoss(ignore_index=2)": "classes",
    "PoissonNLLLoss()": "chances",
    "SmoothL1Loss(beta=2.0)": "chances",
    "SoftMarginLoss()": "chances",
}


@pytest.mark.parametrize("text", LOSSES)
def test_losses_are_torchs(text: str, torch: ModuleType) -> None:
    chance = np.random.default_rng(2)
    guess = chance.random((5, 4), dtype="float32")
    target = chance.integers(0, 4, 5) if LOSSES[text] == "classes" else chance.random((5, 4), dtype="float32")
    seen = []
    for module in (lt, torch):
        loss = eval(f"nn.{text}", {"nn": module.nn, "ones": module.ones})
        assert repr(loss) == f"{type(loss).__name__}()"
        seen.append((list(loss.state_dict()), loss(module.from_numpy(guess), module.from_numpy(target)).numpy()))
    assert seen[0][0] == seen[1][0]
    np.testing.assert_allclose(seen[0][1], seen[1][1], rtol=1e-5)


MASKS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "none": lambda _: {},
    "padding": lambda module: {"key_padding_mask": module.tensor([[False, False, True]] * 2)},
    "causal": lambda module: {"attn_mask": module.ones(3, 3, dtype=module.bool).triu(1), "is_causal": True},
    "numbers for each head": lambda module: {"attn_mask": module.arange(36.0).view(4, 3, 3)},
    "both": lambda module: {
        "attn_mask": module.zeros(3, 3),
        "key_padding_mask": module.tensor([[0.0, float("-inf"), 0.0]] * 2),
    },
    "each head": lambda _: {"average_attn_weights": False},
    "no weights": lambda _: {"need_weights": False},
}


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_attention_is_torchs(mask: str, batch_first: bool, torch: ModuleType) -> None:
    query, key = (np.random.default_rng(n).standard_normal((2, 3, 8)).astype("float32") for n in (1, 2))
    if not batch_first:
        query, key = query.swapaxes(0, 1), key.swapaxes(0, 1)
    seen = []
    for module in (lt, torch):
        module.manual_seed(4)
        layer = module.nn.MultiheadAttention(8, 2, batch_first=batch_first)
        tensors = [module.tensor(array) for array in (query, key, key)]
        result, weights = layer(*tensors, **MASKS[mask](module))
        result.square().sum().backward()
        shown = [] if weights is None else [weights]
        parts = [*layer.state_dict().values(), result, *shown, *(p.grad for p in layer.parameters())]
        seen.append((list(layer.state_dict()), [part.detach().numpy() for part in parts]))
    assert seen[0][0] == seen[1][0]
    for mine, reference in zip(seen[0][1], seen[1][1], strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-5)


def test_attention_of_one_sequence() -> None:
    layer = nn.MultiheadAttention(4, 2, bias=False)
    x = lt.randn(3, 4)
    result, weights = layer(x, x, x)
    batched, _ = layer(x[:, None], x[:, None], x[:, None], need_weights=False)
    assert result.shape == (3, 4)
    assert weights is not None
    assert lt.allclose(weights.sum(-1), lt.ones(3))
    assert lt.allclose(result, batched[:, 0], atol=1e-6)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_sequence_goes_on_from_its_state(kind: type[Any]) -> None:
    layer = kind(3, 4, num_layers=2, batch_first=True)
    x = lt.randn(2, 6, 3)
    whole, last = layer(x)
    _, half = layer(x[:, :3])
    rest, end = layer(x[:, 3:], half)
    assert lt.allclose(whole[:, 3:], rest, atol=1e-6)
    for mine, reference in zip(leaves(end), leaves(last), strict=True):
        assert lt.allclose(mine, reference, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: nn.GroupNorm(3, 4), ValueError, "num_groups has to divide the 4 channels; it is 3"),
        (lambda: nn.Conv2d(1, 1, (3, 3, 3)), ValueError, "kernel_size has a number for each of the 2 dimensions"),
        (lambda: nn.BatchNorm1d(3)(lt.ones(3)), ValueError, "expected 2D or 3D input"),
        (lambda: nn.LSTM(3, 4)(lt.ones(5, 2, 2)), RuntimeError, "expected an input of 3 elements a step, but got 2"),
        (lambda: nn.GRU(3, 4)(lt.ones(3)), ValueError, "GRU: expected input to be 2D or 3D, got 1D instead"),
        (lambda: nn.LSTM(3, 0), ValueError, "hidden_size=0"),
        (lambda: nn.GRU(3, 4)(lt.ones(5, 2, 3), lt.zeros(1, 2, 5)), RuntimeError, r"size \(1, 2, 4\), got \[1, 2, 5\]"),
        (lambda: nn.LSTM(3, 4)(lt.ones(5, 3), (lt.zeros(1, 4), lt.zeros(1, 5))), RuntimeError, r"got \[1, 1, 5\]"),
        (lambda: nn.LSTM(3, 4)(lt.ones(5, 2, 3), lt.zeros(1, 2, 4)), TypeError, "a state of 2 tensors, in a tuple"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "not 'sin'"),
        (lambda: nn.MultiheadAttention(10, 3), ValueError, "embed_dim must be divisible by num_heads"),
        (lambda: nn.Transformer, AttributeError, r"no attribute 'Transformer': .* nn\.functional"),  # type: ignore[attr-defined] # type checkers know
    ],
)
def test_bad_input_is_refused(wrong: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()


@pytest.mark.parametrize(
    ("kind", "arguments", "shape"),
    [
        (nn.BatchNorm2d, (3,), (2, 3, 4, 4)),
        (nn.Conv2d, (3, 2, 1), (2, 3, 4, 4)),
        (nn.LSTM, (3, 4), (2, 3)),
        (nn.MaxPool2d, (2,), (2, 3, 4, 4)),
        (nn.ReLU, (), (2,)),
        (nn.Dropout, (0.5,), (2,)),
        (nn.MSELoss, (), (2,)),
    ],
)
def test_layers_have_subclasses(kind: type[Any], arguments: tuple[Any, ...], shape: tuple[int, ...]) -> None:
    class Own(kind):  # type: ignore[misc] # one of several
        def forward(self, *args: Any) -> Any:
            return super().forward(*args)

    own, plain = Own(*arguments).eval(), kind(*arguments).eval()
    own.load_state_dict(plain.state_dict())
    x = (lt.ones(shape),) * (2 if kind is nn.MSELoss else 1)
    for mine, reference in zip(leaves(own(*x)), leaves(plain(*x)), strict=True):
        assert lt.equal(mine, reference)
    assert repr(own) == repr(plain).replace(kind.__name__, "Own")


def test_a_misspelt_layer_is_told_with_the_one_that_is_meant() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Liner'") as caught:
        _ = nn.Liner  # type: ignore[attr-defined]
    assert caught.value.name == "Liner"
    assert "Linear" in dir(caught.value.obj)
