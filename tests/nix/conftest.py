"""Real Nix, its real sandbox, and this checkout as a flake on a stand-in for nixpkgs.

Where Nix is not installed, or cannot build in a sandbox here (a container without user namespaces, no right to write to
its store), the tests are skipped with the reason.
"""

from __future__ import annotations

import json
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flakes import FOLDERS, MADE, PATH, ROOT, Files, Flake, served, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.nix)


@pytest.fixture(scope="session")
def nix_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home for Nix's own caches, after seeing that it works here."""
    home = tmp_path_factory.mktemp("nix-home")
    reason = why_not(home)
    if reason:
        pytest.skip(reason)
    return home


@pytest.fixture(scope="session")
def nixpkgs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the stand-in for nixpkgs, told where this machine's tools are."""
    folder = tmp_path_factory.mktemp("nixpkgs") / "nixpkgs"
    shutil.copytree(HERE / "nixpkgs", folder)
    interpreter = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    host = {"python": str(interpreter), "site": sysconfig.get_path("purelib"), "path": PATH, "pypi": "http://127.0.0.1"}
    (folder / "host.json").write_text(json.dumps(host))
    return folder


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what of this checkout is in its repository."""
    folder = tmp_path_factory.mktemp("checkout") / "libtorch-ffi"
    folder.mkdir()
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=MADE)
    for path in ROOT.iterdir():
        if path.is_file() and path.suffix in {".nix", ".lock", ".toml", ".md", ".in", ""}:
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="session")
def flake(nix_home: Path, nixpkgs: Path, checkout: Path) -> Flake:
    """Return the flake of this checkout as it is."""
    return Flake(checkout, nixpkgs, nix_home)


@pytest.fixture
def own_flake(flake: Flake, tmp_path: Path) -> Flake:
    """Return a flake that a test may change."""
    source = tmp_path / "source"
    shutil.copytree(flake.source, source)
    return Flake(source, flake.nixpkgs, flake.home)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Files]:
    """Serve a folder on loopback."""
    with served(tmp_path_factory.mktemp("files")) as there:
        yield there
