"""A cache miss: from a target to a tree in its place.

Owns the order of an install: is this a target that exists, may anything be downloaded here, whose turn is it, which
source gives it, is it what was asked for. Each step is another module's. Never looks at other places than the cache.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from libtorch_ffi.errors import DownloadError, IntegrityError, LibtorchFFIError, NotFoundError, StoreError
from libtorch_ffi.provision import driver, mark, sources, store
from libtorch_ffi.provision.complete import complete
from libtorch_ffi.provision.describe import describe, library_file
from libtorch_ffi.provision.existence import check_exists
from libtorch_ffi.provision.kept import sha256_of
from libtorch_ffi.provision.remote import AbsentError, Net, UnreachableError
from libtorch_ffi.provision.sandbox import in_nix_sandbox
from libtorch_ffi.provision.settings import is_address
from libtorch_ffi.provision.targets import host_platform

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from libtorch_ffi.provision.libtorch import Libtorch
    from libtorch_ffi.provision.progress import Progress
    from libtorch_ffi.provision.settings import Settings
    from libtorch_ffi.provision.sources import Order, Received
    from libtorch_ffi.provision.stage import Stage
    from libtorch_ffi.provision.targets import Target

_log = logging.getLogger(__name__)

_NOTHING = "Nothing was kept."


def install(settings: Settings, progress: Progress | None = None) -> Libtorch:
    """Download the settings' target into the cache, or wait for the process that is at it.

    Parameters
    ----------
    settings
        The target, the sources and the cache folder.
    progress
        Told of the bytes that arrive.

    Raises
    ------
    TargetError
        Where the target is known not to exist.
    NotFoundError
        In a Nix sandbox, where nothing can be downloaded.
    DownloadError
        Where no source gives it.
    IntegrityError
        Where a source gives other bytes than were published.
    StoreError
        Where the cache folder cannot be used.
    """
    target, home = settings.target, settings.home
    if settings.archive is None:
        check_exists(target)
    if settings.archive is None or is_address(settings.archive):
        _refuse_sandbox(settings)
    with store.locked(home, target):
        tree = mark.read(home, target)
        if tree.libtorch is not None:
            return tree.libtorch
        if tree.path.exists():
            _log.warning("%s is %s; installing it again", tree.path, tree.verdict)
        source = _fill(settings, progress)
    _warn_of_driver(target)
    return _placed(home, target, source)


def _warn_of_driver(target: Target) -> None:
    if target.platform == host_platform() and driver.cuda_of_flavor(target.flavor):
        mismatch = driver.mismatch(target.flavor, driver.cuda_of_driver())
        if mismatch:
            _log.warning("%s", mismatch)


def repair(settings: Settings, progress: Progress | None = None) -> Libtorch:
    """Put an installed tree in order again: what verifies in it is kept, and the rest is fetched from where it came.

    Parameters
    ----------
    settings
        The target and the cache folder; the source is the one that the tree came from, unless one is named.
    progress
        Told of the bytes that arrive.

    Raises
    ------
    LibtorchFFIError
        As `install` does; the tree stays as it is then.
    """
    target, home = settings.target, settings.home
    with store.locked(home, target):
        tree = mark.read(home, target)
        source = tree.receipt.get("source")
        if settings.source is None and settings.archive is None and source in sources.DOWNLOADS:
            settings = replace(settings, source=source)
        source = _fill(settings, progress, _known(tree))
    return _placed(home, target, source)


def _known(tree: mark.Tree) -> dict[str, str]:
    """Return the digest of each file of a tree, by name, where the list of them is the one that was written."""
    path = tree.path / mark.FILES_NAME
    if not path.is_file() or sha256_of(path) != tree.receipt.get("listing"):
        return {}
    return {name: sha256 for name, _, sha256 in mark.listed(path)}


def _fill(settings: Settings, progress: Progress | None, known: dict[str, str] | None = None) -> str:
    """Put the tree in its place and return the source; the caller holds the lock.

    What a dead run left of an archive is used before it can be checked; where the result is wrong, all of it is thrown
    away and fetched anew.
    """
    with Net(progress) as net:
        try:
            return _staged(settings, net, known or {})
        except _ResumedError as error:
            _log.warning("what an earlier run left did not verify, and is fetched again: %s", error)
            return _staged(settings, net, {})


class _ResumedError(IntegrityError):
    """A failed check of something that an earlier run's bytes went into."""


def _staged(settings: Settings, net: Net, known: dict[str, str]) -> str:
    target = settings.target
    with store.staged(settings.home, target) as stage:
        try:
            source, received = _from_first(sources.Order(target, settings, net, stage, known))
            receipt = _receipt(stage, target, source, received)
        except IntegrityError as error:
            if stage.parts.used:
                raise _ResumedError(str(error)) from error
            raise
        stage.finish({**receipt, "received": net.received})
    return source


def _refuse_sandbox(settings: Settings) -> None:
    if in_nix_sandbox(settings.environ):
        raise NotFoundError(
            "This is a Nix build sandbox without a network, and no libtorch was given to it: LIBTORCH is not set, and "
            f"{settings.target.folder(settings.home)} is not installed. Nothing was downloaded. Add a libtorch "
            "derivation to the build's inputs (buildInputs); its setup hook sets LIBTORCH."
        )


def _from_first(order: Order) -> tuple[str, list[Received]]:
    """Fetch from the first source that has the target."""
    failures: list[str] = []
    for name, fetch in sources.in_order(order.settings):
        received = _from_one(order, name, fetch, failures)
        if received is not None:
            return name, received
    kept = "What had arrived is kept, and the next run goes on from there." if order.stage.resumable else _NOTHING
    raise DownloadError(
        f"No source has {order.target}. Asked, in order: {'; '.join(failures)}. {kept} Look at the network "
        "and the proxy variables, set LIBTORCH_MIRROR or LIBTORCH_INDEX_URL to servers that you can reach, or set "
        "LIBTORCH to the folder of a libtorch that you have."
    )


def _from_one(
    order: Order, name: str, fetch: Callable[[Order], list[Received]], failures: list[str]
) -> list[Received] | None:
    """Fetch from one source; one that cannot be reached, or has not the target, is told in one line and passed over."""
    try:
        return fetch(order)
    except (UnreachableError, AbsentError) as error:
        _log.warning("%s: %s", name, error)
        failures.append(f"{name}: {error}")
        order.stage.resumable |= isinstance(error, UnreachableError) and order.stage.has_something
        order.stage.clear()
        return None


def _receipt(stage: Stage, target: Target, source: str, received: list[Received]) -> dict[str, Any]:
    """Say what was installed, after checking that it is what was asked for."""
    lib = stage.path / "lib"
    try:
        found = describe(stage.path / "include", lib, prefix=stage.path, origin=source, flavor=target.flavor)
    except LibtorchFFIError as error:
        raise IntegrityError(
            f"What {source} gave is not a whole libtorch: {error} Nothing was kept. Set LIBTORCH_SOURCE to another "
            "source."
        ) from error
    if (found.version, found.platform) != (target.version, target.platform):
        raise IntegrityError(
            f"What {source} gave is libtorch {found.version} for {found.platform}, where {target} was asked for. "
            f"Nothing was kept. Set LIBTORCH_SOURCE to another source, or LIBTORCH_VERSION to {found.version}."
        )
    complete(stage, found)
    files = [path for name in found.libraries if (path := library_file(lib, name)) is not None]
    return {
        "format": mark.FORMAT,
        "version": target.version,
        "platform": target.platform,
        "flavor": target.flavor,
        "source": source,
        "cxx11_abi": found.cxx11_abi,
        "cxx_standard": found.cxx_standard,
        "link": list(found.libraries),
        "libraries": {path.name: path.stat().st_size for path in files},
        "size": sum(entry.size for entry in stage.entries.values()),
        "files": len(stage.entries),
        "archives": [each.stated() for each in received],
        "installed": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _placed(home: Path, target: Target, source: str) -> Libtorch:
    tree = mark.read(home, target)
    if tree.libtorch is None:
        raise StoreError(
            f"{tree.path} was installed and is {tree.verdict} already: another program changes the cache folder. Run "
            "the command again, or set LIBTORCH_HOME to a folder of your own."
        )
    return replace(tree.libtorch, origin=source)
