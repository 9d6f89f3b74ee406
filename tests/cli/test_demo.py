"""The demonstration: it learns, it says what it used, and it asks for the extra that it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import libtorch_ffi as lt
from libtorch_ffi.demo import EPOCHS, SEED, Classifier, load, train
from libtorch_ffi.errors import LibtorchFFIError

if TYPE_CHECKING:
    from pathlib import Path


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "libtorch_ffi", "demo"]
    variables = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=variables, check=False)


def test_demo_learns_and_tells_what_it_used() -> None:
    done = run(PYTHONIOENCODING="utf-8")
    assert done.returncode == 0, done.stderr
    facts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines()[:5])
    assert list(facts) == ["libtorch", "source", "size", "prefix", "operators"]
    assert int(facts["operators"].split()[0].replace(",", "")) > 3000
    last = done.stdout.splitlines()[-1]
    assert last.startswith("Test accuracy: ")
    assert float(last.split()[2].rstrip("%")) > 95
    assert "█" in done.stdout
    assert done.stderr.startswith(f"training: {EPOCHS} epochs in ")


def test_demo_draws_in_ascii_where_it_must() -> None:
    done = run(PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "##" in done.stdout


def test_same_seed_same_weights() -> None:
    digits = load()
    losses = []
    for _ in range(2):
        lt.manual_seed(SEED)
        losses.append([epoch.loss for epoch in train(Classifier(), digits, epochs=2)])
    assert losses[0] == losses[1]
    assert losses[0][1] < losses[0][0]


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(LibtorchFFIError, match=r"pip install 'libtorch-ffi\[demo\]'"):
        load()


def test_without_the_extra_the_command_ends_in_a_paragraph(tmp_path: Path) -> None:
    (tmp_path / "sklearn.py").write_text("raise ModuleNotFoundError(\"No module named 'sklearn'\", name='sklearn')\n")
    done = run()  # in this folder, whose sklearn comes first
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "libtorch-ffi[demo]" in done.stderr
