"""The hash of an unpacked zip, against Nix itself."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

import archives
import pytest

from libtorch_ffi.errors import IntegrityError
from libtorch_ffi.provision.archive import Archive, LocalFile
from libtorch_ffi.provision.nar import nar_sha256

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "libtorch/lib/libc10.so": b"\x7fELF" * 100,
    "libtorch/lib/empty": b"",
    "libtorch/build-version": b"9.9.9+cpu\n",
    "libtorch/include/Z.h": b"12345678",
    "libtorch/include/a.h": b"123456789",
    "libtorch/include/a/b.h": bytes(range(256)) * 3000,
}
GOLDEN = "bf7dfde77ca30c66756b22f4f297c7e4d98d895f039a4c8ef9bb952844ddc5bd"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a zip with a file that may be run, an empty file and an empty folder."""
    path = tmp_path / "libtorch.zip"
    path.write_bytes(archives.zipped(FILES, executable=".so"))
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("libtorch/nothing/", b"")
    return path


def test_the_hash_is_what_it_was_when_nix_agreed(path: Path) -> None:
    assert nar_sha256(Archive(LocalFile(path))) == GOLDEN


@pytest.mark.nix
def test_nix_states_the_same_hash(path: Path, tmp_path: Path) -> None:
    nix = shutil.which("nix-hash") or pytest.skip("no Nix")
    with zipfile.ZipFile(path) as packed:
        packed.extractall(tmp_path / "out")
    (tmp_path / "out/libtorch/lib/libc10.so").chmod(0o755)
    command = [nix, "--type", "sha256", str(tmp_path / "out/libtorch")]
    stated = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert nar_sha256(Archive(LocalFile(path))) == stated


@pytest.mark.parametrize("files", [{"a/x": b"", "b/y": b""}, {}, {"a/x": b"", "a": b""}], ids=["two", "none", "both"])
def test_what_has_not_one_folder_outermost_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "odd.zip"
    path.write_bytes(archives.zipped(files) if files else _empty())
    with pytest.raises(IntegrityError):
        nar_sha256(Archive(LocalFile(path)))


def _empty() -> bytes:
    out = io.BytesIO()
    zipfile.ZipFile(out, "w").close()
    return out.getvalue()
