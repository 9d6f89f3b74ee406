"""The default release, really downloaded: it verifies, loads, and a second `ensure` is a hit."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from world import assert_verifies

from libtorch_ffi.provision import Settings, ensure
from libtorch_ffi.provision.elf import inspect

if TYPE_CHECKING:
    from pathlib import Path

    from libtorch_ffi.provision import Libtorch


def test_every_file_verifies(installed_libtorch: Libtorch) -> None:
    assert_verifies(installed_libtorch.prefix)


def test_every_archive_was_checked_against_a_pin_or_its_record(installed_libtorch: Libtorch) -> None:
    receipt = json.loads((installed_libtorch.prefix / ".ok").read_text())
    checks = {archive["checked"] for archive in receipt["archives"]}
    expected = {"record-pin"} if receipt["source"] == "pypi" else {"record", "record-pin"}
    assert checks <= expected


def test_the_next_call_is_a_hit(installed_libtorch: Libtorch, libtorch_home: Path) -> None:
    again = ensure(Settings(version="2.5.0", flavor="cpu", home=libtorch_home))
    assert again == replace(installed_libtorch, origin="cache")


@pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's format")
def test_the_folder_loads_by_itself(installed_libtorch: Libtorch) -> None:
    library = installed_libtorch.library_dirs[0] / "libtorch.so"
    code = f"import ctypes; ctypes.CDLL({str(library)!r}); print(open('/proc/self/maps').read())"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert f"{library.parent}/libtorch_cpu.so" in done.stdout
    assert "libtorch_cuda.so" not in inspect(library).needed
