"""What the tests of programs share: where they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every process outside the checkout, whose sources would hide the installed package."""
    monkeypatch.chdir(tmp_path)
