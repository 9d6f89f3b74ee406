"""C++ programs against a libtorch of the store, found as CMake and pkg-config find it."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from flakes import PATH

if TYPE_CHECKING:
    from pathlib import Path

    from flakes import Flake

pytestmark = [pytest.mark.slow, pytest.mark.compile]

CHECKS = {"cmake": "cmake", "pkg-config": "pkg-config"}


@pytest.mark.parametrize("check", CHECKS)
def test_a_program_is_compiled_and_runs(check: str, real: Flake, tmp_path: Path) -> None:
    if shutil.which(CHECKS[check], path=PATH) is None:
        pytest.skip(f"{CHECKS[check]} is not installed")
    answer = real.build(f"checks.x86_64-linux.{check}", tmp_path / "result")
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert (tmp_path / "result").read_text() == "42\n"


def test_whoever_builds_against_it_is_told_where_it_is(real: Flake, tmp_path: Path) -> None:
    answer = real.build("libtorch-cpu.dev", tmp_path / "tree")
    assert answer.returncode == 0, answer.stderr[-3000:]
    dev = next(path for path in (tmp_path / "tree", tmp_path / "tree-dev") if path.exists()).resolve()
    hook = (dev / "nix-support/setup-hook").read_text()
    lib = os.path.realpath(dev / "lib")
    assert f"LIBTORCH={dev}\n" in hook
    assert f"LIBTORCH_INCLUDE={dev}/include\n" in hook
    assert f"LIBTORCH_LIB={lib}\n" in hook
    text = (dev / "share/pkgconfig/libtorch.pc").read_text()
    assert f"-I{dev}/include" in text
    assert f"-L{lib}" in text


def test_a_package_says_what_it_is(real: Flake) -> None:
    facts = "p: { inherit (p) version flavor cxx11Abi cudaSupport; tests = builtins.attrNames p.tests; }"
    for flavor, cuda in (("cpu", False), ("cu118", True)):
        answer = real.on("eval", "--json", "--apply", facts, output=f"libtorch-{flavor}")
        assert json.loads(answer.stdout) == {
            "version": "2.5.0",
            "flavor": flavor,
            "cxx11Abi": not cuda,
            "cudaSupport": cuda,
            "tests": ["cmake", "pkg-config"],
        }, answer.stderr
