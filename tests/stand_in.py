"""A libtorch of three small libraries, and a project whose extension is small, so that a build takes seconds.

The libraries are real ones that a compiler made, with the names, the dependencies and the symbols that the project
reads: what is built against them is built, linked and loaded as it would be against libtorch.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

C10 = """
#include <string>
namespace c10 {
std::string detail(const std::string& text) { return text + PADDING; }
int answer() { return ANSWER; }
}
"""
TORCH_CPU = "namespace c10 { int answer(); }\nnamespace at { int answer() { return c10::answer(); } }\n"
TORCH_CUDA = "namespace at { int answer(); int on_a_gpu() { return answer(); } }\n"
TORCH = "namespace torch { int unused() { return 0; } }\n"

ATEN = """#pragma once
#if __cplusplus < 201703L
#error C++17 or later compatible compiler is required
#endif
namespace at { int answer(); }
"""
VERSION = """#pragma once
#define TORCH_VERSION_MAJOR {}
#define TORCH_VERSION_MINOR {}
#define TORCH_VERSION_PATCH {}
"""

PCH = "#pragma once\n#include <ATen/ATen.h>\n#include <Python.h>\n"
MODULE = """
#include "pch.h"
#include "answer.h"
static PyObject* answer(PyObject*, PyObject*) { return PyLong_FromLong(bound_answer()); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};
PyMODINIT_FUNC PyInit__C() { return PyModule_Create(&module); }
"""
ANSWER = '#include "pch.h"\n#include "answer.h"\nint bound_answer() { return at::answer(); }\n'

CSRC = {"pch.h": PCH, "answer.h": "#pragma once\nint bound_answer();\n", "module.cpp": MODULE, "answer.cpp": ANSWER}


def make_libtorch(
    prefix: Path, version: str = "2.5.0", *, answer: int = 42, cxx11_abi: bool = True, cuda: bool = False
) -> Path:
    """Compile a libtorch and return its prefix; libraries of two answers differ in size too."""
    lib, include = prefix / "lib", prefix / "include"
    lib.mkdir(parents=True)
    flags = [f"-D_GLIBCXX_USE_CXX11_ABI={int(cxx11_abi)}", f"-DANSWER={answer}", f'-DPADDING="{"x" * answer * 100}"']
    _library(lib, "c10", C10, flags)
    _library(lib, "torch_cpu", TORCH_CPU, [*flags, "-lc10"])
    _library(lib, "torch", TORCH, [*flags, "-Wl,--no-as-needed", "-ltorch_cpu"])
    if cuda:
        _library(lib, "torch_cuda", TORCH_CUDA, [*flags, "-ltorch_cpu"])
    api = include / "torch/csrc/api/include/torch"
    api.mkdir(parents=True)
    (include / "ATen").mkdir()
    (include / "ATen/ATen.h").write_text(ATEN)
    (api / "version.h").write_text(VERSION.format(*version.split(".")))
    return prefix


def _library(lib: Path, name: str, source: str, flags: list[str]) -> None:
    words = ["g++", "-shared", "-fPIC", f"-Wl,-soname,lib{name}.so", "-Wl,-rpath,$ORIGIN", f"-L{lib}", "-x", "c++", "-"]
    libraries = [flag for flag in flags if flag.startswith(("-l", "-Wl"))]
    others = [flag for flag in flags if flag not in libraries]
    command = [*words, "-x", "none", *others, *libraries, "-o", str(lib / f"lib{name}.so")]
    subprocess.run(command, input=source, text=True, check=True)


def make_project(folder: Path) -> Path:
    """Copy the project with a small extension in place of its own, and no build product."""
    ignored = shutil.ignore_patterns(
        "__pycache__", "*.so", "*.dylib", "_built.json", "[!_]*.pyi", "__init__.pyi", "_ops.pyi", "csrc"
    )
    shutil.copytree(ROOT / "libtorch_ffi", folder / "libtorch_ffi", ignore=ignored)
    for path in ROOT.glob("*.*"):
        if path.suffix in {".toml", ".md", ".in"}:
            shutil.copy(path, folder)
    shutil.copy(ROOT / "LICENSE", folder)
    csrc = folder / "libtorch_ffi/csrc"
    csrc.mkdir()
    for name, text in CSRC.items():
        (csrc / name).write_text(text)
    return folder


def run_python(code: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a fresh process whose import path begins with a folder, without the caller's LIBTORCH_*."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LIBTORCH", "MAX_JOBS"))}
    variables = {"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C", "LIBTORCH_HOME": str(cwd / "empty-home"), **environ}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def run_hook(project: Path, hook: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Call a hook of the project's build backend as a frontend does, in a fresh process in the project's folder."""
    values = ", ".join(json.dumps(argument) for argument in arguments)
    return run_python(f"from libtorch_ffi.build import backend; print(backend.{hook}({values}))", project, **environ)


def last_paragraph(text: str) -> str:
    """Return what stands after the last empty line."""
    return text.rstrip().rsplit("\n\n", 1)[-1]
