"""Files that are not as they should be: what is told of them, and damage that is found where one asks for it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import hostile_files
import numpy as np
import pytest

import libtorch_ffi as lt
from libtorch_ffi.errors import ArchiveError
from libtorch_ffi.serialization.archive import Archive

if TYPE_CHECKING:
    from types import ModuleType


def test_a_file_that_was_cut_off_is_told_with_its_name() -> None:
    lt.save({"a": lt.ones(1000)}, "whole.pt")
    Path("half.pt").write_bytes(Path("whole.pt").read_bytes()[:2000])
    with pytest.raises(ArchiveError, match=r"'half.pt'.* after 2000 bytes .*cut off"):
        lt.load("half.pt")


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [("a.npz", None, "npz.load_npz"), ("a.pt.gz", b"\x1f\x8b\x08" + bytes(20), "compressed by gzip")],
)
def test_other_files_are_told_apart(name: str, content: bytes | None, hint: str) -> None:
    if content is None:
        np.savez(name, a=np.ones(3))
    else:
        Path(name).write_bytes(content)
    with pytest.raises(ArchiveError, match=f"'{name}'.*{hint}"):
        lt.load(name)


def test_files_that_are_open_for_text() -> None:
    with Path("x.pt").open("w") as file, pytest.raises(TypeError, match="open it with mode 'wb'"):
        lt.save({}, file)
    for text in (io.StringIO("text"), Path(__file__).open()):  # noqa: SIM115 - closed two lines below
        with pytest.raises(TypeError, match="open it with mode 'rb'"):
            lt.load(text)
        text.close()


def test_what_is_no_path() -> None:
    with pytest.raises(FileNotFoundError, match=r"no addresses: download it first.*https://"):
        lt.load("https://example.com/model.pt")
    with pytest.raises(TypeError, match=r"not bytes: io.BytesIO makes a file"):
        lt.load(b"PK")
    with pytest.raises(ArchiveError, match="load it without mmap=True"):
        lt.load(io.BytesIO(b"PK"), mmap=True)


def _save_rows(rows: int) -> int:
    """Write a tensor of that many rows; return where a byte of its elements lies in the file."""
    lt.save({"a": lt.full((rows, 1024), 3.5)}, "x.pt")
    with Path("x.pt").open("rb") as file:
        return Archive(file).find("data/0").offset + 4 * 1024 * rows - 5


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("rows", [1, 5000])
def test_a_damaged_byte_of_a_tensor_is_told_where_one_asks(rows: int, mmap: bool) -> None:
    place = _save_rows(rows)
    assert lt.load("x.pt", mmap=mmap, verify=True)["a"].sum().item() == 3.5 * 1024 * rows
    content = bytearray(Path("x.pt").read_bytes())
    content[place] ^= 1
    Path("x.pt").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"tensor at byte \d+ of the file is damaged.*Copy the file anew"):
        lt.load("x.pt", mmap=mmap, verify=True)
    assert lt.load("x.pt", mmap=mmap)["a"].ne(3.5).sum().item() == 1


def test_file_objects_are_verified_as_well() -> None:
    place = _save_rows(3)
    content = bytearray(Path("x.pt").read_bytes())
    content[place] ^= 1
    with pytest.raises(ArchiveError, match="is damaged"):
        lt.load(io.BytesIO(content), verify=True)


def test_an_archive_without_checksums(torch: ModuleType) -> None:
    before = torch.serialization.get_crc32_options()
    try:
        torch.serialization.set_crc32_options(compute_crc32=False)
        torch.save({"a": torch.arange(3)}, "x.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    with zipfile.ZipFile("x.pt") as file:
        assert {info.CRC for info in file.infolist()} == {0}
    for mmap in (False, True):
        assert lt.load("x.pt", mmap=mmap)["a"].tolist() == [0, 1, 2]
        with pytest.raises(ArchiveError, match="data/0 has no checksum to verify it by"):
            lt.load("x.pt", mmap=mmap, verify=True)


def test_an_old_file_cannot_be_verified() -> None:
    Path("x.pth").write_bytes(hostile_files.legacy(hostile_files.legacy_tensor()))
    with pytest.raises(ArchiveError, match=r"'x\.pth' has no checksum"):
        lt.load("x.pth", verify=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "It is empty: write or download it again"),
        (b"<!DOCTYPE html>", "looks like a web page.*download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "`git lfs pull` fetches"),
        (b"\x93NUMPY\x01\x00", r"npz\.load_npy reads it"),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00{", r"safetensors\.load_file reads it"),
        (b"\x80\x04K\x01.", "save its tensors with libtorch_ffi.save"),
        (b"GGUF\x03\x00\x00\x00", "begins with b'GGUF.*save what it holds with torch.save"),
    ],
)
def test_a_file_of_another_kind_is_named(content: bytes, message: str) -> None:
    Path("x.pt").write_bytes(content)
    with pytest.raises(ArchiveError, match=message):
        lt.load("x.pt")
