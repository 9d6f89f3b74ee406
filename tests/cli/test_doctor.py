"""`libtorch-ffi doctor`: the places in order, the one that is used, what else a build needs, and the exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi.build import toolchain
from libtorch_ffi.cli import doctor
from libtorch_ffi.errors import BuildError
from libtorch_ffi.provision import Probe, driver
from libtorch_ffi.provision.targets import host_platform

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Answer

SECTIONS = [
    "this program",
    "asked for",
    "places, in order",
    "would use",
    "compiler",
    "sources of a download",
    "findings",
]


def sections(report: str) -> dict[str, list[str]]:
    """Return the lines below each heading."""
    found: dict[str, list[str]] = {}
    for line in report.splitlines():
        if line.startswith("  "):
            list(found.values())[-1].append(line[2:])
        else:
            found[line] = []
    return found


@pytest.fixture(autouse=True)
def sound_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that can compile, whatever this one can."""
    compiler = toolchain.Compiler(("c++",), "gcc", "13.2.0", libstdcxx=True)
    monkeypatch.setattr(toolchain, "find_compiler", lambda _: compiler)
    monkeypatch.setattr(toolchain, "check_python_headers", lambda: None)


def probing(*reachable: bool) -> Callable[[object], list[Probe]]:
    names = ("official-wheel", "pypi", "official-zip")
    return lambda _: [
        Probe(name, f"https://{name}.example", reachable=one, verdict="answers" if one else "no route")
        for name, one in zip(names, reachable, strict=True)
    ]


def test_cache_is_used(ask: Callable[..., Answer], tree: Path) -> None:
    answer = ask("doctor", "--offline")
    assert (answer.code, answer.err) == (0, "")
    report = sections(answer.out)
    assert list(report) == SECTIONS
    assert [line.split()[0] for line in report["places, in order"]].count(">") == 1
    assert f"> cache     {tree}: installed" in report["places, in order"]
    assert report["would use"][:2] == [f"libtorch 2.5.0 cpu for {host_platform()}", f"in {tree} (cache)"]
    assert report["compiler"][0] == "c++ (gcc 13.2.0)"
    assert report["sources of a download"] == ["not tried: --offline"]


def test_places_stand_in_the_order_in_which_they_are_looked_at(ask: Callable[..., Answer]) -> None:
    report = sections(ask("doctor", "--offline").out)
    names = [line[2:].split()[0] for line in report["places, in order"]]
    assert names == ["given", "torch", "system", "cache", "sandbox", "download"]


def test_variables_are_shown(ask: Callable[..., Answer], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBTORCH_VERSION", "2.4.0")
    report = sections(ask("doctor", "--offline").out)
    assert report["asked for"] == [
        f"libtorch 2.4.0 cpu for {host_platform()}",
        f"LIBTORCH_HOME={home}",
        "LIBTORCH_VERSION=2.4.0",
    ]


@pytest.mark.parametrize(("reachable", "code"), [((False, True, False), 0), ((False, False, False), 4)])
def test_empty_cache_needs_a_source(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, reachable: tuple[bool, ...], code: int
) -> None:
    monkeypatch.setattr(doctor, "probe_sources", probing(*reachable))
    answer = ask("doctor")
    assert (answer.code, answer.err) == (code, "")
    report = sections(answer.out)
    assert report["would use"] == ["nothing that is here: looking ends at 'download', above"]
    verdicts = [line.rpartition(": ")[2] for line in report["sources of a download"]]
    assert verdicts == ["answers" if one else "no route" for one in reachable]


def test_no_such_libtorch(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBTORCH_CUDA_VERSION", "cu117")
    answer = ask("doctor", "--offline")
    assert (answer.code, answer.err) == (3, "")
    assert "cu117" in answer.out


def test_skip_download_finds_no_source(ask: Callable[..., Answer], tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tree.is_dir()
    monkeypatch.setenv("LIBTORCH_SKIP_DOWNLOAD", "")
    monkeypatch.setattr(doctor, "probe_sources", probing())
    answer = ask("doctor")
    assert (answer.code, answer.err) == (4, "")
    assert sections(answer.out)["sources of a download"] == ["not tried: LIBTORCH_SKIP_DOWNLOAD is set"]


def test_nix_sandbox_downloads_nothing(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libtorch_ffi.provision.places.in_nix_sandbox", lambda _: True)
    answer = ask("doctor", "--offline")
    assert (answer.code, answer.err) == (4, "")
    assert "> sandbox" in answer.out


def test_no_compiler(ask: Callable[..., Answer], tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> toolchain.Compiler:
        raise BuildError("No compiler. Install one.")

    assert tree.is_dir()
    monkeypatch.setattr(toolchain, "find_compiler", refuse)
    answer = ask("doctor", "--offline")
    assert (answer.code, answer.err) == (8, "")
    assert sections(answer.out)["compiler"] == ["No compiler. Install one."]


def test_old_abi_is_pointed_out(ask: Callable[..., Answer], tree: Path) -> None:
    assert tree.is_dir()
    report = sections(ask("doctor", "--offline").out)
    assert report["would use"][2] == "C++17, _GLIBCXX_USE_CXX11_ABI=0"
    assert report["findings"][0].startswith("warning old-abi: ") == host_platform().startswith("linux")


def test_driver_that_is_too_old_is_told(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBTORCH_CUDA_VERSION", "cu124")
    monkeypatch.setattr(driver, "cuda_of_driver", lambda: (11, 8))
    report = sections(ask("doctor", "--offline").out)
    assert report["driver"] == [driver.mismatch("cu124", (11, 8))]
    monkeypatch.setattr(driver, "cuda_of_driver", lambda: (12, 6))
    assert "enough for cu124" in sections(ask("doctor", "--offline").out)["driver"][0]


def test_report_as_json(ask: Callable[..., Answer], tree: Path) -> None:
    answer = ask("doctor", "--offline", "--json")
    assert (answer.code, answer.err) == (0, "")
    report = json.loads(answer.out)
    assert list(report["sections"]) == SECTIONS
    assert f"> cache     {tree}: installed" in report["sections"]["places, in order"]
    assert report["exit_code"] == 0
