"""What the tests of calls share: torch, where it is there to be compared with."""

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


FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much the tests that draw their calls have called."""
    for line in terminalreporter.config.stash[FIGURES]:
        terminalreporter.write_line(line)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Return the lines that the summary of the run ends with."""
    return request.config.stash[FIGURES]


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
