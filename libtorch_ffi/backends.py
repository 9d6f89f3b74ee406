"""Switches of libtorch's backends, and what libtorch was built with.

Owns torch.backends' vocabulary: ``backends.cudnn.benchmark = True``, ``backends.mkl.is_available()``. Each switch is
libtorch's own; nothing is kept here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "Backend",
    "cpu",
    "cuda",
    "cudnn",
    "deterministic",
    "has_cuda",
    "has_cudnn",
    "has_lapack",
    "has_mkl",
    "has_mkldnn",
    "has_mps",
    "has_openmp",
    "mkl",
    "mkldnn",
    "mps",
    "nnpack",
    "openmp",
]


class Backend:
    """One backend: its switches are attributes.

    Parameters
    ----------
    name
        torch's.
    switches
        The names of its switches.
    available
        Whether this libtorch has it.
    members
        Backends inside it.
    """

    __slots__ = ("_available", "_members", "_name", "_switches")

    _available: Callable[[], bool]
    _members: dict[str, Backend]
    _name: str
    _switches: tuple[str, ...]

    def __init__(
        self,
        name: str,
        switches: tuple[str, ...] = (),
        available: Callable[[], bool] = lambda: True,
        members: dict[str, Backend] | None = None,
    ) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_switches", switches)
        object.__setattr__(self, "_available", available)
        object.__setattr__(self, "_members", members or {})

    def is_available(self) -> bool:
        """Tell whether this libtorch has the backend, and a device for it where it needs one."""
        return self._available()

    def is_built(self) -> bool:
        """Tell whether this libtorch was built with the backend, wherever it runs."""
        return bool(core.features().get(self._name.partition(".")[0], True))

    def __getattr__(self, name: str) -> Any:
        if name in self._members:
            return self._members[name]
        if name not in self._switches:
            raise AttributeError(f"backends.{self._name} has no switch {name!r}")
        return core.get_switch(f"{self._name}.{name}")

    def __setattr__(self, name: str, value: bool) -> None:
        if name not in self._switches:
            raise AttributeError(f"backends.{self._name} has no switch {name!r}")
        core.set_switch(f"{self._name}.{name}", value)

    def __dir__(self) -> list[str]:
        return sorted({"is_available", "is_built", *self._switches, *self._members})

    def __repr__(self) -> str:
        return f"<libtorch_ffi.backends.{self._name}>"


def _built_with(feature: str) -> Callable[[], bool]:
    return lambda: core.features()[feature]


has_cuda: bool = core.features()["cuda"]
has_cudnn: bool = core.features()["cudnn"]
has_lapack: bool = core.features()["lapack"]
has_mkl: bool = core.features()["mkl"]
has_mkldnn: bool = core.features()["mkldnn"]
has_mps: bool = core.features()["mps"]
has_openmp: bool = core.features()["openmp"]

cudnn = Backend("cudnn", ("allow_tf32", "benchmark", "deterministic", "enabled"), _built_with("cudnn"))
cuda = Backend(
    "cuda",
    ("cudnn_sdp", "flash_sdp", "math_sdp", "mem_efficient_sdp"),
    lambda: core.device_count("cuda") > 0,
    {"matmul": Backend("cuda.matmul", ("allow_tf32",), _built_with("cuda"))},
)
cpu = Backend("cpu", ("allow_fp16_reduction",))
deterministic = Backend("deterministic", ("fill_uninitialized_memory",))
mkl = Backend("mkl", (), _built_with("mkl"))
mkldnn = Backend("mkldnn", ("deterministic", "enabled"), _built_with("mkldnn"))
mps = Backend("mps", (), lambda: core.device_count("mps") > 0)
nnpack = Backend("nnpack", ("enabled",))
openmp = Backend("openmp", (), _built_with("openmp"))
