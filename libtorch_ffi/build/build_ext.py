"""Any extension module against libtorch, by setuptools.

Owns the command `BuildExt`: it provisions a libtorch, then compiles and links each extension of a distribution with
that libtorch's flags. Knows nothing of our own extension (`libtorch_ffi.build.own` does): what is said here holds for
anyone's.

What an extension's author says comes after what libtorch asks for, and the environment's ``CPPFLAGS``, ``CFLAGS``,
``CXXFLAGS`` and ``LDFLAGS`` come last, so the nearer to the person, the stronger. The flags that Python itself was
built with are left out: they are a C compiler's and another machine's (``-O3 -g -fwrapv``, hardening, old SDKs).
"""

from __future__ import annotations

import logging
import os
import platform
import shlex
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from setuptools.command.build_ext import build_ext

from libtorch_ffi import provision
from libtorch_ffi.build import objects, process, toolchain
from libtorch_ffi.build.flags import Flags, flags
from libtorch_ffi.errors import BuildError
from libtorch_ffi.provision.sandbox import in_nix_sandbox

if TYPE_CHECKING:
    from setuptools.extension import Extension

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


class BuildExt(build_ext):
    """setuptools' ``build_ext``, for extensions against libtorch.

    A source may be a pattern such as ``src/*.cpp``, and so may a dependency. Several compilers run at once: as many as
    ``--parallel`` says, else ``MAX_JOBS``, else as there are processors.
    """

    libtorch: Libtorch
    compiler_at_hand: Compiler

    def finalize_options(self) -> None:
        """Expand the patterns among the extensions' sources and dependencies."""
        super().finalize_options()
        for extension in self.extensions:
            extension.sources = _expanded(extension.sources)
            extension.depends = _expanded(extension.depends)

    def run(self) -> None:
        """Find the compiler, then the libtorch, then build: what is missing is told before anything is downloaded."""
        toolchain.check_python_headers()
        toolchain.find_compiler()
        self.libtorch = provision.ensure()
        log.info(
            "building against libtorch %s %s in %s%s",
            self.libtorch.version,
            self.libtorch.flavor,
            self.libtorch.prefix,
            ": a Nix sandbox, so the build's inputs gave it" if in_nix_sandbox(os.environ) else "",
        )
        self.compiler_at_hand = toolchain.find_compiler(self.libtorch.cxx_standard)
        super().run()

    def build_extensions(self) -> None:
        """Build one extension after the other; it is the files of each that are compiled in parallel."""
        for extension in self.extensions:
            self.build_extension(extension)

    def build_extension(self, ext: Extension) -> None:
        """Compile what changed and link it."""
        folder = self.object_folder() / f"{ext.name}-{self.libtorch.version}-{self.libtorch.flavor}"
        jobs = objects.jobs(self.parallel or None)
        made = objects.compile_all(self.units(ext, folder, jobs), folder, self.recipe(ext), jobs)
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        self._link(ext, [*map(str, made), *ext.extra_objects], target)
        if not self.editable_mode:
            # Some 400 MB, of use to the next build of a checkout alone.
            objects.remove_precompiled(folder)

    def object_folder(self) -> Path:
        """Return where objects outlive the build: an editable install's own temporary folder is gone with it."""
        if not self.editable_mode:
            return Path(self.build_temp)
        return Path("build", f"temp.{sysconfig.get_platform()}-{sys.implementation.cache_tag}")

    def units(self, ext: Extension, _folder: Path, _jobs: int) -> list[Path]:
        """Return the files that the compiler is called on."""
        return [Path(source) for source in ext.sources]

    def precompiled_header(self, _ext: Extension) -> Path | None:
        """Return the header that each source of an extension includes first, where it has one."""
        return None

    def recipe(self, ext: Extension) -> objects.Recipe:
        """Return how the files of an extension are compiled."""
        compiler = self.compiler_at_hand
        words = [
            *compiler.command,
            *_architecture(),
            *COMPILE,
            *self._flags().cxxflags,
            *_of_python(),
            *_preprocessor(ext),
            *ext.extra_compile_args,
            *_environment("CPPFLAGS", "CFLAGS", "CXXFLAGS"),
        ]
        identity = f"{compiler.release}, libtorch {self.libtorch.version} {self.libtorch.flavor}"
        return objects.Recipe(tuple(words), compiler.family, identity, self.precompiled_header(ext))

    def _flags(self) -> Flags:
        compiler = self.compiler_at_hand
        classic = toolchain.takes_ld_classic(compiler.command)
        return flags(self.libtorch, system_headers=True, libstdcxx=compiler.libstdcxx, ld_classic=classic)

    def _link(self, ext: Extension, made: list[str], target: Path) -> None:
        words = [
            *self.compiler_at_hand.command,
            *_architecture(),
            *LINK[sys.platform],
            *(() if self.editable_mode or self.debug else STRIP[sys.platform]),
            *made,
            "-o",
            str(target),
            *(f"-L{folder}" for folder in ext.library_dirs),
            *(f"-l{name}" for name in ext.libraries),
            *(f"-Wl,-rpath,{folder}" for folder in ext.runtime_library_dirs),
            *self._flags().ldflags,
            *ext.extra_link_args,
            *_environment("LDFLAGS"),
        ]
        log.debug("%s", shlex.join(words))
        answer = process.run(words)
        if answer.stderr:
            log.log(logging.ERROR if answer.returncode else logging.WARNING, "%s", answer.stderr.rstrip())
        if answer.returncode != 0:
            raise BuildError(
                f"The extension {ext.name} could not be linked against the libtorch in {self.libtorch.prefix}: the "
                f"linker ended with status {answer.returncode}. What it said stands above. Nothing was installed. "
                "`libtorch-ffi doctor` shows which libtorch is used and why; mend it and run the same command again."
            )


def _expanded(patterns: list[str]) -> list[str]:
    """Replace each pattern by the files that match, in an order that does not depend on the disk."""
    expanded = []
    for pattern in patterns:
        expanded += sorted(map(str, Path().glob(pattern))) if set(pattern) & set("*?[") else [pattern]
    return expanded


def _architecture() -> list[str]:
    """Name the running Python's architecture to Apple's compiler: a universal Python's own flags name two."""
    return ["-arch", platform.machine()] if sys.platform == "darwin" else []


def _of_python() -> list[str]:
    folders = dict.fromkeys([sysconfig.get_path("include"), sysconfig.get_path("platinclude")])
    return [f"-I{folder}" for folder in folders]


def _preprocessor(ext: Extension) -> list[str]:
    defined = [f"-D{name}" if value is None else f"-D{name}={value}" for name, value in ext.define_macros]
    return [*defined, *(f"-U{name}" for name in ext.undef_macros), *(f"-I{folder}" for folder in ext.include_dirs)]


def _environment(*names: str) -> list[str]:
    return [word for name in names for word in shlex.split(os.environ.get(name, ""))]
