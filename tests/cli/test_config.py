"""`libtorch-ffi config`: each question, the quoting, and that it only ever answers."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import put

from libtorch_ffi.cli import config
from libtorch_ffi.provision.targets import host_platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_line import Answer

needs_libstdcxx = pytest.mark.skipif(sys.platform != "linux", reason="libstdc++ alone has two ABIs")


def test_prefix(ask: Callable[..., Answer], tree: Path) -> None:
    answer = ask("config", "--prefix")
    assert (answer.code, answer.out, answer.err) == (0, f"{tree}\n", "")


def test_version(ask: Callable[..., Answer], tree: Path) -> None:
    answer = ask("config", "--version")
    assert (answer.code, answer.out, answer.err) == (0, "2.5.0\n", "")


def test_libdir(ask: Callable[..., Answer], tree: Path) -> None:
    answer = ask("config", "--libdir")
    assert (answer.code, answer.out, answer.err) == (0, f"{tree}/lib\n", "")


def test_includes(ask: Callable[..., Answer], tree: Path) -> None:
    answer = ask("config", "--includes")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"-I{tree}/include -I{tree}/include/torch/csrc/api/include\n"


@needs_libstdcxx
def test_cxxflags_have_the_abi_of_the_library(ask: Callable[..., Answer], home: Path) -> None:
    old, new = put(home), put(home, "2.7.0", cxx11_abi=True)
    includes = "-I{0}/include -I{0}/include/torch/csrc/api/include"
    answer = ask("config", "--cxxflags")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"{includes.format(old)} -D_GLIBCXX_USE_CXX11_ABI=0 -std=c++17\n"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LIBTORCH_VERSION", "2.7.0")
        assert ask("config", "--cxxflags").out == f"{includes.format(new)} -D_GLIBCXX_USE_CXX11_ABI=1 -std=c++17\n"


def test_ldflags_and_rpath(ask: Callable[..., Answer], tree: Path) -> None:
    rpath = f"-Wl,-rpath,{tree}/lib"
    answer = ask("config", "--ldflags")
    assert (answer.code, answer.err) == (0, "")
    assert shlex.split(answer.out) == [f"-L{tree}/lib", "-ltorch", "-ltorch_cpu", "-lc10", rpath]
    answer = ask("config", "--rpath")
    assert (answer.code, answer.out, answer.err) == (0, f"{rpath}\n", "")


def test_json_has_everything(ask: Callable[..., Answer], tree: Path) -> None:
    answer = ask("config", "--json")
    assert (answer.code, answer.err) == (0, "")
    facts = json.loads(answer.out)
    assert {name: facts[name] for name in ("version", "flavor", "platform", "prefix", "libraries", "cxx_standard")} == {
        "version": "2.5.0",
        "flavor": "cpu",
        "platform": host_platform(),
        "prefix": str(tree),
        "libraries": ["torch", "torch_cpu", "c10"],
        "cxx_standard": 17,
    }
    assert facts["cxxflags"] == shlex.split(ask("config", "--cxxflags").out)
    assert facts["ldflags"] == shlex.split(ask("config", "--ldflags").out)


def test_several_questions_have_a_line_each_in_their_order(ask: Callable[..., Answer], tree: Path) -> None:
    assert ask("config", "--version", "--prefix", "--version").out == f"2.5.0\n{tree}\n2.5.0\n"


def test_every_question_is_the_same_the_short_way_and_through_argparse(
    ask: Callable[..., Answer], tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tree.is_dir()
    short = ask("config", *config.ANSWERS)
    monkeypatch.setattr(config, "is_plain", lambda _: False)
    assert ask("config", *config.ANSWERS) == short
    assert short.code == 0


@pytest.mark.parametrize("question", [question for question in config.ANSWERS if question != "--json"])
def test_a_path_with_a_space_and_a_quote_survives_a_shell(
    ask: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    home = tmp_path / "it's here"
    put(home)
    monkeypatch.setenv("LIBTORCH_HOME", str(home))
    out = ask("config", question).out
    shell = subprocess.run(["sh", "-c", f"printf '%s\\n' {out}"], capture_output=True, text=True, check=True)
    assert shell.stdout.splitlines() == shlex.split(out)
    assert ("it's here" in shell.stdout) == (question not in {"--version", "--cmakedir", "--caster"})


@pytest.mark.parametrize("abbreviation", ["--pre", "--libs", "--cxxflag", "--js"])
def test_nothing_is_abbreviated(ask: Callable[..., Answer], tree: Path, abbreviation: str) -> None:
    assert tree.is_dir()
    answer = ask("config", abbreviation)
    assert (answer.code, answer.out) == (2, "")
    assert f"unrecognized arguments: {abbreviation}" in answer.err


def test_asked_nothing(ask: Callable[..., Answer]) -> None:
    answer = ask("config")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert "--cxxflags" in answer.err


def test_empty_cache_is_an_error_and_stays_empty(ask: Callable[..., Answer], home: Path) -> None:
    answer = ask("config", "--prefix")
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.count("\n") == 1
    assert "libtorch-ffi install" in answer.err
    assert str(home) in answer.err
    assert not home.exists()


def test_plain_question_imports_little(tree: Path) -> None:
    code = "import sys; from libtorch_ffi.cli import main; main(['config', '--prefix']); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    prefix, modules = done.stdout.splitlines()
    assert Path(prefix) == tree
    heavy = {
        "argparse",
        "requests",
        "pypi_simple",
        "filelock",
        "socket",
        "hashlib",
        "zipfile",
        "logging",
        "inspect",
        "setuptools",
    }
    assert heavy.isdisjoint(modules.split())
