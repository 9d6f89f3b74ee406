"""A project that is copied to an empty folder and built there, in a virtual environment that is its own.

The environment sees the packages of the one that runs the tests, the package under test among them, through a ``.pth``
file: to install them anew would compile the extension for each project.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

from libtorch_ffi import errors

PROJECTS = Path(__file__).parent / "packages"
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
_SITE = Path(errors.__file__).parents[1]
USE = "import twice, libtorch_ffi as lt; print(twice.kind(lt.ones([2])), twice.twice(lt.ones([2])).tolist())"
USED = "CPUFloatType [2.0, 2.0]\n"
RAN = "CPUFloatType of 42\n"


def record() -> dict[str, Any]:
    """Return what the package under test was built against; skip where it is not built."""
    path = _SITE / "libtorch_ffi/_built.json"
    if not path.is_file():
        pytest.skip("the package under test is not built")
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts


class Project:
    """A copy of one of the projects.

    Parameters
    ----------
    name
        The project's folder.
    folder
        An empty folder.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.built = record()
        self.folder = folder / name
        shutil.copytree(PROJECTS / name, self.folder)
        self.environment = folder / "environment"
        venv.create(self.environment, with_pip=False)
        self.python = self.environment / "bin/python"
        paths = [str(_SITE), *(path for path in sys.path if path.endswith("site-packages"))]
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site = self.environment / "lib" / version / "site-packages"
        (site / "parent.pth").write_text("\n".join(dict.fromkeys(paths)) + "\n")

    def run(self, *words: str | Path, check: bool = True, **environ: str) -> str:
        """Run a command in the project's folder and return its stdout; ``python`` is the environment's."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LIBTORCH", "PYTHON"))}
        variables = {
            "PATH": os.pathsep.join(
                [str(self.environment / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "LIBTORCH": self.built["prefix"],
            "LIBTORCH_HOME": str(self.folder / "no-cache"),
            "PIP_NO_INDEX": "1",
            **environ,
        }
        done = subprocess.run(
            words, cwd=self.folder, env={**inherited, **variables}, capture_output=True, text=True, check=False
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def install(self, *words: str, **environ: str) -> None:
        """Install the project into its environment, as ``pip install .`` does."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet", "--no-deps"]
        self.run(*pip, *words, ".", check=True, **environ)

    def check(self, binary: Path) -> None:
        """Assert that a binary needs libtorch's libraries, finds them by itself, and has the right C++ ABI."""
        told = subprocess.run(["readelf", "-d", binary], capture_output=True, text=True, check=True).stdout
        needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", told))
        assert {"libtorch_cpu.so", "libc10.so"} <= needed
        [path] = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", told)
        assert set(self.built["library_dirs"]) <= set(path.split(":"))
        symbols = subprocess.run(["nm", "-D", binary], capture_output=True, text=True, check=True).stdout
        [name] = re.findall(
            r"\b_ZNK2at10TensorBase8toString\w*|\b_ZNK2at6Tensor8toString\w*|\b\w*8toString\w*", symbols
        )[:1]
        assert ("cxx11" in name) == self.built["cxx11_abi"]

    def module(self) -> Path:
        """Return the extension module that was installed, or built in the folder."""
        found = [*self.environment.rglob(f"twice*{SUFFIX}"), *self.folder.rglob(f"twice*{SUFFIX}")]
        found = found or [*self.folder.rglob("twice*.so"), *self.environment.rglob("twice*.so")]
        return found[0]
