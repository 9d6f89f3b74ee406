"""The matrix: releases really downloaded, verified, built against and used; and every Python that the package is for.

    .venv-test/bin/python benchmarks/matrix.py [version[:flavor[:platform]] ...] [python3.10 ...]

Where nothing is named: 2.0.1, 2.1.2, 2.5.0, 2.9.1 and the newest release of the catalogue for the CPU of linux-x86_64,
2.5.0 for linux-aarch64 and macos-arm64, and CPython 3.10 to 3.13. Each release is installed into an empty cache and
verified file by file; against one for this machine's own platform the extension is compiled, from a copy of the
checkout, and ``tests/smoke.py`` is run with it. A Python gets an environment of its own, into which pip installs such a
copy. Needs the build requirements of pyproject.toml, a package index, and some 2 GB of disk. Prints a table, a row as
soon as it is known, and exits with 1 where one fails; a Python that is not on PATH is told and fails nothing.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.errors import LibtorchFFIError
from libtorch_ffi.provision import Settings, catalogue, ensure, mark, verify
from libtorch_ffi.provision.settings import check_platform
from libtorch_ffi.provision.targets import Target, host_platform, release_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKOUT = Path(__file__).resolve().parents[1]
PARTS = ("libtorch_ffi", "pyproject.toml", "README.md", "LICENSE")
MADE = shutil.ignore_patterns("*.so", "__pycache__", "_built.json", "_ops.pyi")
SMOKE = CHECKOUT / "tests/smoke.py"
BUILD = ("-c", "import setuptools; setuptools.setup()", "build_ext", "--inplace")

RELEASES = ("2.0.1", "2.1.2", "2.5.0", "2.9.1")
CROSSED = ("linux-aarch64", "macos-arm64")
PYTHONS = tuple(f"python3.{minor}" for minor in range(10, 14))

COLUMNS = "{:<26}{:>9}{:>9}{:>9}{:>8}  {}"


class FailedError(Exception):
    """One of the matrix that does not do; the text says why."""


class AbsentError(Exception):
    """A Python that this machine does not have."""


@dataclass
class Row:
    """What is known of one of the matrix."""

    name: str
    received: str = ""
    files: str = ""
    built: str = ""
    smoke: str = ""


def main() -> int:
    """Go through the matrix, print a row each, and judge."""
    logging.getLogger("libtorch_ffi").setLevel(logging.ERROR)
    print(COLUMNS.format("", "MB", "files", "build s", "all s", ""))
    with tempfile.TemporaryDirectory(prefix="libtorch-matrix-") as folder:
        outcomes = [_told(row, work) for row, work in _chosen(sys.argv[1:], Path(folder))]
    failed = outcomes.count(False)
    print(f"{len(outcomes) - failed} of {len(outcomes)} do" + (f", {failed} FAILED" if failed else ""))
    return 1 if failed else 0


def _chosen(words: list[str], folder: Path) -> Iterator[tuple[Row, Callable[[Row], None]]]:
    """Give each of the matrix, and what is to be done with it."""
    pythons = [word for word in words if word.startswith("python")] if words else PYTHONS
    targets = [_target(word) for word in words if not word.startswith("python")] if words else _usual()
    for target in targets:
        yield Row(f"{target.version} {target.flavor} {target.platform}"), partial(_tried, target, folder)
    for python in pythons:
        yield Row(python), partial(_installed_for, python, folder)


def _usual() -> list[Target]:
    newest = max(catalogue.releases(), key=release_numbers)
    releases = dict.fromkeys((*RELEASES, newest))
    here = [Target(version, "cpu", "linux-x86_64") for version in releases]
    return here + [Target("2.5.0", "cpu", check_platform(platform)) for platform in CROSSED]


def _target(text: str) -> Target:
    version, flavor, platform = (*text.split(":"), *("", "cpu", "linux-x86_64")[text.count(":") + 1 :])
    return Target(version, flavor, check_platform(platform))


def _told(row: Row, work: Callable[[Row], None]) -> bool:
    """Do it and print the row; tell whether it went well."""
    begun = time.perf_counter()
    try:
        work(row)
        outcome = row.smoke or "verified"
    except AbsentError as error:
        outcome = f"not tried: {error}"
    except (LibtorchFFIError, FailedError) as error:
        outcome = f"FAILED: {error}"
    seconds = f"{time.perf_counter() - begun:.0f}"
    print(COLUMNS.format(row.name, row.received, row.files, row.built, seconds, outcome), flush=True)
    return "FAILED" not in outcome


def _tried(target: Target, folder: Path, row: Row) -> None:
    """Install, verify, and for this machine's platform build and run. Nothing of it is kept."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        home = Path(name, "home")
        settings = Settings(version=target.version, flavor=target.flavor, platform=target.platform, home=home)
        ensure(settings)
        row.received = f"{mark.read(home, target).receipt['received'] / 1e6:,.0f}"
        report = verify(home, target, full=True)
        row.files = f"{report.files:,}"
        if not report.sound:
            raise FailedError(f"damaged: {report.damage[0].name} {report.damage[0].problem}")
        if target.platform == host_platform():
            _built(settings, _copied(Path(name, "checkout")), row)


def _built(settings: Settings, checkout: Path, row: Row) -> None:
    """Compile a copy of the checkout against a libtorch, and run the smoke test with it."""
    chosen = {"LIBTORCH_VERSION": settings.target.version, "LIBTORCH_CUDA_VERSION": settings.target.flavor}
    environ = {**_environ(), **chosen, "LIBTORCH_HOME": str(settings.home)}
    begun = time.perf_counter()
    _run([sys.executable, *BUILD], checkout, environ)
    row.built = f"{time.perf_counter() - begun:.0f}"
    row.smoke = _smoked(sys.executable, checkout, {**environ, "PYTHONPATH": str(checkout)})


def _installed_for(python: str, folder: Path, row: Row) -> None:
    """Install the checkout with pip into a new environment of a Python, and run the smoke test. They share a cache."""
    _check_python(python)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        environ = {**_environ(python), "LIBTORCH_HOME": str(folder / "pythons")}
        _run([python, "-m", "venv", str(Path(name, "venv"))], folder, environ)
        own = str(Path(name, "venv/bin/python"))
        begun = time.perf_counter()
        _run([own, "-m", "pip", "install", "--quiet", str(_copied(Path(name, "checkout")))], folder, environ)
        row.built = f"{time.perf_counter() - begun:.0f}"
        row.smoke = _smoked(own, Path(name), environ)


def _copied(folder: Path) -> Path:
    """Return a copy of what the package is built from, without what was built of it."""
    folder.mkdir()
    for part in PARTS:
        if (CHECKOUT / part).is_dir():
            shutil.copytree(CHECKOUT / part, folder / part, ignore=MADE)
        else:
            shutil.copyfile(CHECKOUT / part, folder / part)
    return folder


def _environ(python: str = "") -> dict[str, str]:
    """Return this environment without what chooses a libtorch, with what makes pyenv start a certain Python."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("LIBTORCH", "PYTHONPATH"))}
    return {**others, "PYENV_VERSION": python.removeprefix("python")} if python else others


def _check_python(python: str) -> None:
    """Refuse a Python that is not here, or without the headers that a build needs."""
    header = "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('include'), 'Python.h').stat()"
    if shutil.which(python) is None:
        raise AbsentError("it is not on PATH")
    if subprocess.run([python, "-c", header], env=_environ(python), capture_output=True, check=False).returncode:
        raise AbsentError("it does not start, or has no headers")


def _smoked(python: str, folder: Path, environ: dict[str, str]) -> str:
    return _run([python, "-W", "error", str(SMOKE)], folder, environ)


def _run(command: list[str], folder: Path, environ: dict[str, str]) -> str:
    """Return the last line that a program prints; where it fails, what it complains of first."""
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode < 0:
        raise FailedError(f"{Path(command[-1]).name} was ended by {signal.Signals(-done.returncode).name}")
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        complaint = next((line for line in said if "error:" in line), (said or ["nothing"])[-1])
        raise FailedError(f"{Path(command[-1]).name} ended with status {done.returncode}: {complaint.strip()}")
    return (done.stdout.splitlines() or [""])[-1]


if __name__ == "__main__":
    sys.exit(main())
