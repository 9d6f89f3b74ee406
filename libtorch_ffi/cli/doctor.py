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
from libtorch_ffi.cli import EXIT_CODES, findings
from libtorch_ffi.errors import BuildError, LibtorchFFIError, SettingError
from libtorch_ffi.provision import Settings, driver, probe_sources, survey

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from libtorch_ffi.cli.findings import Finding
    from libtorch_ffi.provision import Libtorch, Place

NO_LIBTORCH = EXIT_CODES["NotFoundError"]

CODES = {
    "bad-setting": EXIT_CODES["SettingError"],
    "no-such-libtorch": EXIT_CODES["TargetError"],
    "no-compiler": EXIT_CODES["BuildError"],
    "no-python-headers": EXIT_CODES["BuildError"],
}
"""What an install would end with, by the finding; each other error is that there is no libtorch."""

HARMLESS = frozenset(("half-installed", "bad-ok", "library-gone", "extension-libtorch-gone"))
"""Errors of an import, which the next install mends by itself: a build can go ahead."""

DEFAULT_STANDARD = 17
"""The C++ standard to ask the compiler for where no libtorch is there yet to name one."""


def run(options: argparse.Namespace) -> int:
    """Print the report; returns 0 where a build can go ahead, else the exit code of what it would fail with.

    Raises
    ------
    SettingError
        If a variable holds what is not accepted; it is a finding too.
    """
    report = _Report(as_json=options.json)
    try:
        _examine(report, offline=options.offline)
    except SettingError as error:
        report.add([findings.of_setting(error)])
        report.end()
        raise
    return report.end()


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
        self._findings: list[Finding] = []

    def section(self, title: str, lines: Iterable[str]) -> None:
        """Add a heading and the lines below it."""
        found = list(lines)
        self._sections[title] = found
        if not self._as_json:
            sys.stdout.write("".join([f"{title}\n", *(f"  {line}\n" for line in found)]))
            sys.stdout.flush()

    def add(self, found: Iterable[Finding]) -> None:
        """Take note of findings, which are printed at the end."""
        self._findings += found

    def end(self) -> int:
        """Print what is printed at the end, and return the exit code."""
        lines = [line for each in self._findings for line in each.lines()]
        self.section("findings", lines or ["none"])
        if self._as_json:
            facts = {"sections": self._sections, "findings": [vars(each) for each in self._findings]}
            sys.stdout.write(json.dumps({**facts, "exit_code": self._code()}, indent=2) + "\n")
        return self._code()

    def _code(self) -> int:
        """Return the exit code of what is worst: a libtorch that cannot be had goes before a compiler that is not."""
        errors = [each.id for each in self._findings if each.severity == "error" and each.id not in HARMLESS]
        return min((CODES.get(each, NO_LIBTORCH) for each in errors), default=0)


def _examine(report: _Report, *, offline: bool) -> None:
    report.section("this program", _program())
    settings = Settings.from_environment()
    report.section("asked for", [str(settings.target), *_variables()])
    report.add(findings.of_names(os.environ))
    used = _places(report, survey(settings))
    report.add(findings.of_place(settings, used))
    _driver(report, settings, used.libtorch.flavor if used.libtorch else settings.target.flavor)
    _compiler(report, used.libtorch)
    _sources(report, settings, offline=offline, needed=used.name == "download")
    if used.libtorch:
        report.add(findings.of_libtorch(used.libtorch))
    _extension(report)


def _extension(report: _Report) -> None:
    """Compare the installed extension's record with the disk; a folder of sources has none."""
    from libtorch_ffi._load import read_record

    try:
        built = read_record()
    except LibtorchFFIError:
        return
    report.add(findings.of_extension(built))


def _driver(report: _Report, settings: Settings, flavor: str) -> None:
    """Say whether a CUDA flavor can compute here; of other flavors there is nothing to say."""
    if driver.cuda_of_flavor(flavor) is None:
        return
    has = driver.cuda_of_driver()
    fine = f"NVIDIA's driver knows CUDA {'.'.join(map(str, has or ()))}, enough for {flavor}"
    report.section("driver", [driver.mismatch(flavor, has) or fine])
    report.add(findings.of_driver(settings, flavor, has))


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
    return [
        f"libtorch {libtorch.version} {libtorch.flavor} for {libtorch.platform}",
        f"in {libtorch.prefix} ({libtorch.origin})",
        f"C++{libtorch.cxx_standard}, {dialect}",
    ]


def _compiler(report: _Report, libtorch: Libtorch | None) -> None:
    """Print what compiles an extension here."""
    from libtorch_ffi.build import toolchain

    try:
        found = toolchain.find_compiler(libtorch.cxx_standard if libtorch else DEFAULT_STANDARD)
        toolchain.check_python_headers()
    except BuildError as error:
        report.section("compiler", [str(error)])
        report.add([findings.of_compiler(error)])
        return
    report.section(
        "compiler", [f"{' '.join(found.command)} ({found.family} {found.release})", "Python's headers are there"]
    )


def _sources(report: _Report, settings: Settings, *, offline: bool, needed: bool) -> None:
    """Print which sources can be reached."""
    if offline or settings.skip_download:
        reason = "LIBTORCH_SKIP_DOWNLOAD is set" if settings.skip_download else "--offline"
        report.section("sources of a download", [f"not tried: {reason}"])
        return
    probes = probe_sources(settings)
    report.section("sources of a download", (f"{probe.source}  {probe.where}: {probe.verdict}" for probe in probes))
    if needed:
        report.add(findings.of_sources(probes))
