"""Which libtorch is meant: a version, a flavor and a platform.

Owns the spelling of targets, the host's platform and the folder of a target's tree. Never says whether such a release
exists (`existence` does), and opens nothing.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Literal, get_args

from libtorch_ffi._dataclass import dataclass
from libtorch_ffi.errors import SettingError, TargetError

if TYPE_CHECKING:
    from pathlib import Path

Platform = Literal["linux-x86_64", "linux-aarch64", "macos-arm64", "macos-x86_64"]
PLATFORMS: tuple[Platform, ...] = get_args(Platform)

_HOSTS: dict[tuple[str, str], Platform] = {
    ("linux", "x86_64"): "linux-x86_64",
    ("linux", "aarch64"): "linux-aarch64",
    ("darwin", "arm64"): "macos-arm64",
    ("darwin", "x86_64"): "macos-x86_64",
}


@dataclass(frozen=True)
class Target:
    """One libtorch to have: its release, what it computes on, and where it runs.

    Parameters
    ----------
    version
        The release, such as ``2.5.0``.
    flavor
        ``cpu``, ``cu118``, ``rocm6.2``, ``xpu``, …
    platform
        One of `PLATFORMS`.
    """

    version: str
    flavor: str
    platform: Platform

    def __str__(self) -> str:
        return f"libtorch {self.version} {self.flavor} for {self.platform}"

    def folder(self, home: Path) -> Path:
        """Return the folder of this target's tree under the cache folder `home`.

        Raises
        ------
        SettingError
            Where a part of the target is not the name of a folder, so that the tree would lie somewhere else.
        """
        for part in (self.version, self.platform, self.flavor):
            if "/" in part or "\0" in part or part[:1] in ("", "."):
                raise SettingError(
                    f"{part!r} is no part of a target, which is written as in libtorch 2.5.0 cpu for linux-x86_64. "
                    "Nothing was read or written. Correct the version, the flavor or the platform."
                )
        return home / self.version / self.platform / self.flavor


def release_numbers(version: str) -> tuple[int, ...]:
    """Return ``(2, 5, 0)`` for ``2.5.0``, so that releases compare as numbers."""
    return tuple(int(part) for part in version.split("."))


def host_platform() -> Platform:
    """Return the platform that this process runs on.

    Raises
    ------
    TargetError
        On a system or a processor of which no libtorch is published.
    """
    machine = os.uname().machine if hasattr(os, "uname") else os.name
    try:
        return _HOSTS[sys.platform, machine]
    except KeyError:
        raise TargetError(
            f"This machine is {sys.platform} on {machine}, of which PyTorch publishes no libtorch; those that exist "
            f"are for {', '.join(PLATFORMS)}. Nothing was downloaded. Set LIBTORCH to the folder of a libtorch that "
            "you built."
        ) from None
