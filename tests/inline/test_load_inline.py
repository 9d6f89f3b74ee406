"""`load_inline`: what is compiled, when, and how often; each case in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi.errors import SettingError

if TYPE_CHECKING:
    from pathlib import Path

CALL = """
from libtorch_ffi.build import load_inline
module = load_inline("std::int64_t rank(const at::Tensor& x) {{ return x.dim() * {factor}; }}", ["rank"],
                     headers=["factor.h"], include_dirs=[{include!r}])
import libtorch_ffi as lt
print(module.rank(lt.ones([2, 2])))
"""


class Inline:
    """A folder for compiled modules, a header, and a compiler that counts how often it is called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.headers = folder / "headers"
        self.headers.mkdir()
        self.log = folder / "log"
        self.log.touch()
        self.define(1)
        self.compiler = folder / "counting-c++"
        compiler = shutil.which("c++")
        self.compiler.write_text(
            f'#!/bin/sh\ncase " $* " in *" -c "*) echo x >>{self.log};; esac\nexec {compiler} "$@"\n'
        )
        self.compiler.chmod(0o755)

    def define(self, value: int) -> None:
        (self.headers / "factor.h").write_text(f"#define FACTOR {value}\n")

    def command(self, factor: str = "FACTOR") -> list[str]:
        return [sys.executable, "-c", CALL.format(factor=factor, include=str(self.headers))]

    def environ(self, **changes: str) -> dict[str, str]:
        kept = {**os.environ, "CXX": str(self.compiler), "CXXFLAGS": "-O0"}
        kept["LIBTORCH_EXTENSIONS_DIR"] = str(self.folder / "kept")
        return {**kept, **changes}

    def run(self, factor: str = "FACTOR", **changes: str) -> subprocess.CompletedProcess[str]:
        environ = self.environ(**changes)
        return subprocess.run(
            self.command(factor), env=environ, cwd=self.folder, capture_output=True, text=True, check=False
        )

    @property
    def compiled(self) -> int:
        """How often the compiler was called to compile."""
        return self.log.read_text().count("x")


@pytest.fixture
def inline(tmp_path: Path) -> Inline:
    return Inline(tmp_path)


def test_after_a_killed_one_many_at_once_compile_once_and_later_nothing_is_asked_of_a_compiler(inline: Inline) -> None:
    working = inline.compiler.read_text()
    inline.compiler.write_text(working.replace(f"echo x >>{inline.log}", "kill -9 $PPID"))
    assert inline.run().returncode == -9
    inline.compiler.write_text(working)
    at_once = [
        subprocess.Popen(inline.command(), env=inline.environ(), cwd=inline.folder, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [process.communicate()[0] for process in at_once]
    assert answers == ["2\n"] * 4
    assert inline.compiled == 1
    inline.compiler.write_text("#!/bin/sh\nexit 1\n")
    assert inline.run().stdout == "2\n"
    assert inline.compiled == 1


def test_a_header_that_changed_is_compiled_again(inline: Inline) -> None:
    assert inline.run().stdout == "2\n"
    inline.define(3)
    assert inline.run().stdout == "6\n"
    assert inline.compiled == 2
    (inline.headers / "factor.h").write_text("int nowhere();\n#define FACTOR nowhere()\n")
    last = inline.run().stderr.rstrip().splitlines()[-1]
    assert last.startswith("libtorch_ffi.errors.LoadError: What load_inline compiled cannot be loaded: ")
    assert "nowhere" in last


def test_what_the_compiler_says_is_told_with_the_user_s_line(inline: Inline) -> None:
    done = inline.run(factor="missing")
    assert done.returncode == 1
    assert "BuildError: load_inline could not compile the C++ source" in done.stderr
    assert "cpp_source:1:" in done.stderr
    assert "missing" in done.stderr.partition("cpp_source:1:")[2]


def test_no_compiler(inline: Inline) -> None:
    done = inline.run(CXX="no-such-compiler")
    assert done.stderr.rstrip().splitlines()[-1].startswith("libtorch_ffi.errors.BuildError: CXX names 'no-such-")


def test_a_folder_that_cannot_be_written_to(inline: Inline) -> None:
    (inline.folder / "file").touch()
    done = inline.run(LIBTORCH_EXTENSIONS_DIR=str(inline.folder / "file/in"))
    last = done.stderr.rstrip().splitlines()[-1]
    assert last.startswith("libtorch_ffi.errors.BuildError: load_inline cannot keep what it compiles in ")
    assert "Set LIBTORCH_EXTENSIONS_DIR" in last


def test_the_module_says_what_it_was_built_for(inline: Inline) -> None:
    """A module of another libtorch is refused at its import, by the tag that it carries: here the tag is changed."""
    source = inline.command()[-1]
    other = source.replace("headers=[", "extra_cflags=['-DLIBTORCH_FFI_ABI=\"libtorch 1.0.0\"'], headers=[")
    done = subprocess.run(
        [sys.executable, "-c", other],
        env=inline.environ(),
        cwd=inline.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.rstrip().splitlines()[-1]
    assert last.startswith("libtorch_ffi.errors.LoadError: ")
    assert "This extension was compiled for libtorch 1.0.0 (table 1), and libtorch_ffi in this process for " in last


@pytest.mark.parametrize("name", ["", "1st", "a b", "a;b", "a::", "é"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    from libtorch_ffi.build import load_inline

    with pytest.raises(SettingError, match="no name of a C\\+\\+ function"):
        load_inline("", [name], folder=tmp_path)
    assert not list(tmp_path.iterdir())
