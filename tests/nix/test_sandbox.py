"""Builds in Nix's sandbox: the real extension on real libtorch bytes, and how a build ends that lacks something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import archives
import pytest
import wheels

from libtorch_ffi.provision import catalogue
from libtorch_ffi.provision.elf import inspect

if TYPE_CHECKING:
    from pathlib import Path

    from flakes import Built, Files, Flake

    from libtorch_ffi.provision import Libtorch

VERSION = catalogue.default_version()
CPU_INDEX = "cpu-cxx11-abi"


def test_nix_and_pip_make_the_same_tree(real: Flake, libtorch: Libtorch, tmp_path: Path) -> None:
    answer = real.build("libtorch-cpu.dev", tmp_path / "tree")
    assert answer.returncode == 0, answer.stderr[-3000:]
    dev = next(path for path in (tmp_path / "tree", tmp_path / "tree-dev") if path.exists()).resolve()
    for folder in ("include", "lib", "share/cmake"):
        assert _contents(dev / folder) == _contents(libtorch.prefix / folder)
    out = (dev / "lib").resolve().parent
    assert (out / "build-version").read_text() == (libtorch.prefix / "build-version").read_text()


@pytest.mark.slow
def test_the_build_says_what_it_was_given_and_runs_its_tests(built: Built) -> None:
    assert "a Nix sandbox, so the build's inputs gave it" in built.log
    assert "check whether libtorch_ffi._binding can be imported" in built.log
    assert " passed" in built.log


@pytest.mark.slow
def test_the_result_imports_with_an_empty_environment(built: Built) -> None:
    [site] = built.out.glob("lib/python*/site-packages")
    packages = [str(site), *(path for path in sys.path if path.endswith("site-packages"))]
    code = (
        f"import sys; sys.path[:0] = {packages!r}; import libtorch_ffi as lt; "
        "print(lt.__file__, (lt.ones([6, 7]) * 1.0).sum().item())"
    )
    # Without -B root would write bytecode into the store, and what is there would not be what was built.
    answer = subprocess.run(
        [sys.executable, "-IB", "-c", code], env={}, cwd="/", capture_output=True, text=True, check=False
    )
    assert answer.stdout.split() == [str(site / "libtorch_ffi/__init__.py"), "42.0"], answer.stderr


@pytest.mark.slow
def test_the_result_needs_nothing_of_the_caches_of_this_machine(built: Built, real: Flake, libtorch: Libtorch) -> None:
    closure = real.nix("path-info", "--recursive", str(built.out))
    assert closure.returncode == 0, closure.stderr
    paths = closure.stdout.split()
    assert paths
    assert all(path.startswith("/nix/store/") for path in paths)
    [record] = built.out.glob("lib/python*/site-packages/libtorch_ffi/_built.json")
    assert json.loads(record.read_text())["prefix"] in paths
    [extension] = built.out.glob("lib/python*/site-packages/libtorch_ffi/_C.*.so")
    rpath = [*inspect(extension).rpath, *inspect(extension).runpath]
    assert rpath
    assert all(folder.startswith("/nix/store/") for folder in rpath)
    assert os.fsencode(libtorch.prefix) not in extension.read_bytes()


def test_a_wrong_hash_is_refused(own_flake: Flake, files: Files, tmp_path: Path) -> None:
    wheel = files.folder / f"torch-{VERSION}+cpu.cxx11.abi-cp311-cp311-linux_x86_64.other.whl"
    wheel.write_bytes(archives.torch_wheel())
    own_flake.repin(VERSION, CPU_INDEX, url=files.address(wheel), sha256="0" * 64)
    answer = own_flake.build("libtorch-cpu", tmp_path / "result")
    assert answer.returncode != 0
    assert "hash mismatch" in answer.stderr
    assert not (tmp_path / "result").exists()


def test_a_wheel_of_another_release_is_refused_by_its_headers(own_flake: Flake, files: Files, tmp_path: Path) -> None:
    wheel = files.folder / "torch-other-release.whl"
    wheel.write_bytes(archives.torch_wheel())
    own_flake.repin(VERSION, CPU_INDEX, url=files.address(wheel), sha256=wheels.sha256(wheel))
    answer = own_flake.build("libtorch-cpu", tmp_path / "result")
    assert answer.returncode != 0
    assert f"holds libtorch {archives.VERSION} for linux-x86_64, where libtorch {VERSION} cpu" in answer.stderr


def test_a_cuda_wheel_without_those_of_nvidia_names_the_library(own_flake: Flake, files: Files, tmp_path: Path) -> None:
    wheel = files.folder / "torch-cuda.whl"
    wheel.write_bytes(archives.torch_wheel("cu118"))
    table = json.loads(own_flake.catalogue.read_text())
    closure = {"torch": wheel.name, "flavor": "cu118", "needs": []}
    own_flake.catalogue.write_text(json.dumps({**table, "closures": [closure]}))
    own_flake.repin(VERSION, "cu118", url=files.address(wheel), sha256=wheels.sha256(wheel))
    answer = own_flake.build("libtorch-cu118", tmp_path / "result")
    assert answer.returncode != 0
    assert "needs libcudart.so.99, which is not in the torch wheel" in answer.stderr


def test_without_a_libtorch_the_build_names_the_input(own_flake: Flake, tmp_path: Path) -> None:
    package = own_flake.source / "nix/package.nix"
    text = package.read_text()
    assert "buildInputs = [ libtorch ];" in text
    package.write_text(text.replace("buildInputs = [ libtorch ];", "buildInputs = [ ];"))
    answer = own_flake.build("libtorch-ffi-cpu", tmp_path / "result")
    assert answer.returncode != 0
    assert "This is a Nix build sandbox without a network" in answer.stderr
    assert "Add a libtorch derivation to the build's inputs (buildInputs)" in answer.stderr


def test_a_sandbox_that_builds_elsewhere_is_told_apart_too(own_flake: Flake, tmp_path: Path) -> None:
    package = own_flake.source / "nix/package.nix"
    package.write_text(package.read_text().replace("buildInputs = [ libtorch ];", "buildInputs = [ ];"))
    answer = own_flake.on(
        "build",
        "-L",
        "--out-link",
        str(tmp_path / "result"),
        "--option",
        "sandbox-build-dir",
        "/somewhere",
        output="libtorch-ffi-cpu",
    )
    assert answer.returncode != 0
    assert "This is a Nix build sandbox without a network" in answer.stderr


def _contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): wheels.sha256(path) for path in folder.rglob("*") if path.is_file()}
