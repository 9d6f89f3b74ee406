"""A small world for the offline tests: a server with indexes, settings that lead to it, and what a tree must fulfil."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import archives

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from servers import Mode, Server, Site

    from libtorch_ffi.provision import Settings

TAG = "cp311-cp311-manylinux1_x86_64"
RUNTIME = "nvidia_cuda_runtime_cu99-99.1-py3-none-manylinux1_x86_64.whl"


@dataclass(frozen=True)
class World:
    """A server and the settings to provision from it."""

    server: Server
    settings: Settings

    @property
    def site(self) -> Site:
        """What the server has."""
        return self.server.site

    def with_(self, **changes: object) -> Settings:
        """Return the settings with some of them changed."""
        return replace(self.settings, **changes)  # type: ignore[arg-type]

    def list_on_pypi(self, project: str, files: Mapping[str, bytes]) -> None:
        """Put a project on the server's PyPI."""
        page = archives.json_page(project, files, f"{self.server.url}/files")
        self.site.put(f"/simple/{project}/", page, "application/vnd.pypi.simple.v1+json")
        for name, data in files.items():
            self.site.put(f"/files/{name}", data)

    def list_officially(self, index: str, files: Mapping[str, bytes]) -> None:
        """Put torch on a folder of the server's PyTorch index."""
        self.site.put(f"/whl/{index}/torch/", archives.html_page(files, f"/whl/{index}"), "text/html")
        for name, data in files.items():
            self.site.put(f"/whl/{index}/{name}", data)

    def fail_at_library(self, *modes: Mode, then: Mode = "ok") -> None:
        """Let the answers fail that have the end of the large library in the torch wheel on PyPI: in turn, then all."""
        with zipfile.ZipFile(io.BytesIO(self.site.files[self.torch][1])) as archive:
            member = archive.getinfo("torch/lib/libtorch_cpu.so")
        self.site.places[self.torch] = member.header_offset + member.compress_size
        self.site.modes[self.torch] = [*modes, *[then] * (20 if then != "ok" else 0)]

    @property
    def torch(self) -> str:
        """The path of the torch wheel on the server's PyPI."""
        return f"/files/torch-{archives.VERSION}-{TAG}.whl"


def assert_verifies(tree: Path) -> None:
    """Check every file of a tree against its list, and that no other file is there."""
    listed = {}
    for line in (tree / ".files").read_text().splitlines():
        digest, size, _, name = line.split(" ", 3)
        listed[name] = (digest, int(size))
    found = {}
    for path in tree.rglob("*"):
        if path.is_file() and path.name not in (".ok", ".files"):
            data = path.read_bytes()
            found[path.relative_to(tree).as_posix()] = (hashlib.sha256(data).hexdigest(), len(data))
    assert found == listed


def assert_nothing_left(home: Path) -> None:
    """Check that a failed install left nothing but locks."""
    left = [path for path in home.rglob("*") if path.is_file() and path.parent.name != ".locks"]
    assert left == []
    assert {path.name for path in home.iterdir()} <= {".locks"}
