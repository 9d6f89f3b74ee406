"""The command line: what a person asks, what the library answers, and how a failure reads.

Owns `main`: it hands the arguments to the module of the command and turns what may go wrong into a paragraph on stderr
and an exit code. stdout carries the answer alone. Nothing of this package is imported by the library.

`config` is called by build systems, a few times a build, so this module imports nothing that it does not need for it:
a plain question is answered without argparse (see `libtorch_ffi.cli.config`).
"""

from __future__ import annotations

import os
import sys

from libtorch_ffi.errors import LibtorchFFIError

TYPE_CHECKING = False  # what type checkers take for true; importing `typing` for it would cost 2 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_CODES = {
    "SettingError": 2,
    "TargetError": 3,
    "NotFoundError": 4,
    "DownloadError": 5,
    "IntegrityError": 6,
    "StoreError": 7,
    "BuildError": 8,
    "LoadError": 9,
    "LibraryError": 10,
}
"""Exit code by class of error; any other error of ours is 1, and a command line that can't be read is 2."""

INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143
"""What a shell reports for a program that SIGINT, SIGPIPE or SIGTERM ended."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does: what has arrived of a download is kept for the next run."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        The arguments without the program's name; those of the process where None.

    Returns
    -------
    int
        The exit code: 0, or one that the README lists.
    """
    try:
        status = _dispatch(sys.argv[1:] if argv is None else list(argv), own_process=argv is None)
        sys.stdout.flush()
    except LibtorchFFIError as error:
        return _explain(error)
    except KeyboardInterrupt as stop:
        sys.stderr.write("libtorch-ffi: interrupted; nothing half-made is used, so run the same command again\n")
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout once more at its end, and would complain about the pipe there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return status


def _dispatch(arguments: list[str], *, own_process: bool) -> int:
    """Hand the arguments to a command, the short way where there is one."""
    if arguments[:1] == ["config"]:
        from libtorch_ffi.cli import config

        if config.is_plain(arguments[1:]):
            return config.run(arguments[1:])
    from libtorch_ffi.cli import parser

    if own_process:
        _heed_termination()
    return parser.run(arguments)


def _heed_termination() -> None:
    import signal

    def stop(*_: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, stop)


def _explain(error: LibtorchFFIError) -> int:
    """Write the error's paragraph to stderr and return its exit code, that of the nearest class which has one."""
    sys.stderr.write(f"libtorch-ffi: {error}\n")
    codes = (EXIT_CODES.get(one.__name__) for one in type(error).__mro__)
    return next((code for code in codes if code is not None), 1)
