"""What is written to a tree besides its archive's files; `tests/packages` runs CMake on real ones."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import archives
import pytest
from world import RUNTIME, assert_verifies

from libtorch_ffi.provision import complete, ensure, repair, verify
from libtorch_ffi.provision.targets import Target
from libtorch_ffi.provision.unpack import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

PROJECT = """
cmake_minimum_required(VERSION 3.18)
project(mine LANGUAGES NONE)
set_property(GLOBAL PROPERTY TARGET_SUPPORTS_SHARED_LIBS TRUE)
find_package(Torch REQUIRED)
get_target_property(kept torch_library INTERFACE_LINK_LIBRARIES)
get_target_property(options torch INTERFACE_COMPILE_OPTIONS)
message(STATUS "told ${TORCH_INSTALL_PREFIX} ${TORCH_LIBRARIES} ${kept} ${options}")
"""


def config(tree: Path) -> bytes:
    return (tree / complete.CONFIG).read_bytes()


@pytest.mark.parametrize(("flavor", "stated"), [("cpu", b"9.9.9+cpu\n"), ("cu991", b"9.9.9+cu991\n")])
def test_the_version_is_stated_as_pytorch_s_zips_do(cuda_world: World, flavor: str, stated: bytes) -> None:
    tree = ensure(cuda_world.with_(flavor=flavor)).prefix
    assert (tree / "build-version").read_bytes() == stated


def test_a_cpu_wheel_s_own_is_left_alone(cpu_world: World) -> None:
    tree = ensure(cpu_world.settings).prefix
    assert config(tree) == b"# torch\n"
    assert not (tree / complete.OF_CUDA).exists()


def test_that_of_a_tree_cut_from_a_cuda_wheel_is_ours_and_listed(cuda_world: World) -> None:
    tree = ensure(cuda_world.settings).prefix
    assert config(tree).startswith(b"# Written by libtorch-ffi")
    assert not (tree / complete.OF_CUDA).exists()
    assert_verifies(tree)


def test_a_cuda_tree_keeps_pytorch_s_own_beside_it(cuda_world: World) -> None:
    tree = ensure(cuda_world.with_(flavor="cu991")).prefix
    assert config(tree).startswith(b"# Written by libtorch-ffi")
    assert (tree / complete.OF_CUDA).read_bytes() == b"# torch\n"
    assert_verifies(tree)


def test_a_repair_writes_it_anew(cuda_world: World) -> None:
    settings = cuda_world.settings
    tree = ensure(settings).prefix
    (tree / complete.CONFIG).write_bytes(b"something else")
    assert [damage.name for damage in verify(settings.home, settings.target).damage] == [complete.CONFIG]
    repair(settings)
    assert config(tree).startswith(b"# Written by libtorch-ffi")
    assert verify(settings.home, settings.target, full=True).sound


@pytest.mark.parametrize("flavor", ["cpu", "cu991"])
def test_nix_makes_the_same_files(cuda_world: World, flavor: str, tmp_path: Path) -> None:
    wheels = []
    for path in (cuda_world.torch, f"/files/{RUNTIME}"):
        wheels.append(tmp_path / path.rpartition("/")[2])
        wheels[-1].write_bytes(cuda_world.site.files[path][1])
    target = Target(archives.VERSION, flavor, "linux-x86_64")
    unpack(target, wheels[0], wheels[1:], tmp_path / "out")
    tree = ensure(cuda_world.with_(flavor=flavor)).prefix
    own = {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*.cmake")}
    out = tmp_path / "out"
    assert {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.cmake")} == own


@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
@pytest.mark.parametrize("flavor", ["cpu", "cu991"])
def test_cmake_reads_it_without_a_cuda_toolkit(cuda_world: World, flavor: str, tmp_path: Path) -> None:
    tree = ensure(cuda_world.with_(flavor=flavor)).prefix
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    words = ["cmake", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={tree}"]
    words.append("-DCMAKE_DISABLE_FIND_PACKAGE_CUDAToolkit=ON")  # whatever this machine has
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = f";-Wl,--push-state,--no-as-needed,{tree}/lib/libtorch_cuda.so,--pop-state" if flavor != "cpu" else ""
    told = f"-- told {tree} torch;torch_library;torch_cpu;c10 torch{kept} -D_GLIBCXX_USE_CXX11_ABI=1"
    assert told in done.stdout.splitlines()
