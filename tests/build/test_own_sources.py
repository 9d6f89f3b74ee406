"""The extension's own sources, as `pip install` compiles them: several in one file, on one processor all of them."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

import libtorch_ffi
from libtorch_ffi.build import objects, toolchain
from libtorch_ffi.build.flags import flags
from libtorch_ffi.provision.describe import describe

SOURCES = Path(__file__).parents[2] / "libtorch_ffi/csrc"


@pytest.mark.slow
@pytest.mark.compile
def test_no_two_sources_give_a_name_different_meanings(tmp_path: Path) -> None:
    pybind11 = pytest.importorskip("pybind11")
    record = json.loads(Path(libtorch_ffi.__file__).with_name("_built.json").read_text())
    prefix, lib = Path(record["prefix"]), Path(record["library_dirs"][0])
    libtorch = describe(prefix / "include", lib, prefix=prefix, origin="given", flavor=record["flavor"])
    [batch] = objects.batches(sorted(SOURCES.glob("*.cpp")), tmp_path, 1)
    folders = (SOURCES, pybind11.get_include(), sysconfig.get_path("include"))
    includes = [f"-I{folder}" for folder in folders]
    compiler = toolchain.find_compiler(libtorch.cxx_standard).command
    header = ("-include", str(SOURCES / "pch.h"))
    command = [*compiler, "-fsyntax-only", *flags(libtorch).cxxflags, *includes, *header, str(batch)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, "\n".join(line for line in answer.stderr.splitlines() if "error:" in line)


def _quoted(path: Path) -> set[str]:
    """Return the headers of ours that a file includes, by itself or through others."""
    found: set[str] = set()
    waiting = [path]
    while waiting:
        names = set(re.findall(r'^#include "(.+)"$', waiting.pop().read_text(encoding="utf-8"), re.MULTILINE)) - found
        found |= names
        waiting += [SOURCES / name for name in names]
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in SOURCES.glob("*.cpp")))
def test_a_source_reads_the_same_headers_before_they_are_precompiled(name: str) -> None:
    text = (SOURCES / name).read_text(encoding="utf-8")
    assert "pch.h" in _quoted(SOURCES / name) or not re.search(r"#include <(ATen|c10|torch|pybind11)/", text)
