"""The demonstration: a small classifier of handwritten digits, trained with libtorch_ffi's tensors and autograd alone.

Owns the data set, the network and its training; `libtorch-ffi demo` shows what comes of it. scikit-learn (the ``demo``
extra) gives the 1,797 images, and nothing else: every number after that is computed by libtorch. Never prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libtorch_ffi as lt
from libtorch_ffi.errors import LibtorchFFIError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libtorch_ffi import Tensor

SEED = 20
EPOCHS = 40
HIDDEN = 256
BATCH = 32
LEARNING_RATE = 0.5
TEST_SHARE = 5
"""Every fifth image, in an order drawn by the seed, is kept from training and tests it."""

LARGEST_PIXEL = 16.0
"""The images' grey values go from 0 to 16."""


@dataclass(frozen=True)
class Digits:
    """The data set in two parts.

    Parameters
    ----------
    train_images, test_images
        float32, shape (images, 64), from 0 to 1: 8 by 8 pixels, row by row.
    train_labels, test_labels
        int64, shape (images,), from 0 to 9.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images came to: the mean loss, and the share of test images classified right."""

    loss: float
    accuracy: float


class Classifier:
    """A network of one hidden layer: 64 pixels, 256 rectified units, 10 logits.

    The weights are drawn from libtorch's default generator, so `lt.manual_seed` determines them.
    """

    def __init__(self) -> None:
        self.weights = [lt.randn([64, HIDDEN]) * (2 / 64) ** 0.5, lt.randn([HIDDEN, 10]) * (1 / HIDDEN) ** 0.5]
        self.biases = [lt.zeros([HIDDEN]), lt.zeros([10])]
        for parameter in self.parameters:
            parameter.requires_grad_(True)

    @property
    def parameters(self) -> list[Tensor]:
        """The four tensors that training changes."""
        return [*self.weights, *self.biases]

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits, shape (images, 10)."""
        hidden = lt.relu(images @ self.weights[0] + self.biases[0])
        logits: Tensor = hidden @ self.weights[1] + self.biases[1]
        return logits

    def predict(self, images: Tensor) -> Tensor:
        """Return the most likely digit of each image, int64, shape (images,)."""
        with lt.no_grad():
            digits: Tensor = lt.argmax(self(images), 1)
        return digits

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Take one step of gradient descent on a batch, and return the loss before it."""
        loss: Tensor = lt.cross_entropy_loss(self(images), labels)
        loss.backward()
        with lt.no_grad():
            for parameter in self.parameters:
                parameter.sub_(LEARNING_RATE * parameter.grad)
                parameter.grad.zero_()
        return loss


def load() -> Digits:
    """Return scikit-learn's digits, split by the seed.

    Raises
    ------
    LibtorchFFIError
        If scikit-learn is not installed.
    """
    try:
        import numpy as np
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise LibtorchFFIError(
            f"The demo trains on the digits that scikit-learn brings along, and {error.name} is not installed here; "
            "nothing was trained. Install the extra that has it: pip install 'libtorch-ffi[demo]'"
        ) from error
    bunch = load_digits()
    images = lt.from_numpy((bunch.data / LARGEST_PIXEL).astype(np.float32))
    labels = lt.from_numpy(bunch.target.astype(np.int64))
    lt.manual_seed(SEED)
    count = images.shape[0]
    order = lt.randperm(count)
    tests = count // TEST_SHARE
    test, train = lt.narrow(order, 0, 0, tests), lt.narrow(order, 0, tests, count - tests)
    return Digits(*(lt.index_select(whole, 0, part) for part in (train, test) for whole in (images, labels)))


def train(classifier: Classifier, digits: Digits, epochs: int = EPOCHS) -> Iterator[Epoch]:
    """Train the classifier, and say after each pass over the training images how good it has become.

    One thread does it all: with matrices this small, threads spend more time on waiting for each other than they save,
    and on a busy machine a hundred times more.
    """
    threads = lt.get_num_threads()
    lt.set_num_threads(1)
    try:
        for _ in range(epochs):
            yield Epoch(_pass(classifier, digits), accuracy(classifier, digits))
    finally:
        lt.set_num_threads(threads)


def _pass(classifier: Classifier, digits: Digits) -> float:
    """Take one step for each batch of the training images, in a new order, and return the mean loss."""
    losses = []
    for batch in lt.split(lt.randperm(digits.train_images.shape[0]), BATCH):
        images = lt.index_select(digits.train_images, 0, batch)
        losses.append(classifier.step(images, lt.index_select(digits.train_labels, 0, batch)).item())
    return float(sum(losses) / len(losses))


def accuracy(classifier: Classifier, digits: Digits) -> float:
    """Return the share of the test images that the classifier gets right, from 0 to 1."""
    right = lt.eq(classifier.predict(digits.test_images), digits.test_labels)
    return float(lt.sum(right).item()) / int(digits.test_labels.shape[0])
