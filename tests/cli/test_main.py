"""How the command line ends: the exit codes, and what stands on stderr."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import libtorch_ffi.errors
from libtorch_ffi.cli import BROKEN_PIPE, EXIT_CODES, INTERRUPTED, TERMINATED, parser
from libtorch_ffi.errors import DownloadError, LibtorchFFIError
from libtorch_ffi.provision import store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Answer

COMMANDS = (
    *("install", "list", "which", "verify", "remove", "prune", "download"),
    *("config", "env", "doctor", "wheel", "ops", "demo", "complete"),
)


INTERRUPTIBLE_INSTALL = """
import signal, sys
from libtorch_ffi.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests with it ignored
sys.argv[1:] = ["install"]
sys.exit(main())
"""


def raising(error: BaseException) -> Callable[[list[str]], int]:
    def dispatch(_: list[str], **__: object) -> int:
        raise error

    return dispatch


def all_errors() -> list[type[LibtorchFFIError]]:
    classes = [one for one in vars(libtorch_ffi.errors).values() if isinstance(one, type)]
    return [one for one in classes if issubclass(one, LibtorchFFIError)]


@pytest.mark.parametrize("error", all_errors())
def test_each_error_is_one_line_and_a_code(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, error: type[LibtorchFFIError]
) -> None:
    monkeypatch.setattr("libtorch_ffi.cli._dispatch", raising(error("The fact. The next command.")))
    answer = ask("list")
    assert (answer.out, answer.err) == ("", "libtorch-ffi: The fact. The next command.\n")
    assert answer.code == EXIT_CODES.get(error.__name__, 1)


def test_an_error_of_a_class_below_has_the_code_of_the_class(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    class RefusedError(DownloadError):
        pass

    monkeypatch.setattr("libtorch_ffi.cli._dispatch", raising(RefusedError("x")))
    assert ask("list").code == EXIT_CODES["DownloadError"]


def test_codes_are_in_the_help(ask: Callable[..., Answer]) -> None:
    listed = parser.EPILOG.partition("exit codes: ")[2].replace("\n", " ").split("; ")
    codes = [int(entry.split()[0]) for entry in listed if entry.split()[0].isdigit()]
    assert codes == [0, 1, *EXIT_CODES.values(), INTERRUPTED, BROKEN_PIPE, TERMINATED]
    assert ask("--help").out.endswith(parser.EPILOG)


def test_interrupt_is_a_line(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libtorch_ffi.cli._dispatch", raising(KeyboardInterrupt()))
    answer = ask("list")
    assert (answer.code, answer.out) == (130, "")
    assert answer.err.startswith("libtorch-ffi: interrupted")
    assert answer.err.count("\n") == 1


def test_own_version(ask: Callable[..., Answer]) -> None:
    answer = ask("--version")
    assert (answer.code, answer.out, answer.err) == (0, f"libtorch-ffi {libtorch_ffi.__version__}\n", "")


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


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_of_a_download(
    kind: signal.Signals, code: int, home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that accepts and says nothing is asked for what is not there, and Ctrl-C ends the waiting."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("LIBTORCH_MIRROR", address)
        monkeypatch.setenv("LIBTORCH_INDEX_URL", f"{address}/simple")
        monkeypatch.setenv("LIBTORCH_VERSION", "2.4.0")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        command = [sys.executable, "-c", INTERRUPTIBLE_INSTALL]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                with server.accept()[0]:
                    process.send_signal(kind)
                    out, err = process.communicate(timeout=60)
            finally:
                process.kill()
    assert (process.returncode, out) == (code, "")
    assert err.splitlines()[-1].startswith("libtorch-ffi: interrupted")
    assert "Traceback" not in err
    assert [installed.path for installed in store.installed(home)] == [tree]
