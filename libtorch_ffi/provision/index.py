"""Package indexes: PyTorch's own and PyPI's, and which of their wheels is the one wanted.

Owns where the indexes are and the choice of a wheel on a project's page, which `pages` reads. Never fetches a wheel.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from libtorch_ffi.provision import pages
from libtorch_ffi.provision.remote import AbsentError, UnreachableError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from packaging.specifiers import SpecifierSet
    from packaging.tags import Tag
    from packaging.version import Version

    from libtorch_ffi.provision.remote import Net
    from libtorch_ffi.provision.settings import Settings
    from libtorch_ffi.provision.targets import Platform

OFFICIAL_BASE = "https://download.pytorch.org"

_SYSTEMS = {"linux": ("linux", "manylinux"), "macos": ("macosx",)}
_PREFERRED_PYTHON = "cp311"


@dataclass(frozen=True)
class Listed:
    """A wheel on an index.

    Parameters
    ----------
    filename
        Its name.
    url
        Its address.
    version
        Its version, with the local part.
    tags
        What its file name says it runs on.
    sha256
        Its digest, where the index states one.
    size
        Its size in bytes, where the index states it.
    yanked
        Whether it was withdrawn.
    """

    filename: str
    url: str
    version: Version
    tags: frozenset[Tag]
    sha256: str | None
    size: int | None
    yanked: bool

    def runs_on(self, platform: Platform) -> bool:
        """Tell whether the wheel holds something that is made for a platform."""
        system, _, machine = platform.partition("-")
        return any(
            tag.platform.startswith(_SYSTEMS[system]) and tag.platform.endswith((machine, "universal2"))
            for tag in self.tags
        )

    @property
    def is_pure(self) -> bool:
        """Whether the wheel runs anywhere, so that it holds no library (or nothing but metadata)."""
        return all(tag.platform == "any" for tag in self.tags)


class Index:
    """An index of packages.

    Parameters
    ----------
    net
        The session to ask with.
    url
        The folder that holds the projects' pages.
    """

    def __init__(self, net: Net, url: str) -> None:
        self._net = net
        self.url = url.rstrip("/")

    def __str__(self) -> str:
        return shown(self.url)

    def wheels(self, project: str) -> list[Listed]:
        """Return the wheels of a project.

        Raises
        ------
        UnreachableError
            Where the index does not answer, or not with an index page.
        AbsentError
            Where it has no such project.
        """
        page_url = f"{self.url}/{canonicalize_name(project)}/"
        page = self._net.page(page_url, pages.ACCEPT)
        try:
            files = pages.read(page, project)
        except ValueError as error:
            raise UnreachableError(f"{shown(page_url)} answered with what is no index page: {error}") from error
        return list(_listed(files))

    def find(self, project: str, wanted: Callable[[Version], bool], platform: Platform) -> Listed:
        """Return the best wheel of a project: newest, not withdrawn, for CPython 3.11 where there are several.

        The libraries inside are the same for every Python, so one is taken always, and its pins hold everywhere.

        Raises
        ------
        UnreachableError, AbsentError
            Where there is none.
        """
        fitting = [each for each in self.wheels(project) if wanted(each.version)]
        for_platform = [each for each in fitting if each.is_pure or each.runs_on(platform)]
        if not for_platform:
            versions = f"; it has the version for other platforms: {fitting[0].filename}, …" if fitting else ""
            raise AbsentError(f"{self} has no such wheel of {project} for {platform}{versions}")
        return max(for_platform, key=_preference)


def official_base(settings: Settings) -> str:
    """Return the base address of PyTorch's own server, or of the mirror that stands for it."""
    return settings.mirror or OFFICIAL_BASE


def pypi_base(settings: Settings) -> str:
    """Return the address of the index for packages.

    ``LIBTORCH_INDEX_URL``, else pip's ``PIP_INDEX_URL``, else what pip's configuration files say, else PyPI.
    """
    return (
        settings.index_url
        or settings.environ.get("PIP_INDEX_URL", "").strip()
        or pip_configured(settings.environ)
        or pages.pypi()
    ).rstrip("/")


def pip_configured(environ: Mapping[str, str]) -> str | None:
    """Return the ``index-url`` of pip's configuration files; the last file that has one wins, as in pip."""
    from configparser import ConfigParser, Error

    found = None
    for path in _pip_files(environ):
        parser = ConfigParser(interpolation=None)
        try:
            parser.read(path, encoding="utf-8")
        except (Error, UnicodeDecodeError):
            continue
        for section in ("global", "install", "download"):
            found = parser.get(section, "index-url", fallback=None) or found
    return found


def _pip_files(environ: Mapping[str, str]) -> list[str]:
    """List pip's configuration files, in the order in which later ones override earlier ones."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 (Path.home fails where there is none)
    user = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    systems = [*reversed(environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")), "/etc"]
    files = [f"{folder}/pip/pip.conf" for folder in systems[:-1]] + ["/etc/pip.conf"]
    if sys.platform == "darwin":
        files.insert(0, "/Library/Application Support/pip/pip.conf")
        files.append(f"{home}/Library/Application Support/pip/pip.conf")
    files += [f"{home}/.pip/pip.conf", f"{user}/pip/pip.conf", f"{sys.prefix}/pip.conf"]
    return [*files, named] if named else files


def _listed(files: list[pages.File]) -> Iterator[Listed]:
    for file in files:
        try:
            _, version, _, tags = parse_wheel_filename(file.filename)
        except (InvalidWheelFilename, ValueError):
            continue
        yield Listed(file.filename, file.url, version, tags, file.sha256, file.size, file.yanked)


def _preference(listed: Listed) -> tuple[bool, Version, bool, bool, tuple[int, ...], str]:
    """Order wheels; the name comes last so that the choice is the same everywhere."""
    abis = {tag.abi for tag in listed.tags}
    pythons = {tag.interpreter for tag in listed.tags}
    newest = max(
        (int(python[3:]) for python in pythons if python.startswith("cp3") and python[3:].isdigit()), default=0
    )
    threaded = any(abi.endswith("t") for abi in abis)
    return not listed.yanked, listed.version, _PREFERRED_PYTHON in pythons, not threaded, (newest,), listed.filename


def matching(specifier: SpecifierSet) -> Callable[[Version], bool]:
    """Return the test of a version against a requirement's specifier."""
    return lambda version: specifier.contains(version, prereleases=True)


def of_release(release: str) -> Callable[[Version], bool]:
    """Return the test whether a version is a release, whatever its local part."""
    return lambda version: version.public == release
