"""Which libtorch an extension of somebody else is built against.

Owns one rule: the environment decides where it says anything; where it does not, it is the libtorch that this
installation of libtorch_ffi was built against, since a process holds only one and an extension exchanges tensors with
us. Never looks for a libtorch itself: `libtorch_ffi.provision` does.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi import provision
from libtorch_ffi.build import record
from libtorch_ffi.errors import LibtorchFFIError

if TYPE_CHECKING:
    from libtorch_ffi.provision import Libtorch, Settings

RECORD = Path(__file__).parents[1] / record.NAME
"""What this installation was built against."""


def choose() -> Libtorch:
    """Return the libtorch to build against, downloaded where it has to be.

    Raises
    ------
    LibtorchFFIError
        As `libtorch_ffi.provision.ensure` does.
    """
    settings = provision.Settings.from_environment()
    return provision.ensure(settings) if _chosen_by_environment(settings) else own(settings)


def own(settings: Settings | None = None) -> Libtorch:
    """Return the libtorch that this installation of libtorch_ffi was built against, wherever it is now.

    Parameters
    ----------
    settings
        What is asked for where it is not in its place any more, or where nothing was built.

    Raises
    ------
    LibtorchFFIError
        As `libtorch_ffi.provision.ensure` does.
    """
    settings = settings or provision.Settings.from_environment()
    built = record.read(RECORD)
    if built is None:
        return provision.ensure(settings)
    if built.in_place:
        return built.libtorch
    same = dataclasses.replace(settings, version=built.libtorch.version, flavor=built.libtorch.flavor)
    if built.libtorch.origin == "torch":
        same = dataclasses.replace(same, source="torch", flavor=None)
    found = provision.ensure(same)
    if found.cxx11_abi != built.libtorch.cxx11_abi:
        raise LibtorchFFIError(
            f"The libtorch in {found.prefix} has another C++ ABI than the one that libtorch_ffi was built against "
            f"({built.libtorch.prefix}, which is gone), so an extension for it could not run beside libtorch_ffi. "
            "Nothing was built. Bring that one back, or install libtorch-ffi again with "
            "`pip install --force-reinstall --no-deps --no-cache-dir libtorch-ffi`."
        )
    return found


def _chosen_by_environment(settings: Settings) -> bool:
    named = (settings.version, settings.flavor, settings.source, settings.archive)
    return settings.skip_download or any((*named, settings.libtorch, settings.include, settings.lib))
