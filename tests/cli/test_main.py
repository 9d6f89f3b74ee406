"""How the command line ends: the exit codes, and what stands on stderr."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi import cli, errors
from libtorch_ffi.cli import parser
from libtorch_ffi.provision import store
from libtorch_ffi.provision.targets import Target, host_platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_line import Answer

COMMANDS = ("install", "list", "remove", "config", "doctor", "demo")


def raising(error: BaseException) -> Callable[[list[str]], int]:
    def dispatch(_: list[str]) -> int:
        raise error

    return dispatch


def all_errors() -> list[type[errors.LibtorchFFIError]]:
    classes = [one for one in vars(errors).values() if isinstance(one, type)]
    return [one for one in classes if issubclass(one, errors.LibtorchFFIError)]


@pytest.mark.parametrize("error", all_errors())
def test_each_error_is_one_line_and_a_code(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, error: type[errors.LibtorchFFIError]
) -> None:
    monkeypatch.setattr(cli, "_dispatch", raising(error("The fact. The next command.")))
    answer = ask("list")
    assert (answer.out, answer.err) == ("", "libtorch-ffi: The fact. The next command.\n")
    assert answer.code == (1 if error is errors.LibtorchFFIError else cli.EXIT_CODES[error.__name__])


def test_an_error_of_a_class_below_has_the_code_of_the_class(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    class RefusedError(errors.DownloadError):
        pass

    monkeypatch.setattr(cli, "_dispatch", raising(RefusedError("x")))
    assert ask("list").code == cli.EXIT_CODES["DownloadError"]


def test_codes_are_in_the_help(ask: Callable[..., Answer]) -> None:
    listed = parser.EPILOG.partition("exit codes: ")[2].replace("\n", " ").split("; ")
    codes = [int(entry.split()[0]) for entry in listed if entry.split()[0].isdigit()]
    assert codes == [0, 1, *cli.EXIT_CODES.values(), cli.INTERRUPTED, cli.BROKEN_PIPE]
    assert ask("--help").out.endswith(parser.EPILOG)


def test_interrupt_is_a_line(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_dispatch", raising(KeyboardInterrupt()))
    answer = ask("list")
    assert (answer.code, answer.out) == (130, "")
    assert answer.err.startswith("libtorch-ffi: interrupted")
    assert answer.err.count("\n") == 1


def test_own_version(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"of {name}")
    answer = ask("--version")
    assert (answer.code, answer.out, answer.err) == (0, "libtorch-ffi of libtorch-ffi\n", "")


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_help(ask: Callable[..., Answer], command: list[str]) -> None:
    answer = ask(*command, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"usage: {' '.join(['libtorch-ffi', *command])}")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["instal"], "invalid choice: 'instal'"),
        (["install", "--vers", "2.5.0"], "unrecognized arguments: --vers 2.5.0"),
        (["install", "--version"], "expected one argument"),
        (["install", "2.5.0"], "unrecognized arguments: 2.5.0"),
        (["list", "--flavor", "cpu"], "unrecognized arguments: --flavor cpu"),
        (["--vers"], "COMMAND"),
    ],
)
def test_bad_usage_goes_to_stderr(ask: Callable[..., Answer], arguments: list[str], complaint: str) -> None:
    answer = ask(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert complaint in answer.err


def test_broken_pipe_is_silent(tree: Path) -> None:
    assert tree.is_dir()
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "libtorch_ffi", "config", "--prefix"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_interrupt_of_a_process(home: Path) -> None:
    """An install that waits for a lock is interrupted, and leaves nothing."""
    target = Target("2.5.0", "cpu", host_platform())
    code = "import sys; from libtorch_ffi.cli import main; print('here', flush=True); sys.exit(main(['install']))"
    command = [sys.executable, "-c", code]
    with (
        store.locked(home, target),
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        wait_until_it_waits(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1].startswith("libtorch-ffi: interrupted")
    assert not target.folder(home).exists()


def wait_until_it_waits(process: subprocess.Popen[str]) -> None:
    """Return once the process has the lock's file open, which is as far as it can get."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if any(name.endswith(".lock") for name in open_files(process.pid)):
            return
        time.sleep(0.01)
    pytest.fail(f"the process never opened the lock (exit code {process.poll()})")


def open_files(pid: int) -> list[str]:
    names = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            names.append(str(link.readlink()))
    return names
