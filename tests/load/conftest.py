"""An extension that was built against a small libtorch, which a test may move, change or remove."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import own_environment
import pytest
from stand_in import make_libtorch, make_project, run_hook

from libtorch_ffi import errors

_COMPILING = frozenset(("built", "built_once", "other_libtorch"))
_PACKAGE = Path(errors.__file__).parent  # of a module: pytest asks the package for hooks, which loads the extension


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what compiles by the fixtures that it asks for."""
    for item in items:
        if _COMPILING.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.compile)


class Built:
    """A folder with the package, importable from there, and the libtorch that it was built against."""

    def __init__(self, folder: Path, libtorch: Path) -> None:
        self.folder = folder
        self.libtorch = libtorch
        self.record = folder / "libtorch_ffi/_built.json"


def build(folder: Path) -> Built:
    """Build the small extension against a libtorch of its own."""
    project = make_project(folder / "project")
    libtorch = make_libtorch(folder / "libtorch")
    answer = run_hook(project, "build_editable", "dist", LIBTORCH=str(libtorch))
    assert answer.returncode == 0, answer.stderr
    return Built(project, libtorch)


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Return what tests share that change nothing."""
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """Return what a test may change."""
    return build(tmp_path)


@pytest.fixture(scope="session")
def other_libtorch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_libtorch(tmp_path_factory.mktemp("other") / "libtorch", "2.6.0", answer=7)


@pytest.fixture(scope="session")
def record() -> dict[str, Any]:
    """Return what the package under test was built against, a real libtorch."""
    return own_environment.record()


@pytest.fixture
def real(tmp_path: Path, record: dict[str, Any]) -> Path:
    """Return a folder with a copy of the real package under test, for its record to be changed."""
    assert record["sizes"]
    shutil.copytree(_PACKAGE, tmp_path / "libtorch_ffi", ignore=shutil.ignore_patterns("csrc", "__pycache__"))
    return tmp_path
