"""`libtorch-ffi demo`: the demonstration, shown.

Owns what is printed and drawn. The learning itself is `libtorch_ffi.demo`'s.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.errors import LibtorchFFIError
from libtorch_ffi.plots import BLOCKS, curve, image, side_by_side
from libtorch_ffi.provision import store
from libtorch_ffi.provision.settings import SOURCES
from libtorch_ffi.terminal import Bar, can_write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from libtorch_ffi.demo import Classifier, Digits, Epoch

LEAST_ACCURACY = 0.95
"""What a sound build reaches with ease; below it something computes wrongly."""

SHOWN = 4
"""How many digits fit beside each other in 80 columns."""


def run(_: argparse.Namespace) -> int:
    """Say what was provisioned, train, and draw what came of it; returns 0.

    Raises
    ------
    LibtorchFFIError
        If the ``demo`` extra is missing, or the classifier did not learn.
    """
    import libtorch_ffi as lt
    from libtorch_ffi.demo import SEED, Classifier, load

    digits = load()
    _print(_provisioned())
    _print([f"{'operators':10} {sum(1 for _ in lt.operators()):,} overloads, as libtorch's dispatcher lists them", ""])
    lt.manual_seed(SEED)
    classifier = Classifier()
    epochs = _train(classifier, digits)
    ascii_only = not can_write(sys.stdout, BLOCKS)
    _print(_curves(epochs, ascii_only=ascii_only))
    _print(_examples(classifier, digits, ascii_only=ascii_only))
    final = epochs[-1].accuracy
    if final < LEAST_ACCURACY:
        raise LibtorchFFIError(
            f"The classifier got {final:.1%} of the test images right after {len(epochs)} epochs; expected over "
            f"{LEAST_ACCURACY:.0%} with this seed. Something computes wrongly here: `libtorch-ffi doctor` shows what "
            "is used, and `libtorch-ffi remove` followed by `libtorch-ffi install` gets the library anew."
        )
    tests = digits.test_labels.shape[0]
    _print([f"Test accuracy: {final:.1%} of {tests} images that it never saw, after {len(epochs)} epochs."])
    return 0


def _provisioned() -> list[str]:
    """Say which libtorch the extension was built against, as written down then, and where its bytes came from."""
    package = Path(__file__).parent.parent
    built = json.loads((package / "_built.json").read_text(encoding="utf-8"))
    prefix = Path(built["prefix"])
    source, size = built["origin"], sum(built["sizes"].values())
    for tree in store.installed(prefix.parents[2]) if source in {"cache", *SOURCES} else []:
        if tree.path == prefix:
            source, size = tree.source or source, tree.size
    facts = {
        "libtorch": f"{built['version']} {built['flavor']} for {built['platform']}",
        "source": source,
        "size": f"{size / 1e6:.0f} MB",
        "prefix": str(prefix),
    }
    return [f"{name:10} {fact}" for name, fact in facts.items()]


def _print(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _train(classifier: Classifier, digits: Digits) -> list[Epoch]:
    from libtorch_ffi.demo import EPOCHS, train

    bar = Bar(sys.stderr, unit="epochs")
    bar.start("training", EPOCHS)
    epochs = []
    for epoch in train(classifier, digits):
        epochs.append(epoch)
        bar.advance(1)
    bar.finish()
    return epochs


def _curves(epochs: Sequence[Epoch], *, ascii_only: bool) -> list[str]:
    loss = curve("loss, training", [epoch.loss for epoch in epochs], ascii_only=ascii_only)
    accuracy = curve("accuracy in %, test", [100 * epoch.accuracy for epoch in epochs], ascii_only=ascii_only)
    return ["", *side_by_side([loss, accuracy]), ""]


def _examples(classifier: Classifier, digits: Digits, *, ascii_only: bool) -> list[str]:
    """Draw the first test images with what the classifier takes them for."""
    images = digits.test_images.tolist()[:SHOWN]
    predictions, labels = classifier.predict(digits.test_images).tolist(), digits.test_labels.tolist()
    pictures = []
    for pixels, prediction, label in zip(images, predictions, labels, strict=False):
        verdict = "" if prediction == label else f", is {label}"
        rows = [pixels[start : start + 8] for start in range(0, 64, 8)]
        pictures.append([f"reads {prediction}{verdict}".ljust(16), *image(rows, ascii_only=ascii_only)])
    return [*side_by_side(pictures), ""]
