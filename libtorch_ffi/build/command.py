"""The two commands that make an extension module: one that compiles a file, one that links the objects.

Owns the order of their words. What libtorch asks for comes first, what the extension's author says after it, and the
environment's ``CPPFLAGS``, ``CFLAGS``, ``CXXFLAGS`` and ``LDFLAGS`` last, so the nearer to the person, the stronger.
The flags that Python itself was built with are left out: they are a C compiler's and another machine's (``-O3 -g
-fwrapv``, hardening, old SDKs). Starts no process but the one that `libtorch_ffi.build.toolchain` needs, and knows
nothing of setuptools.
"""

from __future__ import annotations

import logging
import os
import platform
import shlex
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.build import process, toolchain
from libtorch_ffi.build.flags import Flags, flags
from libtorch_ffi.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from libtorch_ffi.build.toolchain import Compiler
    from libtorch_ffi.provision import Libtorch

log = logging.getLogger(__name__)

COMPILE = ("-O2", "-DNDEBUG", "-fPIC", "-fvisibility=hidden", "-fvisibility-inlines-hidden")
"""For every file of an extension: nothing but the module's init function needs to be seen from outside."""

LINK = {
    # With a DT_RPATH, unlike a DT_RUNPATH, another libtorch in LD_LIBRARY_PATH does not get in between, and libraries
    # of the tree that have no path of their own are found too. That holds for the libraries that the extension itself
    # needs, so all of them are named, also those of which it calls nothing.
    "linux": ("-shared", "-Wl,--disable-new-dtags", "-Wl,--no-as-needed"),
    "darwin": ("-bundle", "-undefined", "dynamic_lookup"),
}
STRIP = {"linux": ("-Wl,-s",), "darwin": ("-Wl,-x",)}
"""To leave out the symbols that only a debugger or a profiler reads."""

HEADERS = Path(__file__).parents[1] / "include"
"""The folder of ``<libtorch_ffi/caster.h>``."""


@dataclass(frozen=True)
class Own:
    """What an extension's author says, each in the order in which it reaches the compiler or the linker.

    Parameters
    ----------
    preprocessor
        ``-D``, ``-U`` and ``-I``.
    headers
        Folders of headers that most extensions include (see `companions`), searched after those of ``-I`` and before
        libtorch's, which has a pybind11 of its own.
    compile, link
        Whatever else they want said.
    libraries
        ``-L``, ``-l`` and rpaths, before libtorch's own.
    """

    preprocessor: tuple[str, ...] = ()
    headers: tuple[Path, ...] = ()
    compile: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    link: tuple[str, ...] = ()

    @property
    def keeps_symbols(self) -> bool:
        """Whether somebody asked for what a debugger reads."""
        words = [*self.compile, *_environment("CPPFLAGS", "CFLAGS", "CXXFLAGS")]
        return any(word.startswith("-g") and word != "-g0" for word in words)


def compiling(compiler: Compiler, libtorch: Libtorch, own: Own) -> tuple[str, ...]:
    """Return the command that compiles a file, up to what names the file."""
    return (
        *compiler.command,
        *_architecture(),
        *COMPILE,
        *(word for folder in own.headers for word in ("-isystem", str(folder))),
        *_flags(compiler, libtorch).cxxflags,
        *(f"-I{folder}" for folder in _python_headers()),
        *own.preprocessor,
        *own.compile,
        *_environment("CPPFLAGS", "CFLAGS", "CXXFLAGS"),
    )


def linking(
    compiler: Compiler, libtorch: Libtorch, own: Own, made: Iterable[str], target: Path, *, strip: bool
) -> tuple[str, ...]:
    """Return the command that links objects to a module."""
    return (
        *compiler.command,
        *_architecture(),
        *LINK[sys.platform],
        *(STRIP[sys.platform] if strip and not own.keeps_symbols else ()),
        *made,
        "-o",
        str(target),
        *own.libraries,
        *_flags(compiler, libtorch).ldflags,
        *own.link,
        *_environment("LDFLAGS"),
    )


def link(words: Sequence[str], name: str, libtorch: Libtorch) -> None:
    """Run the linker.

    Raises
    ------
    BuildError
        It failed; what it said is in the log.
    """
    log.debug("%s", shlex.join(words))
    answer = process.run(words)
    if answer.stderr:
        log.log(logging.ERROR if answer.returncode else logging.WARNING, "%s", answer.stderr.rstrip())
    if answer.returncode != 0:
        raise BuildError(
            f"The extension {name} could not be linked against the libtorch in {libtorch.prefix}: the linker ended "
            f"with status {answer.returncode}. What it said stands above. Nothing was installed. `libtorch-ffi doctor` "
            "shows which libtorch is used and why; mend it and run the same command again."
        )


def companions() -> tuple[Path, ...]:
    """Return the folders of the headers that most extensions include: ours, and pybind11's where it is installed.

    Where it is not, libtorch's own copy of pybind11 is found; where the author names another, that is.
    """
    try:
        import pybind11
    except ModuleNotFoundError:
        return (HEADERS,)
    return (HEADERS, Path(pybind11.get_include()))


def _flags(compiler: Compiler, libtorch: Libtorch) -> Flags:
    classic = toolchain.takes_ld_classic(compiler.command)
    return flags(libtorch, system_headers=True, libstdcxx=compiler.libstdcxx, ld_classic=classic)


def _architecture() -> list[str]:
    """Name the running Python's architecture to Apple's compiler: a universal Python's own flags name two."""
    return ["-arch", platform.machine()] if sys.platform == "darwin" else []


def _python_headers() -> Iterable[str]:
    return dict.fromkeys([sysconfig.get_path("include"), sysconfig.get_path("platinclude")])


def _environment(*names: str) -> list[str]:
    return [word for name in names for word in shlex.split(os.environ.get(name, ""))]
