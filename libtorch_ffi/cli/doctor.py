"""`libtorch-ffi doctor`: which libtorch would be used and why, and what else a build needs.

Owns the report. The facts are `libtorch_ffi.provision`'s (places, sandbox, sources) and `libtorch_ffi.build`'s
(compiler, headers); nothing is changed, downloaded or compiled, and the extension is not loaded.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

from libtorch_ffi.errors import BuildError
from libtorch_ffi.provision import Settings, probe_sources, sandbox, survey

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from libtorch_ffi.provision import Libtorch

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
    libtorch = _places(settings)
    has_compiler = _compiler(libtorch)
    in_sandbox = _sandbox(settings)
    reachable = _sources(settings, offline=options.offline)
    can_download = reachable and not in_sandbox and not settings.skip_download
    if libtorch is None and not can_download:
        return NO_LIBTORCH
    return 0 if has_compiler else NO_COMPILER


def _section(title: str, lines: Iterable[str]) -> None:
    """Print a heading and the lines below it, as soon as they are known: a probe may take its time."""
    sys.stdout.write(f"{title}\n")
    for line in lines:
        sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


def _program() -> list[str]:
    from importlib.metadata import version

    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    return [f"libtorch-ffi {version('libtorch-ffi')}, Python {platform.python_version()} ({sys.executable})", system]


def _variables() -> list[str]:
    """Return the variables that had a say, as they are set."""
    names = sorted(name for name in os.environ if name == "LIBTORCH" or name.startswith("LIBTORCH_"))
    return [f"{name}={os.environ[name]}" for name in names] or ["no LIBTORCH_* variable is set"]


def _places(settings: Settings) -> Libtorch | None:
    """Print each place that was looked at and what would be used; return it, if there is one."""
    places = survey(settings)
    _section("places, in order", (f"{'>' if place.used else ' '} {place.name}: {place.verdict}" for place in places))
    libtorch = next((place.libtorch for place in places if place.used), None)
    _section("would use", _facts(libtorch) if libtorch else ["nothing that is here yet: an install would download it"])
    return libtorch


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
        found = toolchain.compiler(libtorch.cxx_standard if libtorch else DEFAULT_STANDARD)
        toolchain.check_python_headers()
    except BuildError as error:
        _section("compiler", [str(error)])
        return False
    _section("compiler", [f"{' '.join(found.command)} ({found.family} {found.release})", "Python's headers are there"])
    return True


def _sandbox(settings: Settings) -> bool:
    inside = sandbox.in_nix_sandbox(settings.environ)
    _section("sandbox", ["a Nix build without network: nothing can be downloaded" if inside else "none"])
    return inside


def _sources(settings: Settings, *, offline: bool) -> bool:
    """Print which sources can be reached, and say whether one can; where it is not tried, whether one may."""
    if offline or settings.skip_download:
        reason = "--offline" if offline else "LIBTORCH_SKIP_DOWNLOAD is set"
        _section("sources of a download", [f"not tried: {reason}"])
        return not settings.skip_download
    sources = probe_sources(settings)
    _section("sources of a download", (f"{source.name}: {source.verdict}" for source in sources))
    return any(source.reachable for source in sources)
