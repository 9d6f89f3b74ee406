"""The scripts of `libtorch-ffi complete`, run by the shells that they are for."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi.cli import parser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Answer

BASH = """
{script}
COMP_WORDS=({words}) COMP_CWORD={place}
_libtorch_ffi
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(script: str, *words: str) -> list[str]:
    """Return what bash offers for the last word."""
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    quoted = " ".join(f"'{word}'" for word in ("libtorch-ffi", *words))
    program = BASH.format(script=script, words=quoted, place=len(words))
    done = subprocess.run(["bash", "-u", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def script(ask: Callable[..., Answer]) -> str:
    answer = ask("complete", "bash")
    assert (answer.code, answer.err) == (0, "")
    return answer.out


def test_every_command_is_offered(script: str, ask: Callable[..., Answer]) -> None:
    offered = completed(script, "")
    assert {"install", "list", "doctor", "config", "complete"} <= set(offered)
    text = ask("--help").out
    assert all(f"    {name} " in text for name in offered)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("inst",), ["install"]),
        (("install", "--fl"), ["--flavor"]),
        (("install", "--flavor", "cu11"), ["cu117", "cu118"]),
        (("install", "--platform", "linux"), ["linux-x86_64", "linux-aarch64"]),
        (("verify", "--version", "2.5.1"), ["2.5.1"]),
        (("list", "--av"), ["--available"]),
        (("complete", "z"), ["zsh"]),
        (("nonsense", "x"), []),
    ],
)
def test_what_fits_is_offered(words: tuple[str, ...], offered: list[str], script: str) -> None:
    assert completed(script, *words) == offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("inst", ["install"]),
        ("--ver", ["--version"]),
        ("install --fl", ["--flavor"]),
        ("install --flavor cu11", ["cu117", "cu118"]),
        ("install --home ./sub", ["./subfolder/"]),
        ("complete z", ["zsh"]),
    ],
)
def test_fish_offers_what_fits(line: str, offered: list[str], ask: Callable[..., Answer], tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("no fish")
    (tmp_path / "script").write_text(ask("complete", "fish").out)
    (tmp_path / "subfolder").mkdir()
    program = f"source script; complete -C 'libtorch-ffi {line}'"
    environ = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        ["fish", "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert [each.partition("\t")[0] for each in done.stdout.splitlines()] == offered


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("inst", "install "),
        ("install --fl", "--flavor "),
        ("complete z", "complete zsh "),
        ("install --home my", "--home my\\ folder/"),
        ("install --home 'my", "--home 'my folder"),
    ],
)
def test_a_shell_types_what_fits(line: str, typed: str, shell: str, ask: Callable[..., Answer], tmp_path: Path) -> None:
    """A shell at a terminal of its own: the line, and the tabulator."""
    assert typed in _typed(shell, line, typed, ask("complete", shell).out, tmp_path)


def test_zsh_shows_a_choice(ask: Callable[..., Answer], tmp_path: Path) -> None:
    line, offered = "install --flavor cu11", "cu117  cu118"
    assert offered in _typed("zsh", line, offered, ask("complete", "zsh").out, tmp_path)


def _typed(shell: str, line: str, awaited: str, script: str, home: Path) -> str:
    """Return what a terminal shows after a line and a tabulator, until it has what is awaited."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    (home / "script").write_text(script)
    (home / "my folder").mkdir()
    ours, its = pty.openpty()
    environ = {**os.environ, "HOME": str(home), "ZDOTDIR": str(home), "TERM": "dumb", "PS1": ""}
    bare = ["-f"] if shell == "zsh" else ["--norc", "--noprofile"]
    with subprocess.Popen(
        [shell, *bare, "-i"], cwd=home, env=environ, stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as running:
        os.close(its)
        os.write(ours, b"PS1=; source ./script; echo rea''dy\n")
        assert "ready\r" in _seen_until(ours, "ready\r")
        os.write(ours, f"libtorch-ffi {line}\t".encode())
        seen = _seen_until(ours, awaited)
        running.kill()
    os.close(ours)
    return seen


def _seen_until(terminal: int, text: str) -> str:
    """Return what a terminal shows until a text has come, or nothing more comes for a minute."""
    seen = ""
    while text not in seen and select.select([terminal], [], [], 60)[0]:
        seen += os.read(terminal, 4096).decode(errors="replace")
    return seen


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_have_every_command(shell: str, ask: Callable[..., Answer]) -> None:
    script = ask("complete", shell).out
    assert all(name in script for name in ("install", "--from" if shell == "zsh" else "-l from", "cu118", "2.5.1"))
    if shutil.which(shell) is not None:
        assert subprocess.run([shell, "-n"], input=script, text=True, check=False).returncode == 0


def test_help_of_each_option_is_one_that_fish_can_quote(ask: Callable[..., Answer]) -> None:
    lines = ask("complete", "fish").out.splitlines()
    assert all((line.count("'") - line.count("\\'")) % 2 == 0 for line in lines)
    assert len(lines) > len(parser.build().format_help().splitlines())
