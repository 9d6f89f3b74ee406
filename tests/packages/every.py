"""The projects that take longer than CI has: ``pytest tests/packages/every.py``; `test_packages.py` has the others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from own_environment import RAN, USE, USED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from own_environment import Project

pytestmark = pytest.mark.slow
needs_ghc = pytest.mark.skipif(shutil.which("ghc") is None, reason="GHC is not installed")
needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")


def cmake_folder(mine: Project) -> str:
    return mine.run("python", "-m", "libtorch_ffi", "config", "--cmakedir").strip()


def test_setuptools(project: Callable[[str], Project]) -> None:
    mine = project("setuptools")
    mine.install("--no-build-isolation")
    assert mine.run("python", "-c", USE) == USED
    mine.check(mine.module())


def test_pybind11_by_hand(project: Callable[[str], Project]) -> None:
    mine = project("pybind11")
    mine.run("make")
    assert mine.run("python", "-c", USE) == USED
    mine.check(mine.module())


@needs_cmake
def test_nanobind(project: Callable[[str], Project]) -> None:
    pytest.importorskip("nanobind")
    mine = project("nanobind")
    mine.run("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={cmake_folder(mine)}", f"-DPython_EXECUTABLE={mine.python}")
    mine.run("cmake", "--build", "build", "-j2")
    assert mine.run("python", "-c", USE, PYTHONPATH=str(mine.folder / "build")) == USED
    mine.check(mine.module())


@needs_cmake
def test_scikit_build_core_finds_it_by_its_entry_point(project: Callable[[str], Project]) -> None:
    pytest.importorskip("scikit_build_core")
    mine = project("scikit_build_core")
    mine.install("--no-build-isolation")
    assert mine.run("python", "-c", USE) == USED
    mine.check(mine.module())


@needs_cmake
@pytest.mark.network
def test_scikit_build_core_under_build_isolation(project: Callable[[str], Project], tmp_path: Path) -> None:
    """libtorch-ffi comes as a wheel of what is installed here, all else from the index."""
    mine = project("scikit_build_core")
    mine.run("python", "-m", "libtorch_ffi", "wheel", str(tmp_path / "wheels"))
    mine.install(PIP_NO_INDEX="0", PIP_FIND_LINKS=str(tmp_path / "wheels"))
    assert mine.run("python", "-c", USE) == USED
    mine.check(mine.module())


@needs_cmake
def test_cmake_with_libtorch_ffi(project: Callable[[str], Project]) -> None:
    mine = project("cmake")
    prefix = mine.folder / "installed"
    mine.run("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={cmake_folder(mine)}", f"-DCMAKE_INSTALL_PREFIX={prefix}")
    mine.run("cmake", "--build", "build")
    mine.run("cmake", "--install", "build")
    for binary in (mine.folder / "build/main", prefix / "bin/main"):
        assert mine.run(binary) == RAN
        mine.check(binary)


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="pkg-config is not installed")
def test_meson(project: Callable[[str], Project]) -> None:
    pytest.importorskip("mesonbuild")
    mine = project("meson")
    mine.run("python", "-m", "libtorch_ffi", "env", "--for", "pkg-config", "--write")
    mine.run(sys.executable, "-m", "mesonbuild.mesonmain", "setup", "build", PKG_CONFIG_PATH=str(mine.folder))
    mine.run(sys.executable, "-m", "mesonbuild.mesonmain", "compile", "-C", "build")
    assert mine.run(mine.folder / "build/main") == RAN
    mine.check(mine.folder / "build/main")


def test_load_inline(project: Callable[[str], Project]) -> None:
    mine = project("load_inline")
    kept = mine.folder / "kept"
    for _ in range(2):
        assert mine.run("python", "run.py", LIBTORCH_EXTENSIONS_DIR=str(kept)) == USED
    [binary] = kept.rglob("*.so")
    mine.check(binary)


def foreign(project: Callable[[str], Project], name: str, file: str) -> Project:
    """Return a project of another language, whose C++ is told the C++ ABI by its author."""
    mine = project(name)
    path = mine.folder / file
    abi = f"-std=c++20 -D_GLIBCXX_USE_CXX11_ABI={int(mine.built['cxx11_abi'])}"
    path.write_text(path.read_text().replace("-std=c++20", abi))
    return mine


def runpath(binary: Path) -> str:
    return subprocess.run(["readelf", "-d", binary], capture_output=True, text=True, check=True).stdout


@needs_ghc
@pytest.mark.skipif(shutil.which("cabal") is None, reason="cabal-install is not installed")
def test_cabal(project: Callable[[str], Project], tmp_path: Path) -> None:
    """A package that is called otherwise than hasktorch's; Cabal's configuration names no server, so none is asked."""
    mine = foreign(project, "cabal", "ones.cabal")
    mine.run("python", "-m", "libtorch_ffi", "env", "--for", "cabal", "--write")
    (tmp_path / "configuration").mkdir()
    (tmp_path / "configuration/config").touch()
    mine.run("cabal", "v2-build", "all", CABAL_DIR=str(tmp_path / "configuration"))
    [program] = (path for path in mine.folder.glob("dist-newstyle/**/main") if path.is_file())
    assert mine.run(program) == "42\n"
    assert mine.built["library_dirs"][0] in runpath(program)


@needs_ghc
@pytest.mark.skipif(shutil.which("stack") is None, reason="Stack is not installed")
def test_stack(project: Callable[[str], Project], tmp_path: Path) -> None:
    """The compiler that is installed is the resolver, so nothing is downloaded."""
    mine = foreign(project, "cabal", "ones.cabal")
    version = mine.run("ghc", "--numeric-version").strip()
    (mine.folder / "stack.yaml").write_text(f"resolver: ghc-{version}\nsystem-ghc: true\ninstall-ghc: false\n")
    mine.run("python", "-m", "libtorch_ffi", "env", "--for", "stack", "--write")
    mine.run("stack", "build", "--copy-bins", "--local-bin-path", tmp_path, STACK_ROOT=str(tmp_path / "root"))
    assert mine.run(tmp_path / "main") == "42\n"
    assert mine.built["library_dirs"][0] in runpath(tmp_path / "main")


@pytest.mark.skipif(not (shutil.which("dune") and shutil.which("ocamlopt")), reason="dune or OCaml is not installed")
def test_dune(project: Callable[[str], Project]) -> None:
    """The variable of the environment is not what counts: the file is."""
    mine = foreign(project, "dune", "dune")
    mine.run("python", "-m", "libtorch_ffi", "env", "--for", "dune", "--write")
    mine.run("dune", "build", "--root", ".", "./main.exe", LIBTORCH="/nowhere")
    program = mine.folder / "_build/default/main.exe"
    assert mine.run(program) == "42\n"
    assert mine.built["library_dirs"][0] in runpath(program)
