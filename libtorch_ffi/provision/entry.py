"""The main path: what is here is used, and what is not is installed.

Owns the order of the places (a given tree, the installed torch, the system's, the cache, a download) and nothing else.
On a cache hit it reads one `.ok`: everything that is heavier is imported where it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi.provision import mark
from libtorch_ffi.provision.settings import Settings

if TYPE_CHECKING:
    from libtorch_ffi.provision.libtorch import Libtorch
    from libtorch_ffi.provision.places import Place, Probe
    from libtorch_ffi.provision.progress import Progress


def ensure(settings: Settings | None = None, *, progress: Progress | None = None) -> Libtorch:
    """Return a libtorch that is ready to be compiled against, downloading it where it is not here.

    Parameters
    ----------
    settings
        What to provision; read from the environment where nothing is given.
    progress
        Told of the bytes that arrive.

    Returns
    -------
    Libtorch
        Its `origin` tells where it was found, or which source gave it.

    Raises
    ------
    LibtorchFFIError
        The subclass tells what can be done about it; nothing of a failed install is kept.
    """
    settings = settings or Settings.from_environment()
    found = _here(settings)
    if found is not None:
        return found
    from libtorch_ffi.provision.install import install

    return install(settings, progress)


def locate(settings: Settings | None = None) -> Libtorch:
    """Return the libtorch that `ensure` would return, without ever downloading.

    Parameters
    ----------
    settings
        What to look for; read from the environment where nothing is given.

    Raises
    ------
    NotFoundError
        Listing each place that was looked at, in order.
    """
    settings = settings or Settings.from_environment()
    found = _here(settings)
    if found is not None:
        return found
    from libtorch_ffi.provision.places import not_found

    raise not_found(settings)


def survey(settings: Settings | None = None) -> list[Place]:
    """Look at every place, in order, without downloading: what is there, and which one `ensure` would use."""
    from libtorch_ffi.provision import places

    return places.survey(settings or Settings.from_environment())


def probe_sources(settings: Settings | None = None) -> list[Probe]:
    """Ask the server of each source whether it can be reached."""
    from libtorch_ffi.provision import places

    return places.probe_sources(settings or Settings.from_environment())


def _here(settings: Settings) -> Libtorch | None:
    """Return what is on this machine; None where only a download is left."""
    if settings.libtorch or settings.include or settings.lib or settings.source == "torch" or settings.skip_download:
        from libtorch_ffi.provision import trees

        if trees.is_given(settings):
            return trees.given(settings)
        return trees.installed_torch(settings) if settings.source == "torch" else trees.system(settings)
    return mark.read(settings.home, settings.target).libtorch
