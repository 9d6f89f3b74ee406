"""`libtorch-ffi doctor`: which libtorch would be used and why, and what else a build needs.

Owns the report. The facts are `libtorch_ffi.provision`'s (places, sandbox, sources) and `libtorch_ffi.build`'s
(compiler, headers); nothing is changed, downloaded or compiled, and the extension is not loaded.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

from libtorch_ffi import __version__
from libtorch_ffi.errors import BuildError, TargetError
from libtorch_ffi.provision import Settings, probe_sources, survey
from libtorch_ffi.provision.existence import check_exists

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from libtorch_ffi.provision import Libtorch, Place

NO_SUCH_TARGET = 3
NO_LIBTORCH = 4
NO_COMPILER = 8
"""The exit codes of the errors that an install would end with."""

DEFAULT_STANDARD = 17
"""The C++ standard to ask the compiler for where no libtorch is there yet to name one."""


def run(options: argparse.Namespace) -> int:
    """Print the report; returns 0 where a build can go ahead, else the exit code of what it would fail with."""
    settings = Settings.from_environment()
    _section("this program", _program())
    _section("asked for", [str(settings.target), *_variables()])
    used = _places(survey(settings))
    has_compiler = _compiler(used.libtorch)
    reachable = _sources(settings, offline=options.offline)
    if used.libtorch is None and (used.name != "download" or not reachable):
        return NO_LIBTORCH
    if used.libtorch is None and not _exists(settings):
        return NO_SUCH_TARGET
    return 0 if has_compiler else NO_COMPILER


def _section(title: str, lines: Iterable[str]) -> None:
    """Print a heading and the lines below it, as soon as they are known: a probe may take its time."""
    sys.stdout.write(f"{title}\n")
    for line in lines:
        sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


def _program() -> list[str]:
    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    return [f"libtorch-ffi {__version__}, Python {platform.python_version()} ({sys.executable})", system]


def _variables() -> list[str]:
    """Return the variables that had a say, as they are set."""
    names = sorted(name for name in os.environ if name == "LIBTORCH" or name.startswith("LIBTORCH_"))
    return [f"{name}={os.environ[name]}" for name in names] or ["no LIBTORCH_* variable is set"]


def _places(places: list[Place]) -> Place:
    """Print each place in the order in which it is looked at, and return the one where looking ends."""
    width = max(len(place.name) for place in places)
    _section(
        "places, in order",
        (f"{'>' if place.used else ' '} {place.name:{width}}  {place.where}: {place.verdict}" for place in places),
    )
    used = next(place for place in places if place.used)
    _section(
        "would use",
        _facts(used.libtorch) if used.libtorch else [f"nothing that is here: looking ends at {used.name!r}, above"],
    )
    return used


def _facts(libtorch: Libtorch) -> list[str]:
    dialect = f"_GLIBCXX_USE_CXX11_ABI={int(libtorch.cxx11_abi)}"
    lines = [
        f"libtorch {libtorch.version} {libtorch.flavor} for {libtorch.platform}",
        f"in {libtorch.prefix} ({libtorch.origin})",
        f"C++{libtorch.cxx_standard}, {dialect}",
    ]
    if libtorch.platform.startswith("linux") and not libtorch.cxx11_abi:
        lines.append(
            "the C++ ABI is the old one: builds that assume the compiler's default, as Cabal's and Cargo's do, fail"
        )
    return lines


def _compiler(libtorch: Libtorch | None) -> bool:
    """Print what compiles here, and say whether an extension can be compiled."""
    from libtorch_ffi.build import toolchain

    try:
        found = toolchain.find_compiler(libtorch.cxx_standard if libtorch else DEFAULT_STANDARD)
        toolchain.check_python_headers()
    except BuildError as error:
        _section("compiler", [str(error)])
        return False
    _section("compiler", [f"{' '.join(found.command)} ({found.family} {found.release})", "Python's headers are there"])
    return True


def _sources(settings: Settings, *, offline: bool) -> bool:
    """Print which sources can be reached, and say whether one can; where that is not tried, whether one may."""
    if offline or settings.skip_download:
        reason = "LIBTORCH_SKIP_DOWNLOAD is set" if settings.skip_download else "--offline"
        _section("sources of a download", [f"not tried: {reason}"])
        return not settings.skip_download
    probes = probe_sources(settings)
    _section("sources of a download", (f"{probe.source}  {probe.where}: {probe.verdict}" for probe in probes))
    return any(probe.reachable for probe in probes)


def _exists(settings: Settings) -> bool:
    try:
        check_exists(settings.target)
    except TargetError:
        return False
    return True
