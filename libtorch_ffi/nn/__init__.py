"""Networks: functions, modules, beginnings and clipping, under torch's names.

Owns nothing: `libtorch_ffi.nn.functional` has the functions; `libtorch_ffi.nn.module` a small `Module`, of which
`libtorch_ffi.nn.layers` are made and `libtorch_ffi.nn.containers`; `libtorch_ffi.nn.init` fills parameters before
training, and `libtorch_ffi.nn.utils` clips gradients.
"""

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from libtorch_ffi.nn import functional as functional
    from libtorch_ffi.nn import init as init
    from libtorch_ffi.nn import utils as utils
    from libtorch_ffi.nn.containers import ModuleList as ModuleList
    from libtorch_ffi.nn.containers import Sequential as Sequential
    from libtorch_ffi.nn.layers import GELU as GELU
    from libtorch_ffi.nn.layers import BatchNorm2d as BatchNorm2d
    from libtorch_ffi.nn.layers import Conv2d as Conv2d
    from libtorch_ffi.nn.layers import Dropout as Dropout
    from libtorch_ffi.nn.layers import Embedding as Embedding
    from libtorch_ffi.nn.layers import LayerNorm as LayerNorm
    from libtorch_ffi.nn.layers import Linear as Linear
    from libtorch_ffi.nn.layers import ReLU as ReLU
    from libtorch_ffi.nn.module import Module as Module
    from libtorch_ffi.nn.module import Parameter as Parameter

_MODULES = ("functional", "init", "utils")
_HOMES = {
    **dict.fromkeys(("Module", "Parameter"), "module"),
    **dict.fromkeys(("ModuleList", "Sequential"), "containers"),
    **dict.fromkeys(("BatchNorm2d", "Conv2d", "Dropout", "Embedding", "GELU", "LayerNorm", "Linear", "ReLU"), "layers"),
}
"""The classes, and which module defines them: it is imported when one is named."""


def __getattr__(name: str) -> "Any":
    if name in _MODULES:
        return importlib.import_module(f"libtorch_ffi.nn.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"libtorch_ffi.nn.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'libtorch_ffi.nn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_HOMES})
