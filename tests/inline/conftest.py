"""One module of C++ functions on the real libtorch, compiled once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SOURCE = Path(__file__).parent / "functions.cpp"
FUNCTIONS = {
    "twice": "Two of it.",
    "mine::scaled": 'A "quoted" word,\na line, a ? and an é.',
    "address": "",
    "halves": "",
    "is_given": "",
    "nothing": "",
    "fail_at": "",
    "warn": "",
    "wait": "",
    "wake": "",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of this folder: it compiles."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.compile)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the compiled modules of the session are kept."""
    return tmp_path_factory.mktemp("inline")


@pytest.fixture(scope="session")
def functions(folder: Path) -> ModuleType:
    """Return the functions of ``functions.cpp``, called without the GIL."""
    from libtorch_ffi.build import load_inline

    return load_inline(SOURCE.read_text(encoding="utf-8"), FUNCTIONS, release_gil=True, folder=folder)


@pytest.fixture(scope="session")
def lt() -> Any:
    import libtorch_ffi

    return libtorch_ffi
