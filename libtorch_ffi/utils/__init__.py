"""What stands beside tensors, under torch's names: `libtorch_ffi.utils.data`, imported when it is named."""

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libtorch_ffi.utils import data as data
else:

    def __getattr__(name: str) -> object:
        if name == "data":
            return importlib.import_module("libtorch_ffi.utils.data")
        raise AttributeError(f"module 'libtorch_ffi.utils' has no attribute {name!r}")


def __dir__() -> list[str]:
    return ["data"]
