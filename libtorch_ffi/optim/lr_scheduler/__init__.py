"""Learning rates that change as training goes on, under torch's names and with torch's arithmetic.

Owns nothing: it names what the modules here define. `schedule` is what schedules share, `steps` has those that compute
a rate from the one before, `one_cycle` the one that changes momentum as well, `plateau` the one that goes by a figure.
All write into an optimizer's groups, and touch nothing else of it.
"""

from libtorch_ffi.optim.lr_scheduler.one_cycle import OneCycleLR
from libtorch_ffi.optim.lr_scheduler.plateau import ReduceLROnPlateau
from libtorch_ffi.optim.lr_scheduler.schedule import LRScheduler
from libtorch_ffi.optim.lr_scheduler.steps import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    StepLR,
)

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "StepLR",
]
