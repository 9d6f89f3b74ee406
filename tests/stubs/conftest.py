"""The package with the stubs of the libtorch at hand beside it, as a build leaves it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import libtorch_ffi
from libtorch_ffi.stubs.__main__ import main

PACKAGE = Path(libtorch_ffi.__file__).parent


@pytest.fixture(scope="session")
def stubbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for a type checker's search path."""
    folder = tmp_path_factory.mktemp("stubbed")
    ignored = shutil.ignore_patterns("csrc", "__pycache__", "*.so", "*.dylib")
    shutil.copytree(PACKAGE, folder / "libtorch_ffi", ignore=ignored)
    assert main(["--output", str(folder / "libtorch_ffi")]) == 0
    return folder
