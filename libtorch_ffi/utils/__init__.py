"""What stands beside tensors, under torch's names: `libtorch_ffi.utils.data`, imported when it is named."""

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def __getattr__(name: str) -> "ModuleType":
    if name == "data":
        return importlib.import_module("libtorch_ffi.utils.data")
    raise AttributeError(f"module 'libtorch_ffi.utils' has no attribute {name!r}")
