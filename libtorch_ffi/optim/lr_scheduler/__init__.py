"""Learning rates that change as training goes on, under torch's names and with torch's arithmetic.

Owns nothing: it names what the modules here define. `schedule` is what schedules share, `steps` has those that compute
a rate from the one before, `one_cycle` the one that changes momentum as well, `restarts` the one that begins again,
`plateau` the one that goes by a figure; `composed` has those that are made of others. All write into an optimizer's
groups, and touch nothing else of it.
"""

from libtorch_ffi.optim.lr_scheduler.composed import ChainedScheduler, SequentialLR
from libtorch_ffi.optim.lr_scheduler.one_cycle import OneCycleLR
from libtorch_ffi.optim.lr_scheduler.plateau import ReduceLROnPlateau
from libtorch_ffi.optim.lr_scheduler.restarts import CosineAnnealingWarmRestarts
from libtorch_ffi.optim.lr_scheduler.schedule import LRScheduler
from libtorch_ffi.optim.lr_scheduler.steps import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
