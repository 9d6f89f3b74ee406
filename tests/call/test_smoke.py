"""What runs where these tests do not, and what an old libtorch is answered with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from libtorch_ffi import _aten
from libtorch_ffi.errors import UnsupportedError

SMOKE = Path(__file__).parents[1] / "smoke.py"


def test_the_smoke_test_passes_on_this_libtorch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", SMOKE], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("overloads\n")


def test_an_operator_that_came_later_is_missed_by_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_aten._SINCE, "telepathy", "9.1")
    telepathy = _aten.one("telepathy")
    with pytest.raises(UnsupportedError, match=r"has no operator aten::telepathy; 9\.1 and later ones do"):
        telepathy(1, to=2)


def test_an_operator_that_no_release_has_is_missed_at_once() -> None:
    with pytest.raises(AttributeError, match="aten::telepathy"):
        _aten.one("telepathy")
