"""What `libtorch-ffi doctor --json` finds on a machine that is broken one way, and whether its command mends it."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archives
import pytest
from servers import Server

import libtorch_ffi._load as loading
from libtorch_ffi.build import toolchain
from libtorch_ffi.cli import doctor, findings, parser
from libtorch_ffi.errors import BuildError, LoadError
from libtorch_ffi.provision import Probe, driver
from libtorch_ffi.provision.targets import host_platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_line import Answer

LINUX = host_platform().startswith("linux")


@pytest.fixture(autouse=True)
def sound_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a compiler, without a driver, and without an installed extension."""

    def unbuilt() -> None:
        raise LoadError("not built")

    compiler = toolchain.Compiler(("c++",), "gcc", "13.2.0", libstdcxx=True)
    monkeypatch.setattr(toolchain, "find_compiler", lambda _: compiler)
    monkeypatch.setattr(toolchain, "check_python_headers", lambda: None)
    monkeypatch.setattr(driver, "cuda_of_driver", lambda: None)
    monkeypatch.setattr(loading, "read_record", unbuilt)


def found(ask: Callable[..., Answer], *options: str) -> dict[str, dict[str, str]]:
    """Return the findings by id."""
    report = json.loads(ask("doctor", "--json", *(options or ("--offline",))).out)
    every: list[dict[str, str]] = report["findings"]
    assert all(each["what"] and each["severity"] in ("error", "warning") for each in every)
    return {each["id"]: each for each in every}


def assert_understood(mend: str) -> None:
    """Check that a mending command of ours is one that the program takes."""
    words = [word for word in shlex.split(mend) if "=" not in word]
    if words[0] == "libtorch-ffi":
        assert parser.build().parse_args(words[1:])
    else:
        assert words[0] in ("unset", "export", "pip", "nix", "apt-get", "dnf", "yum", "apk", "pacman", "zypper")


def _gone(tree: Path) -> None:
    next((tree / "lib").glob("libc10.*")).unlink()


def _leftover(tree: Path) -> None:
    (tree.parent / ".cpu.staging-1-1").mkdir()


BROKEN: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "half-installed": ("error", lambda tree: (tree / ".ok").unlink()),
    "bad-ok": ("error", lambda tree: (tree / ".ok").write_text("{}")),
    "library-gone": ("error", _gone),
    "leftover-folders": ("warning", _leftover),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_tree(kind: str, ask: Callable[..., Answer], tree: Path) -> None:
    severity, harm = BROKEN[kind]
    assert found(ask).keys() <= {"old-abi"}
    harm(tree)
    finding = found(ask)[kind]
    assert finding["severity"] == severity
    assert str(tree.parent) in finding["what"]
    assert_understood(finding["mend"])
    assert ask("doctor", "--offline").code == 0  # the next install puts it in order


VARIABLES = {
    "given-refused": ("LIBTORCH", "/nowhere/libtorch"),
    "torch-refused": ("LIBTORCH_SOURCE", "torch"),
    "system-refused": ("LIBTORCH_SKIP_DOWNLOAD", ""),
    "no-such-libtorch": ("LIBTORCH_CUDA_VERSION", "cu117"),
    "bad-setting": ("LIBTORCH_CUDA_VERSION", "cuda118"),
    "misspelt-variable": ("LIBTORCH_CUDA", "cu118"),
    "driver-missing": ("LIBTORCH_CUDA_VERSION", "cu124"),
}


@pytest.mark.parametrize("kind", VARIABLES)
def test_a_variable_that_leads_nowhere(
    kind: str, ask: Callable[..., Answer], tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tree.is_dir()
    monkeypatch.setattr("libtorch_ffi.provision.trees.SYSTEM_PREFIXES", ())
    monkeypatch.setattr("libtorch_ffi.provision.trees._site_folders", lambda: iter(()))
    monkeypatch.setattr("libtorch_ffi.provision.trees._compilers_places", lambda _: iter(()))
    variable, value = VARIABLES[kind]
    monkeypatch.setenv(variable, value)
    finding = found(ask)[kind]
    assert_understood(finding["mend"])
    if finding["mend"].startswith("unset"):
        for name in finding["mend"].split()[1:]:
            monkeypatch.delenv(name, raising=False)
        assert kind not in found(ask)


def test_a_variable_of_nearly_our_name(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIBTORCH_VERSIONS", "LIBTORCH_CXX11_ABI", "LIBTORCH_STATIC", "LIBTORCH_EXTENSIONS_DIR"):
        monkeypatch.setenv(name, "1")
    finding = found(ask)["misspelt-variable"]
    assert finding["what"].startswith("LIBTORCH_VERSIONS is set")
    assert finding["what"].endswith("Did you mean LIBTORCH_VERSION?")
    assert finding["severity"] == "warning"


def test_every_variable_that_the_package_names_is_one_that_something_reads() -> None:
    read = {*findings._NAMES, *findings._OF_OTHERS}
    sources = [path.read_text(encoding="utf-8") for path in Path(findings.__file__).parents[1].rglob("*.py")]
    named = {name for text in sources for name in re.findall(r"\bLIBTORCH_[A-Z0-9]\w*", text)}
    assert named >= set(findings._NAMES)
    assert {name for name in named - read if not name.startswith("LIBTORCH_FFI_")} == set()


def test_a_driver_that_is_older(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBTORCH_CUDA_VERSION", "cu124")
    monkeypatch.setattr(driver, "cuda_of_driver", lambda: (11, 4))
    finding = found(ask)["driver-old"]
    assert finding["mend"] == "libtorch-ffi install --version 2.5.0 --flavor cpu"
    assert "knows CUDA 11.4" in finding["what"]


def test_a_nix_sandbox(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libtorch_ffi.provision.places.in_nix_sandbox", lambda _: True)
    assert_understood(found(ask)["nix-sandbox"]["mend"])


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("no-compiler", "find_compiler", "No C++ compiler was found. Install one with `apt-get install g++`."),
        (
            "no-python-headers",
            "check_python_headers",
            "The C headers of this Python are missing. Install them with `apt-get install python3.12-dev`.",
        ),
    ],
)
def test_a_machine_that_cannot_compile(
    kind: str, name: str, words: str, ask: Callable[..., Answer], tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BuildError(words)

    assert tree.is_dir()
    monkeypatch.setattr(toolchain, name, refuse)
    assert found(ask)[kind]["mend"] == words.split("`")[1]
    assert ask("doctor", "--offline").code == 8


def test_what_the_toolchain_really_says_is_told_apart(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    for kind, variable, value in (("no-compiler", "CXX", "no-such-compiler"), ("no-python-headers", "CXX", "c++")):
        monkeypatch.setenv(variable, value)
        if kind == "no-python-headers":
            monkeypatch.setattr("libtorch_ffi.build.toolchain.sysconfig.get_path", lambda _: str(tmp_path))
        monkeypatch.setenv("LIBTORCH_HOME", str(tmp_path / "home"))
        assert_understood(found(ask)[kind]["mend"])


def test_no_source_can_be_reached(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    probes = [Probe(name, "http://example", reachable=False, verdict="no route") for name in ("pypi", "official-zip")]
    monkeypatch.setattr(doctor, "probe_sources", lambda _: probes)
    report = json.loads(ask("doctor", "--json").out)
    (finding,) = report["findings"]
    assert (finding["id"], report["exit_code"]) == ("no-source", 4)
    assert "pypi: no route; official-zip: no route" in finding["what"]
    assert_understood(finding["mend"])


def test_a_home_that_cannot_be_written(ask: Callable[..., Answer], home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    home.write_text("in the way")
    finding = found(ask)["home-not-writable"]
    assert str(home) in finding["what"]
    assert_understood(finding["mend"])


def test_a_disk_without_room(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    about = list(os.statvfs("/"))
    about[4] = 10  # f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(about))
    assert found(ask)["home-full"]["severity"] == "warning"


@pytest.mark.parametrize(
    ("origin", "mend"),
    [
        ("cache", "libtorch-ffi install --version 2.4.0 --flavor cpu"),
        ("torch", f"LIBTORCH_SOURCE=torch {loading.REINSTALL}"),
    ],
)
def test_the_extensions_libtorch_is_gone(
    origin: str, mend: str, ask: Callable[..., Answer], tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = {
        "version": "2.4.0",
        "flavor": "cpu",
        "platform": host_platform(),
        "prefix": "/gone",
        "library_dirs": ["/gone/lib"],
        "libraries": ["c10"],
        "cxx11_abi": True,
        "cxx_standard": 17,
        "origin": origin,
        "sizes": {"libc10.so": 1},
    }
    monkeypatch.setattr(loading, "read_record", lambda: built)
    assert found(ask)["extension-libtorch-gone"]["mend"] == mend
    library = next((tree / "lib").glob("libc10.*"))
    there = {"library_dirs": [str(tree / "lib")], "sizes": {library.name: 1000}}
    monkeypatch.setattr(loading, "read_record", lambda: {**built, **there})
    assert "extension-libtorch-gone" not in found(ask)


@pytest.mark.skipif(not LINUX, reason="the ELF files of the test wheel are for linux-x86_64")
@pytest.mark.parametrize("kind", ["half-installed", "bad-ok", "library-gone"])
def test_the_command_that_it_names_mends_it(
    kind: str, ask: Callable[..., Answer], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = host_platform().removeprefix("linux-")
    name = f"torch-{archives.VERSION}-cp311-cp311-manylinux1_{machine}.whl"
    with Server() as server:
        files = {name: archives.torch_wheel("cpu", machine=machine)}
        page = archives.json_page("torch", files, f"{server.url}/files")
        server.site.put("/simple/torch/", page, "application/vnd.pypi.simple.v1+json")
        server.site.put(f"/files/{name}", files[name])
        monkeypatch.setenv("LIBTORCH_INDEX_URL", f"{server.url}/simple")
        monkeypatch.setenv("LIBTORCH_SOURCE", "pypi")
        monkeypatch.setenv("LIBTORCH_VERSION", archives.VERSION)
        assert ask("install").code == 0
        BROKEN[kind][1](home / archives.VERSION / host_platform() / "cpu")
        mend = found(ask)[kind]["mend"]
        assert ask(*shlex.split(mend)[1:]).code == 0
        assert found(ask) == {}


def test_what_is_left_is_gone_after_the_command(ask: Callable[..., Answer], tree: Path) -> None:
    _leftover(tree)
    assert ask(*shlex.split(found(ask)["leftover-folders"]["mend"])[1:]).code == 0
    assert "leftover-folders" not in found(ask)
