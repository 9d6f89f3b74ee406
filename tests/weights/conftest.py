"""What the tests of weights share: torch, where it is there to write files and to be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "torch" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.reference)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every process outside the checkout, whose sources would hide the installed package."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    """Torch, on the libtorch that the extension was built against; without it, the test is skipped."""
    import libtorch_ffi._binding

    assert libtorch_ffi._binding.core is not None
    module: ModuleType = pytest.importorskip("torch", reason="no torch on this libtorch", exc_type=ImportError)
    return module
