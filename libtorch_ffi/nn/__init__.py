"""Networks: functions, beginnings and clipping, under torch's names.

Owns nothing: `libtorch_ffi.nn.functional` has the functions, `libtorch_ffi.nn.init` fills parameters before training,
`libtorch_ffi.nn.utils` clips gradients, and `libtorch_ffi.nn.modules` has a small `Module`.
"""

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_MODULES = ("functional", "init", "utils")


def __getattr__(name: str) -> "ModuleType":
    if name in _MODULES:
        return importlib.import_module(f"libtorch_ffi.nn.{name}")
    raise AttributeError(f"module 'libtorch_ffi.nn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
