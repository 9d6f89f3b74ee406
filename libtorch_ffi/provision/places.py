"""The places where a libtorch may be, in order, each with what was found there.

Owns the report that `doctor` prints and that a NotFoundError lists. Looks at every place, used or not, so it is slower
than `ensure`, which stops at the first. Never downloads and never writes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from libtorch_ffi.errors import LibtorchFFIError, NotFoundError
from libtorch_ffi.provision import index, mark, sources, trees
from libtorch_ffi.provision.existence import check_exists
from libtorch_ffi.provision.remote import Net, UnreachableError, shown
from libtorch_ffi.provision.sandbox import in_nix_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from libtorch_ffi.provision.libtorch import Libtorch
    from libtorch_ffi.provision.settings import Settings


@dataclass(frozen=True)
class Place:
    """A place where a libtorch was looked for.

    Parameters
    ----------
    name
        ``given``, ``torch``, ``system``, ``cache``, ``sandbox`` or ``download``.
    where
        A path, a variable or an address.
    verdict
        What was found, in a few words or a paragraph.
    used
        Whether `ensure` ends here: with this place's libtorch, with its error, or with a download.
    libtorch
        The libtorch found there.
    """

    name: str
    where: str
    verdict: str
    used: bool = False
    libtorch: Libtorch | None = None


@dataclass(frozen=True)
class Probe:
    """Whether a source can be reached.

    Parameters
    ----------
    source
        Its name.
    where
        The address that was asked.
    reachable
        Whether it answered.
    verdict
        What it answered, or why it did not.
    """

    source: str
    where: str
    reachable: bool
    verdict: str


def survey(settings: Settings) -> list[Place]:
    """Look at every place, in order, without downloading anything."""
    places = [*_local(settings), _sandbox(settings), _download(settings)]
    used = next((number for number, place in enumerate(places) if place.used), None)
    return [replace(place, used=number == used) for number, place in enumerate(places)]


def not_found(settings: Settings) -> NotFoundError:
    """Return the error that lists each place that was looked at."""
    looked = "; ".join(
        f"{place.name} ({place.where}): {place.verdict}" for place in survey(settings) if place.name != "download"
    )
    return NotFoundError(
        f"There is no {settings.target} here. Looked at, in order: {looked}. Nothing was downloaded. Run `libtorch-ffi "
        "install` to download it, or set LIBTORCH to the folder of a libtorch."
    )


def probe_sources(settings: Settings) -> list[Probe]:
    """Ask each source's server whether it is there; one that refuses a connection is not tried again."""
    target = settings.target
    official = index.official_base(settings)
    addresses = (
        ("official-wheel", f"{official}/whl/{sources.official_indexes(target)[0]}/torch/"),
        ("pypi", f"{index.pypi_base(settings)}/torch/"),
        ("official-zip", f"{official}/libtorch/"),
    )
    with Net() as net:
        return [_probed(net, source, url) for source, url in addresses]


def _probed(net: Net, source: str, url: str) -> Probe:
    try:
        net.page(url, "*/*")
    except UnreachableError as error:
        return Probe(source, shown(url), reachable=False, verdict=str(error))
    except LibtorchFFIError as error:
        return Probe(source, shown(url), reachable=True, verdict=str(error))
    return Probe(source, shown(url), reachable=True, verdict="answers")


def _local(settings: Settings) -> Iterator[Place]:
    named = settings.libtorch or settings.lib or settings.include
    if trees.is_given(settings):
        yield _tried("given", str(named), lambda: trees.given(settings))
    else:
        yield Place("given", "LIBTORCH", "not set")
    if settings.source == "torch":
        yield _tried("torch", "the installed torch package", lambda: trees.installed_torch(settings))
    else:
        yield Place("torch", "the installed torch package", "not asked for; LIBTORCH_SOURCE=torch asks for it")
    if settings.skip_download:
        yield _tried("system", "the compiler and the system's prefixes", lambda: trees.system(settings))
    else:
        yield Place(
            "system", "the compiler and the system's prefixes", "not asked for; LIBTORCH_SKIP_DOWNLOAD=1 asks for it"
        )
    tree = mark.read(settings.home, settings.target)
    yield Place("cache", str(tree.path), tree.verdict, tree.libtorch is not None, tree.libtorch)


def _tried(name: str, where: str, find: Callable[[], Libtorch]) -> Place:
    """Look at a place that was asked for: `ensure` ends there, found or not."""
    try:
        found = find()
    except LibtorchFFIError as error:
        return Place(name, where, str(error), used=True)
    return Place(name, str(found.prefix), f"libtorch {found.version} {found.flavor}", used=True, libtorch=found)


def _sandbox(settings: Settings) -> Place:
    inside = in_nix_sandbox(settings.environ)
    return Place(
        "sandbox", "NIX_BUILD_TOP", "a Nix build: nothing is downloaded" if inside else "not a Nix build", used=inside
    )


def _download(settings: Settings) -> Place:
    names = ", ".join(name for name, _ in sources.in_order(settings))
    try:
        check_exists(settings.target)
    except LibtorchFFIError as error:
        return Place("download", names, str(error), used=True)
    return Place("download", names, f"{settings.target} would be downloaded", used=True)
