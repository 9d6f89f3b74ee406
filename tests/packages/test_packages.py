"""Small real projects, built from an empty folder on the libtorch of the package under test: three ways.

`every.py` beside this has the others, which only ``pytest tests/packages/every.py`` runs.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from own_environment import PROJECTS, RAN, USE, USED

if TYPE_CHECKING:
    from collections.abc import Callable

    from own_environment import Project

BUILDS = (Path(__file__).resolve().parents[2] / "docs/builds.md").read_text(encoding="utf-8")
MOST_LINES = 12
"""What an extension with one C++ function may cost its author, beyond the C++."""

needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
needs_pkg_config = pytest.mark.skipif(shutil.which("pkg-config") is None, reason="pkg-config is not installed")


def test_pyproject_alone(project: Callable[[str], Project]) -> None:
    mine = project("pyproject")
    mine.install("--no-build-isolation")
    assert mine.run("python", "-c", USE) == USED
    mine.check(mine.module())


@needs_cmake
def test_cmake_with_find_package_torch(project: Callable[[str], Project]) -> None:
    mine = project("cmake_torch")
    folder = mine.run("python", "-m", "libtorch_ffi", "config", "--cmakedir").strip()
    mine.run("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={folder}")
    mine.run("cmake", "--build", "build")
    assert mine.run(mine.folder / "build/main") == RAN
    mine.check(mine.folder / "build/main")


@needs_pkg_config
def test_makefile_with_pkg_config(project: Callable[[str], Project]) -> None:
    mine = project("make")
    mine.run("python", "-m", "libtorch_ffi", "env", "--for", "pkg-config", "--write")
    mine.run("make", PKG_CONFIG_PATH=".")
    assert mine.run(mine.folder / "main") == RAN
    mine.check(mine.folder / "main")


@pytest.mark.parametrize("file", ["setuptools/setup.py", "pyproject/pyproject.toml"])
def test_the_lines_of_an_author_are_few_and_those_of_the_documentation(file: str) -> None:
    text = (PROJECTS / file).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert text in BUILDS


@pytest.mark.parametrize(
    "file", ["scikit_build_core/CMakeLists.txt", "cmake/CMakeLists.txt", "make/Makefile", "meson/meson.build"]
)
def test_the_documentation_has_what_is_built(file: str) -> None:
    assert (PROJECTS / file).read_text(encoding="utf-8") in BUILDS
