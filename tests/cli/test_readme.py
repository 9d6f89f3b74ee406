"""What the README says, run and compared: its program, its tables, its commands, its exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi.cli import EXIT_CODES, config, parser
from libtorch_ffi.provision import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_line import Answer

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_program_runs_and_prints_what_its_comment_says() -> None:
    program = blocks("python")[0]  # the others are fragments
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # on a busy machine threads wait for each other, for minutes
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d*(?:e-?\d+)?", done.stdout)]
    assert numbers[:4] == pytest.approx([1.0, -2.0, 0.5, 3.0], abs=1e-3)
    assert 0 <= numbers[-1] < 1e-6


def test_table_of_flavors_is_fresh() -> None:
    command = [sys.executable, str(ROOT / "tools" / "readme.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_table_of_flavors_says_where_cu117_ends() -> None:
    rows = [line for line in README.splitlines() if line.startswith("| 2.") and "cu117" in line]
    assert rows[-1].split(" | ")[0].endswith("2.0.1")


@pytest.mark.parametrize("beginning", ["python3 -m venv .venv && ", "python3 -m venv .venv-test && "])
def test_the_two_commands_stand_on_a_line_each(beginning: str) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith(beginning)]
    assert len(lines) == 1


def test_every_variable_is_told_and_none_beside() -> None:
    source = Path(settings.__file__).read_text(encoding="utf-8")
    read = set(re.findall(r'"(LIBTORCH(?:_[A-Z0-9]+)*)"', source))
    assert set(re.findall(r"\bLIBTORCH(?:_[A-Z0-9]+)*\b", README)) == read


def test_every_command_and_question_is_told(ask: Callable[..., Answer]) -> None:
    commands = re.findall(r"^    ([a-z]+) ", ask("--help").out, flags=re.MULTILINE)
    assert {
        *("install", "list", "which", "verify", "remove", "prune", "download"),
        *("config", "env", "doctor", "wheel", "ops", "demo", "complete"),
    } == set(commands)
    for words in (*(f"`libtorch-ffi {command}" for command in commands), *config.ANSWERS):
        assert words in README


def test_exit_codes_are_those_of_the_help() -> None:
    codes = re.findall(r"(\d+) ", parser.EPILOG.partition("The environment")[0])
    assert codes == re.findall(r"(\d+) ", README.partition("Exit codes: ")[2].partition("\n\n")[0])
    assert {int(code) for code in codes} >= set(EXIT_CODES.values())


def test_contributing_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`([\w./]+\.(?:py|cpp|h|json|toml|md))`", text) if "/" in name}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
