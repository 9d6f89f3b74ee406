"""A project in an empty folder, for each test that asks for one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from own_environment import Project

if TYPE_CHECKING:
    from collections.abc import Callable


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of this folder: it compiles."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.compile)


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Project]:
    """Return what copies a project to an empty folder."""
    return lambda name: Project(name, tmp_path)
