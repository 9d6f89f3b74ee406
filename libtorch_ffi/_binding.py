"""The compiled core, loaded and completed.

Owns the order of the first use: the extension is loaded, then `Tensor` gets the methods that are written in Python.
Every module that calls libtorch imports `core` from here; none imports ``_C`` by itself, so that none can meet it
before `libtorch_ffi._load` has made sure that it fits this process.
"""

from libtorch_ffi._load import load

load()

from libtorch_ffi import _C as core  # noqa: E402 - only once it is known to load
from libtorch_ffi import _fork, _hooks, _tensor  # noqa: E402 - need the core

_fork.register()
_tensor.complete(core.Tensor)
_hooks.complete(core.Tensor, core.Node)

__all__ = ["core"]
