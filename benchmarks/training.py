"""What a step of training costs: libtorch_ffi against torch, on the same libtorch, in one process.

Run with the extension built against an installed torch (``LIBTORCH_SOURCE=torch pip install '.[reference]'``):

    python benchmarks/training.py [--rounds N] [--json FILE]

A step is what a training loop repeats: the gradients are dropped, a small network of three layers (8, 16, 16, 4 units,
8 samples) goes forward and backward, and the optimizer changes its six parameters. Both sides are written with the same
statements, on functions of ``nn.functional``, and run on one thread. The optimizers' `step` is also timed alone.
"""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any

import pairs
import torch

import libtorch_ffi as lt
import libtorch_ffi.optim

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (8, 16, 16, 4)
BATCH = 8
LIMIT = 0.7
"""Of one whole step with Adam."""

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "Adam": {},
    "SGD": {"lr": 1e-3, "momentum": 0.9},
    "AdamW": {},
    "RMSprop": {},
    "Adagrad": {},
}


def training(module: Any, name: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return one step of training with an optimizer, and the optimizer's part of it."""
    module.manual_seed(0)
    functional = torch.nn.functional if module is torch else lt
    loss_of = torch.nn.functional.cross_entropy if module is torch else lt.cross_entropy_loss
    weights = [module.randn(b, a).mul_(0.1).requires_grad_() for a, b in itertools.pairwise(SIZES)]
    biases = [module.zeros(size).requires_grad_() for size in SIZES[1:]]
    optimizer = getattr(module.optim, name)([*weights, *biases], **OPTIMIZERS[name])
    samples, labels = module.randn(BATCH, SIZES[0]), module.arange(BATCH) % SIZES[-1]
    linear, relu = functional.linear, functional.relu
    (w1, w2, w3), (b1, b2, b3) = weights, biases

    def step() -> None:
        optimizer.zero_grad()
        hidden = relu(linear(relu(linear(samples, w1, b1)), w2, b2))
        loss_of(linear(hidden, w3, b3), labels).backward()
        optimizer.step()

    step()
    return step, optimizer.step


def main() -> int:
    """Measure, print, and return 1 where a limit is missed."""
    options = pairs.options(__doc__)
    for module in (lt, torch):
        module.set_num_threads(1)
    results = []
    for name in OPTIMIZERS:
        (ours, our_part), (theirs, their_part) = training(lt, name), training(torch, name)
        limit = LIMIT if name == "Adam" else None
        results += [
            pairs.in_process(f"{name}, a whole step", ours, theirs, rounds=options.rounds, limit=limit),
            pairs.in_process(f"{name}.step() alone", our_part, their_part, rounds=options.rounds),
        ]
    print(pairs.table(results, ours="libtorch_ffi", theirs="torch"))
    if options.json is not None:
        pairs.write_json(options.json, results)
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
