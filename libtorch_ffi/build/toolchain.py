"""The compiler and the linker of this machine.

Owns finding a C++ compiler, telling what it is, and the paragraph for a machine without one. Decides no flag that
depends on libtorch: `libtorch_ffi.build.flags` does.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from libtorch_ffi.build import process
from libtorch_ffi.errors import BuildError

MACOS: bool = sys.platform == "darwin"

CXX17 = 201703
"""The value of ``__cplusplus`` that C++17 defines."""

PROBE = """
#include <cstddef>
#ifdef __clang__
probe_family clang
#elif defined(__GNUC__)
probe_family gcc
#else
probe_family other
#endif
#ifdef __GLIBCXX__
probe_library libstdc++
#else
probe_library other
#endif
probe_standard __cplusplus
probe_release __VERSION__
"""
"""Preprocessed, it says what the compiler takes itself for; nothing needs to be compiled or linked to know."""

COMPILER_PACKAGES = {
    "apt-get": "apt-get install g++",
    "dnf": "dnf install gcc-c++",
    "yum": "yum install gcc-c++",
    "apk": "apk add g++",
    "pacman": "pacman -S gcc",
    "zypper": "zypper install gcc-c++",
}
"""How each package manager installs a C++ compiler."""

PYTHON_PACKAGES = {
    "apt-get": "apt-get install python{version}-dev",
    "dnf": "dnf install python{version}-devel",
    "apk": "apk add python3-dev",
    "zypper": "zypper install python3-devel",
}
"""How each package manager installs Python's headers."""


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler that was asked what it is.

    Parameters
    ----------
    command
        The words that start it; more than one where ``CXX`` names a launcher such as ``ccache``.
    family
        ``gcc``, ``clang`` or ``other``.
    release
        What it defines ``__VERSION__`` as.
    libstdcxx
        Whether its standard library is GNU's.
    """

    command: tuple[str, ...]
    family: str
    release: str
    libstdcxx: bool


def find_compiler(standard: int = 17) -> Compiler:
    """Find the C++ compiler (``CXX``'s, else Python's own, else the first on ``PATH``) and ask it what it is.

    Parameters
    ----------
    standard
        The C++ standard that it must know, 17 or 20.

    Raises
    ------
    BuildError
        There is none, or it does not know the standard; the message names what to install.
    """
    command = _chosen() or _first_on_path()
    try:
        answer = process.run([*command, f"-std=c++{standard}", "-E", "-P", "-x", "c++", "-"], PROBE)
    except OSError as error:
        raise BuildError(_absent(f"The C++ compiler {command[0]!r} cannot be started ({error})")) from error
    facts = _facts(answer.stdout)
    if answer.returncode != 0 or int(facts["standard"].rstrip("L")) < CXX17:
        raise BuildError(_too_old(command, standard, answer.stderr))
    return Compiler(command, facts["family"], facts["release"].strip('"'), facts["library"] == "libstdc++")


def _chosen() -> tuple[str, ...]:
    words = tuple(shlex.split(os.environ.get("CXX", "")))
    if words and shutil.which(words[0]) is None:
        raise BuildError(_absent(f"CXX names {words[0]!r}, which is not a program on PATH"))
    return words


def _first_on_path() -> tuple[str, ...]:
    own = tuple(shlex.split(sysconfig.get_config_var("CXX") or ""))
    candidates = [words for words in (own, ("c++",), ("g++",), ("clang++",)) if words]
    found = next((words for words in candidates if shutil.which(words[0])), None)
    if found is None:
        names = ", ".join(dict.fromkeys(words[0] for words in candidates))
        raise BuildError(_absent(f"No C++ compiler was found: none of {names} is on PATH"))
    return found


def _facts(answer: str) -> dict[str, str]:
    lines = (line.partition(" ") for line in answer.splitlines() if line.startswith("probe_"))
    return {name[len("probe_") :]: value for name, _, value in lines}


def _absent(fact: str) -> str:
    return (
        f"{fact}. libtorch-ffi compiles its extension where it is installed and needs a compiler that knows C++17. "
        f"Nothing was installed. {_how_to_get_a_compiler()}, or set CXX to one, and run the same command again."
    )


def _too_old(command: tuple[str, ...], standard: int, stderr: str) -> str:
    said = " ".join(stderr.split()) or "it answered as an older one"
    return (
        f"The C++ compiler {shlex.join(command)!r} does not know C++{standard}, in which the headers of this libtorch "
        f"are written; it said: {said.rstrip('.')}. Nothing was installed. {_how_to_get_a_compiler()}, or set CXX to a "
        "newer one, and run the same command again."
    )


def _how_to_get_a_compiler() -> str:
    if MACOS:
        return "Install Apple's command line tools with `xcode-select --install`"
    line = _line_for_this_system(COMPILER_PACKAGES)
    return f"Install one with `{line}`" if line else "Install g++ 9 or later, or clang 9 or later"


def _line_for_this_system(packages: dict[str, str]) -> str | None:
    return next((line for manager, line in packages.items() if shutil.which(manager)), None)


def check_python_headers(folder: str | None = None) -> None:
    """Make sure that Python's own headers are there.

    Parameters
    ----------
    folder
        Where they should lie; the running Python's include folder where None.

    Raises
    ------
    BuildError
        ``Python.h`` is missing; the message names what to install.
    """
    header = Path(folder or sysconfig.get_path("include"), "Python.h")
    if header.is_file():
        return
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    line = _line_for_this_system(PYTHON_PACKAGES)
    how = f"Install them with `{line.format(version=version)}`" if line else f"Install the headers of Python {version}"
    raise BuildError(
        f"The C headers of this Python ({sys.executable}) are missing: expected {header}. Nothing was installed. "
        f"{how}, and run the same command again."
    )


def takes_ld_classic(command: tuple[str, ...]) -> bool:
    """Ask the linker behind a compiler whether it knows ``-ld_classic``; of all linkers Apple's does, from Xcode 15 on.

    Parameters
    ----------
    command
        The words that start the compiler.
    """
    if not MACOS:
        return False
    answer = process.run([*command, "-dynamiclib", "-Wl,-ld_classic", "-x", "c++", "-o", os.devnull, "-"])
    return answer.returncode == 0 and "unknown option" not in answer.stderr
