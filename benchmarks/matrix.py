"""The version matrix: releases really downloaded, each installed into an empty cache, verified, built against and used.

    .venv-test/bin/python benchmarks/matrix.py [version[:flavor[:platform]] ...] [python3.10 ...]

Where nothing is named: 2.0.1, 2.1.2, 2.5.0, 2.9.1 and the newest release of the catalogue for the CPU of linux-x86_64,
2.5.0 for linux-aarch64 and macos-arm64, and every CPython from 3.10 to 3.13 that is on PATH. A release for this
machine's own platform is verified file by file, the extension is compiled against it from a copy of the checkout, and
a short program is run; one for another platform is verified only. A Python gets an environment of its own, into which
pip installs the checkout. Needs the build requirements of pyproject.toml. Prints a line each, and exits with 1 where
one fails.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from libtorch_ffi.errors import LibtorchFFIError
from libtorch_ffi.provision import Settings, catalogue, ensure, mark, verify
from libtorch_ffi.provision.settings import check_platform
from libtorch_ffi.provision.targets import Target, host_platform, release_numbers

CHECKOUT = Path(__file__).resolve().parents[1]
PARTS = ("libtorch_ffi", "pyproject.toml", "README.md", "LICENSE")
MADE = shutil.ignore_patterns("*.so", "__pycache__", "_built.json", "_ops.pyi")
RELEASES = ("2.0.1", "2.1.2", "2.5.0", "2.9.1")
CROSSED = ("linux-aarch64", "macos-arm64")
PYTHONS = tuple(f"python3.{minor}" for minor in range(10, 14))

SMOKE = """
import sys
import libtorch_ffi as lt
x = lt.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
lt.ops.aten.add.Tensor(x @ x, lt.zeros([2, 2])).sum().backward()
assert x.grad.tolist() == [[7.0, 11.0], [9.0, 13.0]], x.grad
assert len(lt.operators()) > 2000, len(lt.operators())
assert "torch" not in sys.modules
print(len(lt.operators()), "overloads")
"""


class FailedError(Exception):
    """One of the matrix that does not do; the text says why."""


def main() -> int:
    """Go through the matrix, print a line each, and judge."""
    logging.getLogger("libtorch_ffi").setLevel(logging.ERROR)
    words = sys.argv[1:]
    pythons = [word for word in words if word.startswith("python")]
    targets = [_target(word) for word in words if not word.startswith("python")]
    if not words:
        targets = _usual()
        pythons = [name for name in PYTHONS if _runs(name)]
    outcomes = [_told(str(target), lambda target=target: _tried(target)) for target in targets]
    outcomes += [_told(name, lambda name=name: _installed_for(name)) for name in pythons]
    return 0 if all(outcomes) else 1


def _told(name: str, work: object) -> bool:
    begun = time.perf_counter()
    try:
        assert callable(work)  # noqa: S101 (a lambda, as it is called above)
        found = work()
    except (LibtorchFFIError, FailedError) as error:
        print(f"{name:<42} FAILED: {error}", flush=True)
        return False
    print(f"{name:<42} {found}, {time.perf_counter() - begun:.0f} s", flush=True)
    return True


def _usual() -> list[Target]:
    newest = max(catalogue.releases(), key=release_numbers)
    releases = dict.fromkeys((*RELEASES, newest))
    here = [Target(version, "cpu", "linux-x86_64") for version in releases]
    return here + [Target("2.5.0", "cpu", check_platform(platform)) for platform in CROSSED]


def _target(text: str) -> Target:
    version, flavor, platform = (*text.split(":"), *("", "cpu", "linux-x86_64")[text.count(":") + 1 :])
    return Target(version, flavor, check_platform(platform))


def _tried(target: Target) -> str:
    """Install, verify, and for this machine's platform build and run."""
    with tempfile.TemporaryDirectory(prefix="libtorch-") as name:
        folder = Path(name)
        settings = Settings(
            version=target.version, flavor=target.flavor, platform=target.platform, home=folder / "home"
        )
        ensure(settings)
        report = verify(settings.home, target, full=True)
        if not report.sound:
            raise FailedError(f"damaged: {report.damage[0].name} {report.damage[0].problem}")
        received = mark.read(settings.home, target).receipt["received"]
        told = f"{received / 1e6:,.0f} MB, {report.files:,} files verify"
        return f"{told}, {_built(settings, folder)}" if target.platform == host_platform() else told


def _built(settings: Settings, folder: Path) -> str:
    """Compile a copy of the checkout against a libtorch, and run the short program with it."""
    copy = folder / "checkout"
    for part in PARTS:
        if (CHECKOUT / part).is_dir():
            shutil.copytree(CHECKOUT / part, copy / part, ignore=MADE)
        else:
            shutil.copyfile(CHECKOUT / part, copy / part)
    chosen = {"LIBTORCH_VERSION": settings.target.version, "LIBTORCH_CUDA_VERSION": settings.target.flavor}
    environ = {**_environ(), **chosen, "LIBTORCH_HOME": str(settings.home)}
    build = [sys.executable, "-c", "import setuptools; setuptools.setup()", "build_ext", "--inplace"]
    _run(build, copy, environ)
    return f"built, {_run([sys.executable, '-c', SMOKE], copy, environ)}"


def _installed_for(python: str) -> str:
    """Install the checkout with pip into a new environment of a Python, and run the short program."""
    with tempfile.TemporaryDirectory(prefix="libtorch-") as name:
        folder = Path(name)
        environ = _environ(python)
        _run([python, "-m", "venv", str(folder / "venv")], folder, environ)
        own = str(folder / "venv/bin/python")
        _run([own, "-m", "pip", "install", "--quiet", str(CHECKOUT)], folder, {**_environ(), **_cache()})
        return f"pip install, {_run([own, '-c', SMOKE], folder, {**_environ(), **_cache()})}"


def _environ(python: str = "") -> dict[str, str]:
    """Return this environment without what chooses a libtorch, with what makes pyenv start a certain Python."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("LIBTORCH", "PYTHONPATH"))}
    return {**others, "PYENV_VERSION": python.removeprefix("python")} if python else others


def _cache() -> dict[str, str]:
    home = os.environ.get("LIBTORCH_HOME")
    return {"LIBTORCH_HOME": home} if home else {}


def _runs(python: str) -> bool:
    command = shutil.which(python)
    return (
        command is not None
        and not subprocess.run(
            [
                command,
                "-c",
                "import sysconfig, pathlib; pathlib.Path(sysconfig.get_path('include'), 'Python.h').stat()",
            ],
            env=_environ(python),
            capture_output=True,
            check=False,
        ).returncode
    )


def _run(command: list[str], folder: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise FailedError(next((line for line in said if "error:" in line), said[-1] if said else "no word"))
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


if __name__ == "__main__":
    sys.exit(main())
