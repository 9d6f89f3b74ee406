"""Optimizers: libtorch's own, in C++, under torch's names.

Owns nothing: it names what the modules here define. `libtorch_ffi.optim.optimizer` is what all optimizers share,
`libtorch_ffi.optim.native` the six of libtorch, `libtorch_ffi.optim.lr_scheduler` what changes learning rates.
"""

from libtorch_ffi.optim import lr_scheduler as lr_scheduler
from libtorch_ffi.optim.native import LBFGS, SGD, Adagrad, Adam, AdamW, RMSprop
from libtorch_ffi.optim.optimizer import Optimizer

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
