"""Get libtorch: from a given tree, the system, the cache, or a verified download.

Owns the public names of the first flow; each is imported when it is asked for (PEP 562). Never imports
`libtorch_ffi.build` or the bindings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libtorch_ffi.provision.entry import ensure, locate, probe_sources, survey
    from libtorch_ffi.provision.install import repair
    from libtorch_ffi.provision.libtorch import Libtorch
    from libtorch_ffi.provision.places import Place, Probe
    from libtorch_ffi.provision.progress import Progress
    from libtorch_ffi.provision.settings import Settings
    from libtorch_ffi.provision.store import Installed, installed, remove
    from libtorch_ffi.provision.targets import Target
    from libtorch_ffi.provision.verification import Damage, Report, verify

__all__ = [
    "Damage",
    "Installed",
    "Libtorch",
    "Place",
    "Probe",
    "Progress",
    "Report",
    "Settings",
    "Target",
    "ensure",
    "installed",
    "locate",
    "probe_sources",
    "remove",
    "repair",
    "survey",
    "verify",
]

# No module may have the name of a function here: importing the module would put it in the function's place.
_HOMES = {
    "Damage": "verification",
    "Installed": "store",
    "Libtorch": "libtorch",
    "Place": "places",
    "Probe": "places",
    "Progress": "progress",
    "Report": "verification",
    "Settings": "settings",
    "Target": "targets",
    "ensure": "entry",
    "installed": "store",
    "locate": "entry",
    "probe_sources": "entry",
    "remove": "store",
    "repair": "install",
    "survey": "entry",
    "verify": "verification",
}


def __getattr__(name: str) -> object:
    try:
        module = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
