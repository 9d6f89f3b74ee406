"""`libtorch_ffi.build.toolchain`: which compiler is found, and the paragraph where there is none."""

from __future__ import annotations

import shlex
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi.build import toolchain
from libtorch_ffi.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path


def program(folder: Path, name: str, text: str) -> Path:
    """Write a shell script that stands for a compiler or a package manager."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def only_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave one folder on PATH, empty so far, and no compiler that Python would know."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CXX", raising=False)
    return folder


@pytest.mark.compile
def test_the_compiler_at_hand_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "g++")
    found = toolchain.find_compiler()
    assert found.command == ("g++",)
    assert found.family == "gcc"
    assert found.release[0].isdigit()
    assert found.libstdcxx


@pytest.mark.compile
def test_a_launcher_before_the_compiler_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = program(tmp_path, "launch er", 'exec "$@"')
    monkeypatch.setenv("CXX", f"{shlex.quote(str(launcher))} g++")
    assert toolchain.find_compiler().command == (str(launcher), "g++")


def test_no_compiler_at_all(only_path: Path) -> None:
    program(only_path, "apt-get", "exit 1")
    with pytest.raises(BuildError) as caught:
        toolchain.find_compiler()
    text = str(caught.value)
    assert text.startswith("No C++ compiler was found: none of ")
    assert "c++, g++, clang++ is on PATH" in text or "g++, c++, clang++ is on PATH" in text
    assert "`apt-get install g++`" in text
    assert "\n" not in text


def test_cxx_that_is_no_program(only_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(only_path, "dnf", "exit 1")
    monkeypatch.setenv("CXX", "g++-99 -m64")
    with pytest.raises(BuildError, match=r"^CXX names 'g\+\+-99', which is not a program on PATH\.") as caught:
        toolchain.find_compiler()
    assert "`dnf install gcc-c++`" in str(caught.value)


def test_a_compiler_that_refuses_the_standard(only_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(only_path, "old-c++", "echo 'unrecognized option -std=c++20' >&2; exit 1")
    monkeypatch.setenv("CXX", "old-c++")
    with pytest.raises(BuildError, match=r"'old-c\+\+' does not know C\+\+20.*unrecognized option -std=c\+\+20"):
        toolchain.find_compiler(20)


def test_a_compiler_that_takes_the_flag_and_answers_as_an_older_one(
    only_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ("probe_family gcc", "probe_library libstdc++", "probe_standard 201402L", 'probe_release "6.3"')
    program(only_path, "old-c++", "\n".join(f"echo {shlex.quote(line)}" for line in lines))
    monkeypatch.setenv("CXX", "old-c++")
    with pytest.raises(BuildError, match=r"does not know C\+\+17.*it answered as an older one"):
        toolchain.find_compiler()


def test_python_headers_are_there() -> None:
    toolchain.check_python_headers(sysconfig.get_path("include"))


def test_python_headers_are_missing(tmp_path: Path, only_path: Path) -> None:
    program(only_path, "apt-get", "exit 1")
    with pytest.raises(BuildError) as caught:
        toolchain.check_python_headers(str(tmp_path))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"expected {tmp_path}/Python.h" in str(caught.value)
    assert f"`apt-get install python{version}-dev`" in str(caught.value)


@pytest.mark.parametrize(
    ("script", "answer"),
    [("exit 0", True), ("echo 'ld: unknown option: -ld_classic' >&2; exit 1", False)],
)
def test_apple_s_linker_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, answer: bool) -> None:
    monkeypatch.setattr(toolchain, "MACOS", True)
    assert toolchain.takes_ld_classic((str(program(tmp_path, "clang++", script)),)) is answer


def test_no_other_linker_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "MACOS", False)
    assert not toolchain.takes_ld_classic(("/nowhere/c++",))
