"""Optimizers: libtorch's own, in C++, under torch's names.

Owns nothing: it names what the modules here define. `libtorch_ffi.optim.optimizer` is what all optimizers share,
`libtorch_ffi.optim.algorithms` and `libtorch_ffi.optim.lbfgs` are the six of libtorch, and
`libtorch_ffi.optim.lr_scheduler` has what changes learning rates.
"""

from libtorch_ffi.optim import lr_scheduler as lr_scheduler
from libtorch_ffi.optim.algorithms import SGD, Adagrad, Adam, AdamW, RMSprop
from libtorch_ffi.optim.lbfgs import LBFGS
from libtorch_ffi.optim.optimizer import Optimizer

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
