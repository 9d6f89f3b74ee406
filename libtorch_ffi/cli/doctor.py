"""`libtorch-ffi doctor`: which libtorch would be used and why, and what else a build needs.

Owns the report. The facts are `libtorch_ffi.provision`'s (places, sandbox, sources) and `libtorch_ffi.build`'s
(compiler, headers); nothing is changed, downloaded or compiled, and the extension is not loaded.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from typing import TYPE_CHECKING

from libtorch_ffi import __version__
from libtorch_ffi.errors import BuildError, TargetError
from libtorch_ffi.provision import Settings, driver, probe_sources, survey
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
    report = _Report(as_json=options.json)
    code = _examine(report, offline=options.offline)
    report.end(code)
    return code


class _Report:
    """The sections of the report, printed as soon as they are known (a probe may take its time), or as JSON at the end.

    Parameters
    ----------
    as_json
        Whether it is JSON.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._sections: dict[str, list[str]] = {}

    def section(self, title: str, lines: Iterable[str]) -> None:
        """Add a heading and the lines below it."""
        found = list(lines)
        self._sections[title] = found
        if not self._as_json:
            sys.stdout.write("".join([f"{title}\n", *(f"  {line}\n" for line in found)]))
            sys.stdout.flush()

    def end(self, code: int) -> None:
        """Print what is printed at the end."""
        if self._as_json:
            sys.stdout.write(json.dumps({"sections": self._sections, "exit_code": code}, indent=2) + "\n")


def _examine(report: _Report, *, offline: bool) -> int:
    settings = Settings.from_environment()
    report.section("this program", _program())
    report.section("asked for", [str(settings.target), *_variables()])
    used = _places(report, survey(settings))
    _driver(report, used.libtorch.flavor if used.libtorch else settings.target.flavor)
    has_compiler = _compiler(report, used.libtorch)
    reachable = _sources(report, settings, offline=offline)
    if used.libtorch is None and (used.name != "download" or not reachable):
        return NO_LIBTORCH
    if used.libtorch is None and not _exists(settings):
        return NO_SUCH_TARGET
    return 0 if has_compiler else NO_COMPILER


def _driver(report: _Report, flavor: str) -> None:
    """Say whether a CUDA flavor can compute here; of other flavors there is nothing to say."""
    if driver.cuda_of_flavor(flavor) is None:
        return
    has = driver.cuda_of_driver()
    fine = f"NVIDIA's driver knows CUDA {'.'.join(map(str, has or ()))}, enough for {flavor}"
    report.section("driver", [driver.mismatch(flavor, has) or fine])


def _program() -> list[str]:
    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    return [f"libtorch-ffi {__version__}, Python {platform.python_version()} ({sys.executable})", system]


def _variables() -> list[str]:
    """Return the variables that had a say, as they are set."""
    names = sorted(name for name in os.environ if name == "LIBTORCH" or name.startswith("LIBTORCH_"))
    return [f"{name}={os.environ[name]}" for name in names] or ["no LIBTORCH_* variable is set"]


def _places(report: _Report, places: list[Place]) -> Place:
    """Print each place in the order in which it is looked at, and return the one where looking ends."""
    width = max(len(place.name) for place in places)
    report.section(
        "places, in order",
        (f"{'>' if place.used else ' '} {place.name:{width}}  {place.where}: {place.verdict}" for place in places),
    )
    used = next(place for place in places if place.used)
    report.section(
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


def _compiler(report: _Report, libtorch: Libtorch | None) -> bool:
    """Print what compiles here, and say whether an extension can be compiled."""
    from libtorch_ffi.build import toolchain

    try:
        found = toolchain.find_compiler(libtorch.cxx_standard if libtorch else DEFAULT_STANDARD)
        toolchain.check_python_headers()
    except BuildError as error:
        report.section("compiler", [str(error)])
        return False
    report.section(
        "compiler", [f"{' '.join(found.command)} ({found.family} {found.release})", "Python's headers are there"]
    )
    return True


def _sources(report: _Report, settings: Settings, *, offline: bool) -> bool:
    """Print which sources can be reached, and say whether one can; where that is not tried, whether one may."""
    if offline or settings.skip_download:
        reason = "LIBTORCH_SKIP_DOWNLOAD is set" if settings.skip_download else "--offline"
        report.section("sources of a download", [f"not tried: {reason}"])
        return not settings.skip_download
    probes = probe_sources(settings)
    report.section("sources of a download", (f"{probe.source}  {probe.where}: {probe.verdict}" for probe in probes))
    return any(probe.reachable for probe in probes)


def _exists(settings: Settings) -> bool:
    try:
        check_exists(settings.target)
    except TargetError:
        return False
    return True
