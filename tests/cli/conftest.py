"""The command line run in this process, on a cache of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from command_line import Answer, put

from libtorch_ffi.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No LIBTORCH_* variable of whoever runs the tests is heard, and the cache is a folder of the test."""
    for name in [name for name in os.environ if name.startswith("LIBTORCH")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LIBTORCH_HOME", str(tmp_path / "home"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the cache folder, which need not exist."""
    return tmp_path / "home"


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Return a function that runs the command line in this process."""

    def run(*arguments: str) -> Answer:
        code = main(arguments)
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return run


@pytest.fixture
def tree(home: Path) -> Path:
    """Return the folder of libtorch 2.5.0 for the CPU, which is in the cache."""
    return put(home)
