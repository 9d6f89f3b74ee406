"""Wheels for the tests of Nix: a libtorch that is on the disk, packed again, so that no index is asked for its bytes.

Owns the packing only. The members are stored and not deflated: they are the real ones, and there are 450 MB of them.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from libtorch_ffi.provision import Libtorch

_BLOCK = 1 << 20


def pack(libtorch: Libtorch, wheel: Path, *, cuda: str | None = None, more: Mapping[str, bytes] | None = None) -> Path:
    """Write a torch wheel that holds the headers and libraries of a libtorch.

    Parameters
    ----------
    libtorch
        What to pack: its `include` and `lib` folders.
    wheel
        Where to write.
    cuda
        The CUDA version that the wheel says it was built for, such as ``11.8``.
    more
        Further members, by name; one of a name that the libtorch has replaces it.
    """
    info = f"torch-{libtorch.version}.dist-info"
    small = {
        "torch/version.py": f"cuda: Optional[str] = {cuda!r}\nhip: Optional[str] = None\n".encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {libtorch.version}\n".encode(),
        f"{info}/LICENSE": b"BSD\n",
        **(more or {}),
    }
    record = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as archive:
        for name, path in _files(libtorch).items():
            if name not in small:
                _add(archive, name, path)
                record.append(f"{name},sha256={_digest(path)},{path.stat().st_size}\n")
        for name, content in small.items():
            archive.writestr(zipfile.ZipInfo(name), content)
            record.append(f"{name},sha256={_encoded(hashlib.sha256(content))},{len(content)}\n")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "".join(record) + f"{info}/RECORD,,\n")
    return wheel


def sha256(path: Path) -> str:
    """Return the digest of a file as hexadecimal digits."""
    return _hashed(path).hexdigest()


def _files(libtorch: Libtorch) -> dict[str, Path]:
    """Return the files of a libtorch by their name in a torch wheel."""
    include, lib = libtorch.include_dirs[0], libtorch.library_dirs[0]
    cmake = libtorch.prefix / "share/cmake"
    found = {f"torch/lib/{path.name}": path for path in sorted(lib.iterdir()) if path.is_file()}
    for folder, inside in ((include, "torch/include"), (cmake, "torch/share/cmake")):
        found |= {
            f"{inside}/{path.relative_to(folder).as_posix()}": path
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    return found


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    info = zipfile.ZipInfo(name)
    info.external_attr = (path.stat().st_mode & 0o777 | 0o100000) << 16
    info.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, _BLOCK)


def _hashed(path: Path) -> hashlib._Hash:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest


def _digest(path: Path) -> str:
    return _encoded(_hashed(path))


def _encoded(digest: hashlib._Hash) -> str:
    return urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
