"""NVIDIA's driver on this machine, and whether a CUDA flavor can compute with it.

Owns that one question. Asks the driver's own library, or else `nvidia-smi`; never needs either: a CUDA flavor can be
installed and linked where there is no driver, and compute elsewhere.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess

_LIBRARY = "libcuda.so.1"


def cuda_of_driver() -> tuple[int, int] | None:
    """Return the newest CUDA version that this machine's driver knows, such as ``(12, 4)``; None without a driver."""
    return _from_library() or _from_nvidia_smi()


def cuda_of_flavor(flavor: str) -> tuple[int, int] | None:
    """Return the CUDA version that a flavor stands for: ``(11, 8)`` of ``cu118``; None where it is another kind."""
    digits = flavor.removeprefix("cu")
    if not flavor.startswith("cu") or not digits.isdigit() or len(digits) < 3:  # noqa: PLR2004 (cu92 has no libtorch)
        return None
    return int(digits[:2]), int(digits[2:])


def mismatch(flavor: str, driver: tuple[int, int] | None) -> str:
    """Say why a flavor cannot compute with a driver, or not with all of itself; nothing where it can.

    A driver runs what was made for its own major version of CUDA and for older ones ("minor version compatibility" in
    NVIDIA's guide to CUDA compatibility).

    Parameters
    ----------
    flavor
        The flavor.
    driver
        What the driver knows; None without a driver.
    """
    needed = cuda_of_flavor(flavor)
    if needed is None or (driver is not None and driver >= needed):
        return ""
    if driver is None:
        return (
            f"{flavor} computes on NVIDIA GPUs, and this machine has no NVIDIA driver ({_LIBRARY} was not found): it "
            "can be linked here and not be run. Set LIBTORCH_CUDA_VERSION=cpu, or install the driver."
        )
    has, wants = (".".join(map(str, version)) for version in (driver, needed))
    fact = f"{flavor} is made with CUDA {wants}, and this machine's NVIDIA driver knows CUDA {has}:"
    if driver[0] == needed[0]:
        return (
            f"{fact} it computes, but for code that is compiled at run time. A newer driver, or a flavor of CUDA {has} "
            "or older, has no such limit."
        )
    return (
        f"{fact} it can be linked here and not be run. Install a newer driver, or set LIBTORCH_CUDA_VERSION to a "
        f"flavor of CUDA {has} or older."
    )


def _from_library() -> tuple[int, int] | None:
    try:
        library = ctypes.CDLL(_LIBRARY)
        version = ctypes.c_int(0)
        status = library.cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return (version.value // 1000, version.value % 1000 // 10) if status == 0 and version.value else None


def _from_nvidia_smi() -> tuple[int, int] | None:
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        done = subprocess.run([command], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 (no shell)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"CUDA Version:\s*(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else None
