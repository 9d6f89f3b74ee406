"""The grammar of the command line.

Owns every command's name, options and help. Never does a command's work: each is a function of another module of this
package, imported when it is called.
"""

from __future__ import annotations

import argparse
import functools
import importlib
from typing import TYPE_CHECKING

from libtorch_ffi import __version__
from libtorch_ffi.cli import config

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    AddParser = Callable[..., argparse.ArgumentParser]

EPILOG = """\
exit codes: 0 done; 1 another error; 2 a bad option or variable; 3 no such libtorch exists; 4 none found; 5 a download
failed; 6 what came failed a check; 7 the cache folder can't be used; 8 the extension can't be compiled; 9 it can't be
loaded; 10 a library of operators can't be loaded; 130 interrupted; 141 nobody read the answer; 143 terminated.

The environment chooses the libtorch (LIBTORCH_VERSION, LIBTORCH_CUDA_VERSION, LIBTORCH_HOME, LIBTORCH, …; the README
has the table); options of a command come before it.
"""


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments and run the command that they name; returns the exit code."""
    try:
        options = build().parse_args(arguments)
    except SystemExit as stop:  # argparse has answered (0) or explained what is wrong with the command line (2)
        return stop.code if isinstance(stop.code, int) else 2
    module, _, name = options.run.partition(".")
    command: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(f"libtorch_ffi.cli.{module}"), name)
    return command(options)


def build() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="libtorch-ffi",
        description="Get a libtorch, ask for the flags that compile against it, see which one is used and why.",
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"libtorch-ffi {__version__}",
        help="print libtorch-ffi's own version and exit",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = functools.partial(commands.add_parser, allow_abbrev=False)
    _add_install(add)
    _add_list(add)
    _add_which(add)
    _add_verify(add)
    _add_remove(add)
    _add_prune(add)
    _add_download(add)
    _add_config(add)
    _add_env(add)
    _add_doctor(add)
    _add_wheel(add)
    _add_ops(add)
    _add_demo(add)
    _add_completion(add)
    return parser


def _add_install(add: AddParser) -> None:
    text = "Download a libtorch into the cache, unless it is there already, and print the folder that holds it."
    parser = add("install", help="get a libtorch into the cache", description=text)
    _add_target_options(parser)
    parser.add_argument("--from", dest="bundle", metavar="DIR", help="take it from a folder that `download` wrote")
    _add_json(parser)
    _add_verbose(parser)
    parser.set_defaults(run="cache.install")


def _add_list(add: AddParser) -> None:
    text = "Print each libtorch in the cache: version, flavor, platform, size and folder, parted by tabs."
    parser = add("list", help="print what the cache holds", description=text)
    _add_home(parser)
    parser.add_argument("--available", action="store_true", help="print what PyTorch has published instead")
    _add_json(parser)
    parser.set_defaults(run="cache.show")


def _add_which(add: AddParser) -> None:
    text = "Print the folder of the libtorch that would be used; an error where one would have to be downloaded."
    parser = add("which", help="print the folder of the libtorch at hand", description=text)
    _add_target_options(parser)
    _add_json(parser)
    parser.set_defaults(run="cache.which")


def _add_verify(add: AddParser) -> None:
    text = (
        "Compare an installed libtorch with the list of its files: sizes and times, and the sha256 where those differ. "
        "Prints what is wrong, a line each; exits with 0 where nothing is, else 6."
    )
    parser = add("verify", help="see whether a libtorch is as it was installed", description=text)
    _add_target_options(parser)
    parser.add_argument("--full", action="store_true", help="compute the sha256 of every file")
    parser.add_argument("--repair", action="store_true", help="fetch what is damaged, and only that")
    _add_json(parser)
    _add_verbose(parser)
    parser.set_defaults(run="cache.verify")


def _add_remove(add: AddParser) -> None:
    text = (
        "Delete from the cache the libtorch that `install` with the same options would put there; print what it freed."
    )
    parser = add("remove", help="delete a libtorch from the cache", description=text)
    _add_target_options(parser)
    _add_json(parser)
    parser.set_defaults(run="cache.remove")


def _add_prune(add: AddParser) -> None:
    text = "Delete what killed installs left and libtorches that can't be used; print each, and how much that freed."
    parser = add("prune", help="delete what can't be used from the cache", description=text)
    _add_home(parser)
    _add_json(parser)
    parser.set_defaults(run="cache.prune")


def _add_download(add: AddParser) -> None:
    text = (
        "Write a libtorch to a folder, as an archive and a manifest, for `install --from` on a machine without a "
        "network; it goes through the cache. Prints the archive's path."
    )
    parser = add("download", help="write a libtorch to carry elsewhere", description=text)
    parser.add_argument("folder", metavar="DIR", help="the folder to write to")
    _add_target_options(parser)
    _add_json(parser)
    _add_verbose(parser)
    parser.set_defaults(run="cache.download")


def _add_config(add: AddParser) -> None:
    text = "Print facts about the libtorch at hand, quoted for a shell, one line for each option. Never downloads."
    parser = add("config", help="print flags for a compiler and a linker", description=text)
    for question, (subject, _) in config.ANSWERS.items():
        parser.add_argument(question, dest="questions", action="append_const", const=question, help=subject)
    parser.set_defaults(run="config.from_options")


def _add_env(add: AddParser) -> None:
    from libtorch_ffi.build.systems import SYSTEMS

    text = (
        "Print what another build system has to be told about the libtorch at hand, as lines of a file of its own; a "
        "warning on stderr where the C++ ABI does not suit it. Never downloads."
    )
    parser = add("env", help="tell Cabal, Stack, Cargo, dune or pkg-config", description=text)
    parser.add_argument("--for", dest="system", required=True, choices=SYSTEMS, help="the build system")
    parser.add_argument(
        "--write",
        nargs="?",
        const=".",
        metavar="DIR",
        help="put it in the file of the project in DIR (the current folder), whose other lines stay as they are",
    )
    parser.set_defaults(run="env.run")


def _add_doctor(add: AddParser) -> None:
    text = (
        "Print which libtorch would be used and why, each place looked at in order; the compiler, the C++ ABI, the "
        "sandbox, and which sources of a download can be reached. Exits with 0 where a build can go ahead, else 4 or 8."
    )
    parser = add("doctor", help="see which libtorch would be used, and why", description=text)
    parser.add_argument("--offline", action="store_true", help="do not try to reach the sources")
    _add_json(parser)
    parser.set_defaults(run="doctor.run")


def _add_wheel(add: AddParser) -> None:
    text = (
        "Write a wheel of the installed libtorch_ffi for another machine of this platform and Python, and print its "
        "path. Nothing is compiled. There the libtorch is looked for as at a build, and never downloaded by an import."
    )
    parser = add("wheel", help="write a wheel for another machine", description=text)
    parser.add_argument("folder", nargs="?", default=".", metavar="DIR", help="the folder to write to (the current)")
    parser.add_argument("--bundle", action="store_true", help="with the libraries of libtorch inside")
    _add_json(parser)
    parser.set_defaults(run="wheel.run")


def _add_ops(add: AddParser) -> None:
    text = (
        "Print the schema of each overload of the operators named; without a name, the namespaces of libtorch's "
        "operators, each with its numbers of operators and overloads, parted by tabs."
    )
    parser = add("ops", help="see libtorch's operators and their schemas", description=text)
    parser.add_argument("names", nargs="*", metavar="NAME", help="softmax, aten::softmax, aten::softmax.int")
    parser.add_argument("--namespace", metavar="NS", help="look in this namespace; without a name, print its operators")
    parser.add_argument(
        "--load", action="append", default=[], metavar="LIBRARY", help="a library with operators to load first"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array instead")
    parser.set_defaults(run="ops.run")


def _add_demo(add: AddParser) -> None:
    text = "Train a classifier of handwritten digits with libtorch_ffi alone and draw what it learned (extra: demo)."
    parser = add("demo", help="train a small classifier", description=text)
    parser.set_defaults(run="demo.run")


def _add_completion(add: AddParser) -> None:
    text = "Print a script that makes a shell complete this program's commands and options."
    parser = add("complete", help="print a script for a shell's completion", description=text)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")
    parser.set_defaults(run="completion.run")


def _add_target_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", metavar="V", help="release, such as 2.5.0 (LIBTORCH_VERSION)")
    parser.add_argument("--flavor", metavar="F", help="cpu, cu118, cu124, … (LIBTORCH_CUDA_VERSION)")
    parser.add_argument("--platform", metavar="P", help="linux-x86_64, … (the machine's own)")
    _add_home(parser)


def _add_home(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", metavar="DIR", help="the cache folder (LIBTORCH_HOME)")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def _add_verbose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-v", "--verbose", action="store_true", help="say on stderr what is done")
