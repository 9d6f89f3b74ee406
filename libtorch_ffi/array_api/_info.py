"""What this namespace can do, for consumers that ask.

Owns the answers of ``__array_namespace_info__``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._binding import core
from libtorch_ffi.array_api._dtypes import isdtype

if TYPE_CHECKING:
    from typing import Any

    from libtorch_ffi.array_api._dtypes import Kind

_MOST_DIMENSIONS = 64

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        core.bool,
        *(core.int8, core.int16, core.int32, core.int64, core.uint8),
        *(core.float32, core.float64, core.complex64, core.complex128),
    )
}
"""Those of the standard's that libtorch computes with everywhere."""


class __array_namespace_info__:  # noqa: N801 - the standard's name
    """What the namespace can do."""

    def capabilities(self) -> dict[str, bool | int]:
        """Return what may depend on the data, and the largest number of dimensions."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": _MOST_DIMENSIONS}

    def default_device(self) -> core.device:
        """Return the device that new tensors are on."""
        return core.device("cpu")

    def default_dtypes(self, *, device: Any = None) -> dict[str, core.dtype]:
        """Return the dtypes that new tensors have by the kind of their data."""
        del device
        real = core.get_default_dtype()
        return {
            "real floating": real,
            "complex floating": real.to_complex(),
            "integral": core.int64,
            "indexing": core.int64,
        }

    def devices(self) -> list[core.device]:
        """Return the devices that tensors may be on."""
        accelerators = [
            core.device(kind, index) for kind in ("cuda", "mps", "xpu") for index in range(core.device_count(kind))
        ]
        return [core.device("cpu"), *accelerators]

    def dtypes(self, *, device: Any = None, kind: Kind | None = None) -> dict[str, core.dtype]:
        """Return the dtypes by name, all or those of a kind."""
        del device
        return {name: dtype for name, dtype in _DTYPES.items() if kind is None or isdtype(dtype, kind)}
