"""`BuildExt` and `LibtorchExtension` in projects of others, on a small libtorch: what is built, and who decides."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sysconfig
import zipfile
from typing import TYPE_CHECKING

import pytest
from stand_in import make_project, run_python

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
MODULE = """
#include <Python.h>
#include <ATen/ATen.h>
#ifndef BONUS
#define BONUS 0
#endif
static PyObject* answer(PyObject*, PyObject*) {{ return PyLong_FromLong(at::answer() + BONUS + {more}); }}
static PyMethodDef methods[] = {{{{"answer", answer, METH_NOARGS, nullptr}}, {{nullptr, nullptr, 0, nullptr}}}};
static PyModuleDef module = {{PyModuleDef_HEAD_INIT, "mine", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr}};
PyMODINIT_FUNC PyInit_mine() {{ return PyModule_Create(&module); }}
"""
SETUP = """
from libtorch_ffi.build import BuildExt, LibtorchExtension
from setuptools import setup
setup(
    name="mine",
    ext_modules=[LibtorchExtension("mine", ["mine.cpp"{arguments}])],
    cmdclass={{"build_ext": BuildExt}},
)
"""
PYPROJECT = """
[build-system]
requires = ["libtorch-ffi", "setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "mine"
version = "1.0"
[tool.setuptools]
ext-modules = [{ name = "mine", sources = ["mine.cpp"] }]
[tool.setuptools.cmdclass]
build_ext = "libtorch_ffi.build.BuildExt"
"""
BUILD = "import sys; sys.argv[1:] = {words}; import runpy; runpy.run_path('setup.py')"
Build = subprocess.CompletedProcess[str]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Return a folder with a C++ file and nothing else."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.cpp").write_text(MODULE.format(more=0))
    return folder


@pytest.fixture
def build(mine: Path, libtorch_prefix: Path) -> Callable[..., Build]:
    """Return what builds the folder's setup.py in place, against the small libtorch."""

    def run(*words: str, **environ: str) -> Build:
        arguments = json.dumps(["-v", "build_ext", "--inplace", *words])
        return run_python(BUILD.format(words=arguments), mine, **{"LIBTORCH": str(libtorch_prefix), **environ})

    return run


def answer(folder: Path) -> str:
    """Import what was built, in a process without the variables of the build."""
    done = run_python("import mine; print(mine.answer())", folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def dynamic(module: Path) -> str:
    return subprocess.run(["readelf", "-d", module], capture_output=True, text=True, check=True).stdout


def test_a_setup_py_of_nine_lines(mine: Path, build: Callable[..., Build], libtorch_prefix: Path) -> None:
    setup = SETUP.format(arguments="")
    assert len(setup.strip().splitlines()) <= 12
    (mine / "setup.py").write_text(setup)
    assert build().returncode == 0
    assert answer(mine) == "42\n"
    told = dynamic(mine / f"mine{SUFFIX}")
    for name in ("libtorch.so", "libtorch_cpu.so", "libc10.so"):
        assert f"[{name}]" in told
    assert f"(RPATH)              Library rpath: [{libtorch_prefix}/lib]" in told


def test_a_pyproject_alone(mine: Path, libtorch_prefix: Path) -> None:
    assert len(PYPROJECT.strip().splitlines()) <= 12
    (mine / "pyproject.toml").write_text(PYPROJECT)
    hook = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = run_python(hook, mine, LIBTORCH=str(libtorch_prefix))
    assert done.returncode == 0, done.stderr
    (wheel,) = (mine / "dist").glob("mine-1.0-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extract(f"mine{SUFFIX}", mine / "installed")
    assert answer(mine / "installed") == "42\n"


def test_what_the_author_says_wins(mine: Path, build: Callable[..., Build], tmp_path: Path) -> None:
    headers = tmp_path / "headers/ATen"
    headers.mkdir(parents=True)
    (headers / "ATen.h").write_text("namespace at { int answer(); }\nstatic_assert(__cplusplus > 201703L);\n")
    arguments = (
        f', include_dirs=[{str(headers.parent)!r}], extra_compile_args=["-std=c++20", "-O0"], '
        'define_macros=[("BONUS", "100")], runtime_library_dirs=["/of/the/author"'
    )
    (mine / "setup.py").write_text(SETUP.format(arguments="]" + arguments))
    done = build(CXXFLAGS="-DBONUS=1000 -UBONUS -DBONUS=1000")
    assert done.returncode == 0, done.stderr
    assert answer(mine) == "1042\n"
    assert re.search(r"Library rpath: \[/of/the/author:", dynamic(mine / f"mine{SUFFIX}"))


@pytest.mark.parametrize(("flag", "symbols"), [("", False), ("-g", True), ("-g0", False)])
def test_symbols_stay_for_who_asks_for_them(mine: Path, build: Callable[..., Build], flag: str, symbols: bool) -> None:
    (mine / "setup.py").write_text(SETUP.format(arguments=""))
    assert build(CXXFLAGS=flag).returncode == 0
    told = subprocess.run(["nm", mine / f"mine{SUFFIX}"], capture_output=True, text=True, check=False)
    assert ("PyInit_mine" in told.stdout) == symbols


def test_a_c_extension_in_the_same_project_is_left_to_setuptools(mine: Path, build: Callable[..., Build]) -> None:
    (mine / "plain.c").write_text(
        '#include <Python.h>\nstatic struct PyModuleDef plain = {PyModuleDef_HEAD_INIT, "plain", 0, -1, 0};\n'
        "PyMODINIT_FUNC PyInit_plain(void) { int class = 0; (void)class; return PyModule_Create(&plain); }\n"
    )
    text = SETUP.format(arguments="").replace('"mine.cpp"])]', '"mine.cpp"]), Extension("plain", ["plain.c"])]')
    (mine / "setup.py").write_text("from setuptools import Extension\n" + text)
    done = build()
    assert done.returncode == 0, done.stderr
    assert answer(mine) == "42\n"
    assert run_python("import plain", mine).returncode == 0
    assert "libtorch" not in dynamic(mine / f"plain{SUFFIX}")


@pytest.mark.parametrize(
    ("sources", "said"),
    [('"mine.cpp", "kernel.cu"', "it has the source kernel.cu"), ('"src/*.cpp"', "none of its sources exists")],
)
def test_what_is_not_cpp_is_refused_in_a_paragraph(
    mine: Path, build: Callable[..., Build], sources: str, said: str
) -> None:
    (mine / "setup.py").write_text(SETUP.format(arguments="").replace('"mine.cpp"', sources))
    done = build()
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.rstrip().splitlines()[-1]
    assert last.startswith("error: The extension mine cannot be built: ")
    assert said in last


def test_a_source_that_does_not_compile_ends_in_a_paragraph(mine: Path, build: Callable[..., Build]) -> None:
    (mine / "mine.cpp").write_text(MODULE.format(more="missing"))
    (mine / "setup.py").write_text(SETUP.format(arguments=""))
    done = build()
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "'missing' was not declared" in done.stderr
    assert done.stderr.rstrip().splitlines()[-1].startswith("error: The compiler could not compile mine.cpp")


def test_only_what_changed_is_compiled_again(mine: Path, build: Callable[..., Build]) -> None:
    (mine / "setup.py").write_text(SETUP.format(arguments="").replace('"mine.cpp"', '"mine.cpp", "other.cpp"'))
    (mine / "other.cpp").write_text("int other() { return 0; }\n")
    assert "compiling 2 of 2 files, 2 at a time" in build("--parallel=2").stdout
    (mine / "mine.cpp").write_text(MODULE.format(more=1))
    assert "compiling 1 of 2 files" in build().stdout
    assert answer(mine) == "43\n"


def test_without_a_choice_it_is_the_libtorch_of_the_installed_package(mine: Path, libtorch_prefix: Path) -> None:
    """A copy of the package says in its record what it was built against, and no variable says anything else."""
    package = make_project(mine.parent / "package")
    record = "from libtorch_ffi.build import record; from libtorch_ffi import provision; from pathlib import Path"
    write = f"{record}; record.write(Path('libtorch_ffi/_built.json'), provision.locate())"
    assert run_python(write, package, LIBTORCH=str(libtorch_prefix)).returncode == 0
    (mine / "setup.py").write_text(SETUP.format(arguments=""))
    shutil.move(package / "libtorch_ffi", mine / "libtorch_ffi")
    done = run_python(BUILD.format(words=["-v", "build_ext", "--inplace"]), mine)
    assert done.returncode == 0, done.stderr
    assert answer(mine) == "42\n"
    shutil.rmtree(mine / "build")
    (mine / "libtorch_ffi/_built.json").unlink()
    offline = run_python(BUILD.format(words=["-v", "build_ext", "--inplace"]), mine, LIBTORCH_SKIP_DOWNLOAD="1")
    assert offline.returncode == 1
    assert "the system has no libtorch" in offline.stderr
