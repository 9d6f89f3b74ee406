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
import wheels
from flakes import FOLDERS, MADE, PATH, ROOT, Built, Files, Flake, served, why_not

import libtorch_ffi
from libtorch_ffi.provision import catalogue
from libtorch_ffi.provision.describe import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libtorch_ffi.provision import Libtorch

HERE = Path(__file__).parent
VERSION = catalogue.default_version()
CPU_INDEX = "cpu-cxx11-abi"


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
    return flake.copied(tmp_path / "source")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Files]:
    """Serve a folder on loopback."""
    with served(tmp_path_factory.mktemp("files")) as there:
        yield there


@pytest.fixture(scope="session")
def libtorch() -> Libtorch:
    """Return the libtorch that the installed extension was built against."""
    record = json.loads(Path(libtorch_ffi.__file__).with_name("_built.json").read_text())
    if (record["version"], record["flavor"]) != (VERSION, "cpu"):
        pytest.skip(f"the installed extension is built against another libtorch than {VERSION} cpu")
    prefix = Path(record["prefix"])
    return describe(prefix / "include", prefix / "lib", prefix=prefix, origin="cache", flavor="cpu")


@pytest.fixture(scope="session")
def real(flake: Flake, files: Files, libtorch: Libtorch, tmp_path_factory: pytest.TempPathFactory) -> Flake:
    """Return the flake with the pin of the default release led to the bytes that are on this machine."""
    changed = flake.copied(tmp_path_factory.mktemp("real") / "source")
    wheel = wheels.pack(libtorch, files.folder / f"torch-{VERSION}+cpu.cxx11.abi-cp311-cp311-linux_x86_64.whl")
    changed.repin(VERSION, CPU_INDEX, url=files.address(wheel), sha256=wheels.sha256(wheel))
    return changed


@pytest.fixture(scope="session")
def built(real: Flake, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the Python package; minutes of both processors."""
    pytest.importorskip("pybind11", reason="the extra `test` is not installed, and the build has what the tests have")
    link = tmp_path_factory.mktemp("result") / "ffi"
    answer = real.build("libtorch-ffi-cpu", link)
    assert answer.returncode == 0, answer.stderr[-6000:]
    return Built(link.resolve(), answer.stderr)
