"""Any extension module against libtorch, by setuptools.

Owns the command `BuildExt`: it provisions a libtorch, then compiles and links each extension of a distribution with
that libtorch's flags. Knows nothing of our own extension (`libtorch_ffi.build.own` does): what is said here holds for
anyone's. The order of the flags, by which an author's win, is `libtorch_ffi.build.command`'s.
"""

from __future__ import annotations

import logging
import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

from libtorch_ffi.build import choice, command, objects, toolchain
from libtorch_ffi.build.extension import LibtorchExtension
from libtorch_ffi.errors import BuildError, LibtorchFFIError
from libtorch_ffi.provision.sandbox import in_nix_sandbox

if TYPE_CHECKING:
    from setuptools.extension import Extension

    from libtorch_ffi.build.toolchain import Compiler
    from libtorch_ffi.provision import Libtorch

log = logging.getLogger(__name__)

CPP = frozenset((".cpp", ".cc", ".cxx", ".c++", ".C", ".cp", ".CPP", ".mm"))
"""The suffixes by which compilers know C++ (and Objective-C++)."""


class BuildExt(build_ext):
    """setuptools' ``build_ext``, for extensions against libtorch.

    It builds each `LibtorchExtension`. Where there is none, as in a pyproject.toml, it builds every extension whose
    sources are all C++. Any other is left to setuptools.

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
        """Build, and end with a paragraph where that fails: setuptools prints one for its own errors alone."""
        try:
            self.build()
        except LibtorchFFIError as error:
            raise CompileError(str(error)) from error

    def build(self) -> None:
        """Find the compiler, then the libtorch, then build: what is missing is told before anything is downloaded."""
        toolchain.check_python_headers()
        toolchain.find_compiler()
        self.libtorch = self.choose_libtorch()
        log.info(
            "building against libtorch %s %s in %s%s",
            self.libtorch.version,
            self.libtorch.flavor,
            self.libtorch.prefix,
            ": a Nix sandbox, so the build's inputs gave it" if in_nix_sandbox(os.environ) else "",
        )
        self.compiler_at_hand = toolchain.find_compiler(self.libtorch.cxx_standard)
        super().run()

    def choose_libtorch(self) -> Libtorch:
        """Return what to build against: what the environment names, else what libtorch_ffi itself was built against."""
        return choice.choose()

    def build_extensions(self) -> None:
        """Build one extension after the other; it is the files of each that are compiled in parallel."""
        named = any(isinstance(extension, LibtorchExtension) for extension in self.extensions)
        for extension in self.extensions:
            if isinstance(extension, LibtorchExtension) or (not named and _is_cpp(extension)):
                self.build_extension(extension)
            else:
                super().build_extension(extension)

    def build_extension(self, ext: Extension) -> None:
        """Compile what changed and link it."""
        _check_sources(ext)
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

    def headers(self) -> tuple[Path, ...]:
        """Return the folders of headers that come after the author's own: those of the caster and of pybind11."""
        return command.companions()

    def recipe(self, ext: Extension) -> objects.Recipe:
        """Return how the files of an extension are compiled."""
        compiler = self.compiler_at_hand
        identity = f"{compiler.release}, libtorch {self.libtorch.version} {self.libtorch.flavor}"
        words = command.compiling(compiler, self.libtorch, _own(ext, self.headers()))
        return objects.Recipe(words, compiler.family, identity, self.precompiled_header(ext))

    def _link(self, ext: Extension, made: list[str], target: Path) -> None:
        strip = not (self.editable_mode or self.debug)
        words = command.linking(self.compiler_at_hand, self.libtorch, _own(ext, ()), made, target, strip=strip)
        command.link(words, ext.name, self.libtorch)


def _own(ext: Extension, headers: tuple[Path, ...]) -> command.Own:
    defined = [f"-D{name}" if value is None else f"-D{name}={value}" for name, value in ext.define_macros]
    return command.Own(
        preprocessor=(
            *defined,
            *(f"-U{name}" for name in ext.undef_macros),
            *(f"-I{folder}" for folder in ext.include_dirs),
        ),
        headers=headers,
        compile=tuple(ext.extra_compile_args),
        libraries=(
            *(f"-L{folder}" for folder in ext.library_dirs),
            *(f"-l{name}" for name in ext.libraries),
            *(f"-Wl,-rpath,{folder}" for folder in ext.runtime_library_dirs),
        ),
        link=tuple(ext.extra_link_args),
    )


def _is_cpp(ext: Extension) -> bool:
    return all(Path(source).suffix in CPP for source in ext.sources)


def _check_sources(ext: Extension) -> None:
    """Refuse an extension of which a compiler would make something else than its author meant."""
    other = next((source for source in ext.sources if Path(source).suffix not in CPP), None)
    if other is None and ext.sources:
        return
    found = f"it has the source {other}" if other else "none of its sources exists"
    raise BuildError(
        f"The extension {ext.name} cannot be built: a libtorch extension is made of C++ files "
        f"({', '.join(sorted(CPP))}), and {found}. Nothing was compiled. Correct its `sources`; CUDA's .cu files and "
        "other languages are built by CMake, with find_package(LibtorchFFI)."
    )


def _expanded(patterns: list[str]) -> list[str]:
    """Replace each pattern by the files that match, in an order that does not depend on the disk."""
    expanded = []
    for pattern in patterns:
        expanded += sorted(map(str, Path().glob(pattern))) if set(pattern) & set("*?[") else [pattern]
    return expanded
