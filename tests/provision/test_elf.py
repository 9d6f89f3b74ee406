"""ELF files read and edited: crafted ones, and one that a compiler made and the loader loads."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import archives
import pytest

from libtorch_ffi.errors import IntegrityError
from libtorch_ffi.provision import elf

if TYPE_CHECKING:
    from pathlib import Path


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_what_a_library_says_of_itself(tmp_path: Path) -> None:
    data = archives.library("liba.so.1", ["libb.so", "libc.so.6"], machine="aarch64", rpath="$ORIGIN:/x", runpath="/y")
    found = elf.inspect(_written(tmp_path / "liba.so", data))
    assert found == elf.Library("linux-aarch64", ("libb.so", "libc.so.6"), "liba.so.1", ("$ORIGIN", "/x"), ("/y",))


@pytest.mark.parametrize(("symbol", "expected"), [(archives.NEW_ABI, True), (archives.OLD_ABI, False)])
def test_the_abi_is_read_from_the_symbols(symbol: str, expected: bool, tmp_path: Path) -> None:
    others = ["_ZNKSt7__cxx1112basic_stringIcE4sizeEv"]
    path = _written(tmp_path / "libc10.so", archives.library("libc10.so", symbols=[*others, symbol]))
    assert elf.uses_cxx11_abi(path) is expected


def test_macos_libraries_have_the_one_abi(tmp_path: Path) -> None:
    path = _written(tmp_path / "libc10.dylib", struct.pack("<II", 0xFEEDFACF, 0x0100000C) + bytes(64))
    assert elf.machine(path) == "macos-arm64"
    assert elf.uses_cxx11_abi(path)


@pytest.mark.parametrize("size", [0, 3, 40, 70, 150, 200])
def test_a_cut_file_is_an_error_not_a_crash(size: int, tmp_path: Path) -> None:
    data = archives.library("liba.so.1", ["libb.so"] * 4)
    with pytest.raises(IntegrityError):
        elf.inspect(_written(tmp_path / "liba.so", data[:size]))


@pytest.mark.parametrize("number", [0, 1 << 31, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_no_number_of_a_mangled_file_is_believed(number: int, tmp_path: Path) -> None:
    data = archives.library("liba.so.1", ["libb.so", "libc.so"], rpath="$ORIGIN", symbols=[archives.NEW_ABI])
    for place in range(8, len(data) - 8, 8):
        path = _written(tmp_path / "liba.so", data[:place] + struct.pack("<Q", number) + data[place + 8 :])
        for read in (elf.inspect, elf.uses_cxx11_abi, lambda path: elf.replace_needed(path, "libb.so", "libc.so")):
            with suppress(IntegrityError):
                read(path)


def test_an_edit_needs_a_stand_in_that_is_needed_already(tmp_path: Path) -> None:
    path = _written(tmp_path / "liba.so", archives.library("liba.so", ["libgone.so"]))
    with pytest.raises(IntegrityError, match=r"libgone\.so"):
        elf.replace_needed(path, "libgone.so", "libother.so")


def test_an_edit_of_what_is_not_needed_changes_nothing(tmp_path: Path) -> None:
    data = archives.library("liba.so", ["libb.so"])
    path = _written(tmp_path / "liba.so", data)
    assert not elf.replace_needed(path, "libgone.so", "libb.so")
    assert path.read_bytes() == data


@pytest.mark.compile
@pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's format")
def test_an_edited_library_loads_without_what_it_needed(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or pytest.skip("no C compiler")

    def compiled(name: str, source: str, *libraries: str) -> Path:
        (tmp_path / f"{name}.c").write_text(source)
        out = tmp_path / f"lib{name}.so"
        links = [f"-l{library}" for library in libraries]
        command = [compiler, "-shared", "-fPIC", f"{name}.c", "-o", out.name, "-L.", "-Wl,--no-as-needed", *links]
        subprocess.run([*command, "-Wl,-rpath,$ORIGIN", f"-Wl,-soname,{out.name}"], cwd=tmp_path, check=True)
        return out

    compiled("cpu", "int cpu(void) { return 42; }")
    cuda = compiled("cuda", "int cuda(void) { return 1; }")
    both = compiled("both", "int cpu(void); int both(void) { return cpu(); }", "cpu", "cuda")
    cuda.unlink()
    load = f"import ctypes; print(ctypes.CDLL({str(both)!r}).both())"
    before = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, check=False)
    assert "libcuda.so" in before.stderr
    assert elf.replace_needed(both, "libcuda.so", "libcpu.so")
    assert elf.inspect(both).needed[:2] == ("libcpu.so", "libcpu.so")
    after = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, check=True)
    assert after.stdout == "42\n"
