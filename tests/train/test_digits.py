"""The demonstration's digits, trained by each optimizer: torch's losses, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt
from libtorch_ffi import demo

if TYPE_CHECKING:
    from types import ModuleType

pytestmark = pytest.mark.usefixtures("one_thread")

BATCHES = 45
"""One pass over the 1,438 images."""

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.3, "momentum": 0.5},
    "Adam": {"lr": 3e-3},
    "AdamW": {"lr": 3e-3},
    "RMSprop": {"lr": 1e-3},
    "Adagrad": {"lr": 0.03},
    "LBFGS": {"max_iter": 4, "history_size": 10, "line_search_fn": "strong_wolfe"},
}


def train(module: Any, name: str, digits: Any, *, whole: bool) -> tuple[list[float], float]:
    """Train the demonstration's network with an optimizer; return the loss of each step, and the accuracy after all."""
    functional = module.nn.functional
    module.manual_seed(demo.SEED)
    parameters = [
        module.nn.init.kaiming_normal_(module.empty(demo.HIDDEN, 64), nonlinearity="relu").requires_grad_(),
        module.zeros(demo.HIDDEN).requires_grad_(),
        module.nn.init.xavier_uniform_(module.empty(10, demo.HIDDEN)).requires_grad_(),
        module.zeros(10).requires_grad_(),
    ]
    optimizer = getattr(module.optim, name)(parameters, **OPTIMIZERS[name])
    schedule = module.optim.lr_scheduler.StepLR(optimizer, 20, 0.5)

    def logits(images: Any) -> Any:
        hidden = functional.relu(functional.linear(images, parameters[0], parameters[1]))
        return functional.linear(hidden, parameters[2], parameters[3])

    count = digits.train_images.shape[0]
    batches = [module.arange(count)] * 6 if whole else module.split(module.randperm(count), demo.BATCH)
    losses = []
    for batch in batches:

        def closure(batch: Any = batch) -> Any:
            optimizer.zero_grad()
            loss = functional.cross_entropy(logits(digits.train_images[batch]), digits.train_labels[batch])
            loss.backward()
            module.nn.utils.clip_grad_norm_(parameters, 5.0)
            return loss

        losses.append(optimizer.step(closure).item())
        schedule.step()
    with module.no_grad():
        right = logits(digits.test_images).argmax(1) == digits.test_labels
    return losses, right.float().mean().item()


@pytest.fixture(scope="module")
def digits() -> demo.Digits:
    return demo.load()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_learns(name: str, digits: demo.Digits) -> None:
    losses, accuracy = train(lt, name, digits, whole=name == "LBFGS")
    assert losses[-1] < 0.6 * losses[0]
    assert accuracy > 0.8


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_losses_are_torchs_step_by_step(name: str, digits: demo.Digits, torch: ModuleType) -> None:
    import numpy as np

    parts = ("train_images", "train_labels", "test_images", "test_labels")
    copies = {part: torch.from_numpy(np.array(getattr(digits, part).numpy())) for part in parts}
    theirs = type("Digits", (), copies)
    ours, our_accuracy = train(lt, name, digits, whole=name == "LBFGS")
    expected, accuracy = train(torch, name, theirs, whole=name == "LBFGS")
    assert len(ours) == (6 if name == "LBFGS" else BATCHES)
    assert ours == pytest.approx(expected, rel=1e-5)
    assert our_accuracy == accuracy
