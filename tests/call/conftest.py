"""What the tests of calls share: what the summary of a run says of them."""

from __future__ import annotations

import pytest

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
