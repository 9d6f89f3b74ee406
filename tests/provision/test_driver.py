"""NVIDIA's driver: what it knows, and what is said of a flavor that needs more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi.provision import driver, ensure

if TYPE_CHECKING:
    from pathlib import Path

    from world import World


@pytest.mark.parametrize(
    ("flavor", "version"),
    [("cu118", (11, 8)), ("cu1310", (13, 10)), ("cu124", (12, 4)), ("cpu", None), ("rocm6.2", None), ("cu12", None)],
)
def test_a_flavor_stands_for_a_version(flavor: str, version: tuple[int, int] | None) -> None:
    assert driver.cuda_of_flavor(flavor) == version


@pytest.mark.parametrize(
    ("flavor", "has", "words"),
    [
        ("cu118", (12, 4), ""),
        ("cu124", (12, 4), ""),
        ("cpu", None, ""),
        ("cu124", None, "no NVIDIA driver"),
        ("cu128", (12, 4), "it computes, but for"),
        ("cu130", (12, 4), "Install a newer driver"),
    ],
)
def test_a_driver_is_compared(flavor: str, has: tuple[int, int] | None, words: str) -> None:
    said = driver.mismatch(flavor, has)
    assert words in said
    assert bool(said) is bool(words)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("output", "version"),
    [("| NVIDIA-SMI 550.54   Driver Version: 550.54   CUDA Version: 12.4 |", (12, 4)), ("no devices", None)],
)
def test_nvidia_smi_is_asked_where_the_library_is_not_there(
    output: str, version: tuple[int, int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\necho '{output}'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(driver, "_LIBRARY", "libnone.so.1")
    assert driver.cuda_of_driver() == version


def test_no_driver_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(driver, "_LIBRARY", "libnone.so.1")
    assert driver.cuda_of_driver() is None


def test_an_install_tells_of_a_driver_that_is_too_old(
    cuda_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(driver, "cuda_of_driver", lambda: (12, 4))
    monkeypatch.setattr("libtorch_ffi.provision.install.host_platform", lambda: "linux-x86_64")
    with caplog.at_level(logging.WARNING):
        ensure(cuda_world.with_(flavor="cu991"))
        ensure(cuda_world.settings)
    assert [record.getMessage() for record in caplog.records if "driver" in record.getMessage()] == [
        driver.mismatch("cu991", (12, 4))
    ]
