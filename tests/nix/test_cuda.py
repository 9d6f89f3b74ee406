"""The CUDA path: a torch wheel with stubs for CUDA's libraries, and real wheels of NVIDIA by their real pins."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import wheels

from libtorch_ffi.provision import Settings, catalogue, index
from libtorch_ffi.provision.elf import inspect
from libtorch_ffi.provision.remote import Net

if TYPE_CHECKING:
    from flakes import Files, Flake

    from libtorch_ffi.provision import Libtorch

VERSION = catalogue.default_version()
TORCH = f"torch-{VERSION}+cu118-cp311-cp311-linux_x86_64.whl"
PROJECTS = {"nvidia-cuda-runtime-cu11": "libcudart.so.11.0", "nvidia-nvtx-cu11": "libnvToolsExt.so.1"}
"""The smallest of the wheels that the flavor needs, with the library of each that the stub needs."""

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.compile]


@dataclass(frozen=True)
class Cuda:
    """What was built of the CUDA flavor."""

    libtorch: Path
    ffi: Path


def _stub(folder: Path, soname: str, needed: tuple[str, ...] = ()) -> Path:
    """Compile a library with no more in it than what it is called and needs."""
    path = folder / soname
    source = folder / "stub.cpp"
    source.write_text("")
    words = ["c++", "-shared", "-fPIC", str(source), "-o", str(path), f"-Wl,-soname,{soname}", "-Wl,-rpath,$ORIGIN"]
    subprocess.run([*words, f"-L{folder}", "-Wl,--no-as-needed", *(f"-l:{name}" for name in needed)], check=True)
    return path


def _torch_wheel(libtorch: Libtorch, wheel: Path, folder: Path) -> Path:
    """Pack a torch wheel that says it was built for CUDA 11.8, with stubs for what CUDA's torch has besides."""
    for soname in PROJECTS.values():
        _stub(folder, soname)
    stubs = [
        _stub(folder, "libc10_cuda.so", ("libcudart.so.11.0",)),
        _stub(folder, "libtorch_cuda.so", ("libc10_cuda.so", *PROJECTS.values())),
    ]
    more = {f"torch/lib/{stub.name}": stub.read_bytes() for stub in stubs}
    return wheels.pack(libtorch, wheel, cuda="11.8", more=more)


def _pins() -> list[catalogue.WheelPin]:
    table = json.loads(catalogue.FILE.read_text())
    [needs] = [each["needs"] for each in table["closures"] if each["torch"] == TORCH and each["flavor"] == "cu118"]
    pins = [pin for pin in map(catalogue.pypi_wheel, needs) if pin is not None and pin.project in PROJECTS]
    assert {pin.project for pin in pins} == set(PROJECTS)
    return pins


def _lead_to_pypi(files: Files, pins: list[catalogue.WheelPin]) -> None:
    """Let the addresses that nixpkgs' fetchPypi makes lead to where the index says that the files are."""
    with Net() as net:
        where = index.Index(net, index.pypi_base(Settings.from_environment()))
        for pin in pins:
            [listed] = [each for each in where.wheels(pin.project) if each.filename == pin.filename]
            files.elsewhere[pin.filename] = listed.url


@pytest.fixture(scope="module")
def cuda_flake(flake: Flake, files: Files, libtorch: Libtorch, tmp_path_factory: pytest.TempPathFactory) -> Flake:
    """Return the flake with two of NVIDIA's wheels, and a torch wheel that needs no others."""
    folder = tmp_path_factory.mktemp("cuda")
    pins = _pins()
    _lead_to_pypi(files, pins)
    nixpkgs = folder / "nixpkgs"
    shutil.copytree(flake.nixpkgs, nixpkgs)
    host = nixpkgs / "host.json"
    host.write_text(json.dumps({**json.loads(host.read_text()), "pypi": files.url}))
    changed = replace(flake.copied(folder / "source"), nixpkgs=nixpkgs)
    wheel = _torch_wheel(libtorch, files.folder / TORCH, folder)
    changed.repin(VERSION, "cu118", url=files.address(wheel), sha256=wheels.sha256(wheel))
    table = json.loads(changed.catalogue.read_text())
    for closure in table["closures"]:
        closure["needs"] = [pin.filename for pin in pins]
    changed.catalogue.write_text(json.dumps(table))
    return changed


@pytest.fixture(scope="module")
def cuda(cuda_flake: Flake, tmp_path_factory: pytest.TempPathFactory) -> Cuda:
    """Build the CUDA flavor of both; minutes of both processors."""
    folder = tmp_path_factory.mktemp("result")
    for output in ("libtorch-cu118", "libtorch-ffi-cu118"):
        answer = cuda_flake.build(output, folder / output)
        assert answer.returncode == 0, answer.stderr[-6000:]
    return Cuda((folder / "libtorch-cu118").resolve(), (folder / "libtorch-ffi-cu118").resolve())


def test_libtorch_cuda_is_linked_and_not_dropped(cuda: Cuda) -> None:
    [extension] = cuda.ffi.glob("lib/python*/site-packages/libtorch_ffi/_C.*.so")
    needed = inspect(extension).needed
    assert {"libtorch_cuda.so", "libc10_cuda.so", "libtorch_cpu.so"} <= set(needed)
    assert [str(cuda.libtorch / "lib")] == [*inspect(extension).rpath, *inspect(extension).runpath]
    record = json.loads(extension.with_name("_built.json").read_text())
    assert (record["version"], record["flavor"]) == (VERSION, "cu118")


def test_libraries_of_nvidia_are_those_of_their_own_wheels(cuda: Cuda) -> None:
    for pin in _pins():
        [wheel] = [path for path in Path("/nix/store").glob(f"*-{pin.filename}") if wheels.sha256(path) == pin.sha256]
        soname = PROJECTS[pin.project]
        with zipfile.ZipFile(wheel) as archive:
            [member] = [name for name in archive.namelist() if name.endswith(f"/lib/{soname}")]
            expected = hashlib.sha256(archive.read(member)).hexdigest()
        assert wheels.sha256(cuda.libtorch / "lib" / soname) == expected
    licenses = [path.name.lower() for path in (cuda.libtorch / "share/licenses").rglob("*") if path.is_file()]
    assert len(licenses) >= 1 + len(PROJECTS)


def test_the_driver_is_left_to_the_machine(cuda: Cuda) -> None:
    names = {path.name for path in (cuda.libtorch / "lib").iterdir()}
    assert names.isdisjoint({"libcuda.so", "libcuda.so.1", "libnvidia-ml.so.1"})
