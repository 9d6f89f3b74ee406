"""A libtorch with libtorch_cuda, of which nobody calls a symbol: whatever is linked must need it all the same."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from stand_in import make_libtorch, run_python

if TYPE_CHECKING:
    from pathlib import Path

    from libtorch_ffi.provision import Libtorch

pytestmark = [
    pytest.mark.compile,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="CUDA is Linux's"),
]
MAIN = "#include <ATen/ATen.h>\nint main() { return at::answer() == 42 ? 0 : 1; }\n"
DROPS = "-Wl,--as-needed"
"""What compilers of several distributions say to their linker by default."""
CMAKE = """
cmake_minimum_required(VERSION 3.18)
project(mine LANGUAGES CXX)
find_package(LibtorchFFI REQUIRED)
add_executable(main main.cpp)
target_link_libraries(main PRIVATE LibtorchFFI::torch)
"""
SETUP = """
from setuptools import setup
from libtorch_ffi.build import BuildExt, LibtorchExtension
setup(name="mine", ext_modules=[LibtorchExtension("mine", ["mine.cpp"])], cmdclass={"build_ext": BuildExt})
"""
MODULE = """
#include <Python.h>
#include <ATen/ATen.h>
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "mine", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
PyMODINIT_FUNC PyInit_mine() { return at::answer() == 42 ? PyModule_Create(&module) : nullptr; }
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_libtorch(tmp_path_factory.mktemp("cuda") / "libtorch", cuda=True)


@pytest.fixture
def given(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> Libtorch:
    """Return the libtorch, which is also the one that the environment names."""
    from libtorch_ffi.provision import Settings, locate

    for name in [name for name in os.environ if name.startswith("LIBTORCH")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LIBTORCH", str(prefix))
    return locate(Settings.from_environment())


def needed(binary: Path) -> set[str]:
    told = subprocess.run(["readelf", "-d", binary], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", told))


def test_it_is_named_to_the_linker(given: Libtorch) -> None:
    assert given.libraries == ("torch", "torch_cuda", "torch_cpu", "c10")


def test_a_program(given: Libtorch, tmp_path: Path) -> None:
    from libtorch_ffi.build.flags import flags

    words = flags(given)
    command = ["c++", DROPS, *words.cxxflags, "-x", "c++", "-", *words.ldflags, "-o", str(tmp_path / "main")]
    subprocess.run(command, input=MAIN, text=True, check=True)
    assert "libtorch_cuda.so" in needed(tmp_path / "main")
    assert "libtorch.so" not in needed(tmp_path / "main")  # the linker's own rule holds again for what comes after
    subprocess.run([tmp_path / "main"], check=True)


def test_an_extension(given: Libtorch, tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(SETUP)
    (tmp_path / "mine.cpp").write_text(MODULE)
    code = "import sys; sys.argv[1:] = ['-q', 'build_ext', '--inplace']; import runpy; runpy.run_path('setup.py')"
    done = run_python(code, tmp_path, LIBTORCH=str(given.prefix), LDFLAGS=DROPS)
    assert done.returncode == 0, done.stderr
    [module] = tmp_path.glob("mine*.so")
    assert "libtorch_cuda.so" in needed(module)
    assert run_python("import mine", tmp_path).returncode == 0


@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_a_program_of_cmake_s(given: Libtorch, tmp_path: Path) -> None:
    from libtorch_ffi import cmake

    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    (tmp_path / "main.cpp").write_text(MAIN)
    [folder] = cmake.__path__
    words = [f"-DCMAKE_PREFIX_PATH={folder}", f"-DPython_EXECUTABLE={sys.executable}"]
    words.append(f"-DCMAKE_EXE_LINKER_FLAGS={DROPS}")
    for command in (["cmake", "-S", ".", "-B", "build", *words], ["cmake", "--build", "build"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "libtorch_cuda.so" in needed(tmp_path / "build/main")
    subprocess.run([tmp_path / "build/main"], check=True)
    assert given.libraries[1] == "torch_cuda"
