"""The extension of libtorch-ffi itself.

Owns what is true of ``libtorch_ffi._C`` alone: pybind11's headers, the header worth precompiling, and what goes
beside it: the record of what it was built against, and the stubs of the operators that this has. How an extension is
built at all is `libtorch_ffi.build.build_ext`'s.
"""

from __future__ import annotations

import logging
import mmap
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi import provision
from libtorch_ffi.build import objects, process, record
from libtorch_ffi.build.build_ext import BuildExt
from libtorch_ffi.errors import BuildError

if TYPE_CHECKING:
    from setuptools.extension import Extension

    from libtorch_ffi.provision import Libtorch

log = logging.getLogger(__name__)

PACKAGE = "libtorch_ffi"
OLDEST = (2, 0, 0)
"""The oldest libtorch that the sources compile against."""

BY_HAND = "_C.pyi"
"""The one stub that is committed; the others are what `libtorch_ffi.stubs` writes."""


class BuildOwn(BuildExt):
    """`BuildExt` for ``libtorch_ffi._C``, declared in pyproject.toml."""

    def run(self) -> None:
        """Build, then write down what the extension was built against and which operators that has."""
        self.build()  # whose failures `libtorch_ffi.build.backend` tells
        record.write(self._record(), self.libtorch)
        self._write_stubs()
        if self.inplace:
            for path in self._beside():
                shutil.copyfile(path, Path(PACKAGE, path.name))

    def choose_libtorch(self) -> Libtorch:
        """Return what the environment asks for, or the default.

        Raises
        ------
        BuildError
            It is older than what the sources are written for, such as Debian's.
        """
        libtorch = provision.ensure()
        if tuple(map(int, libtorch.version.split("."))) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise BuildError(
                f"The libtorch in {libtorch.prefix} (from: {libtorch.origin}) is {libtorch.version}, and libtorch-ffi "
                f"is written for {oldest} and later. Nothing was compiled. Unset LIBTORCH_SKIP_DOWNLOAD or LIBTORCH, "
                "whichever led to it, or name a newer libtorch."
            )
        return libtorch

    def precompiled_header(self, ext: Extension) -> Path | None:
        """Return ``pch.h``, which lies beside the sources."""
        return next((path for path in map(Path, ext.depends) if path.name == "pch.h"), None)

    def units(self, ext: Extension, folder: Path, jobs: int) -> list[Path]:
        """Return one batch of the sources for each processor: libtorch's headers are then read once a processor.

        An editable install compiles file by file, so that a change costs one file.
        """
        if self.editable_mode:
            return super().units(ext, folder, jobs)
        return objects.batches([Path(source) for source in ext.sources], folder, jobs)

    def recipe(self, ext: Extension) -> objects.Recipe:
        """Return how the files are compiled: without Gloo, where the libtorch has none."""
        if not _has_gloo(self.libtorch):
            ext.define_macros = [*ext.define_macros, ("LTF_WITHOUT_GLOO", None)]
        return super().recipe(ext)

    def headers(self) -> tuple[Path, ...]:
        """Return pybind11's alone."""
        return (self._pybind11(),)

    def get_outputs(self) -> list[str]:
        """Add the record and the stubs to what the build makes."""
        return sorted({*super().get_outputs(), *map(str, self._beside())})

    def get_output_mapping(self) -> dict[str, str]:
        """Add the record and the stubs to what an editable install finds in the source tree."""
        mapping = super().get_output_mapping()
        beside = {str(path): str(Path(PACKAGE, path.name)) for path in self._beside()}
        return {**mapping, **beside} if self.inplace else mapping

    def _packages(self) -> list[Path]:
        """Return the folders of the package that this build writes to."""
        return [self._record().parent, *([Path(PACKAGE)] if self.inplace else [])]

    def _record(self) -> Path:
        return Path(self.build_lib, PACKAGE, record.NAME)

    def _beside(self) -> list[Path]:
        """Return what goes beside the extension."""
        return [self._record(), *_stubs(self._record().parent)]

    def _write_stubs(self) -> None:
        """Ask the extension for its operators, in a process of its own: it is not to be loaded into the build's.

        Nothing that runs reads them, so an extension that cannot be loaded on this machine is no failure of the build.
        """
        extension = self.get_ext_fullpath(f"{PACKAGE}._C")
        folder = self._record().parent
        for stale in (path for where in self._packages() for path in _stubs(where)):
            stale.unlink()
        words = ["-m", f"{PACKAGE}.stubs", "--extension", extension, "--output", str(folder)]
        answer = process.run([sys.executable, *words])
        if answer.returncode != 0:
            reason = answer.stderr.strip().rpartition("\n")[2]
            log.warning("no stubs for type checkers were written: %s", reason or f"status {answer.returncode}")

    def _pybind11(self) -> Path:
        """Return a folder with pybind11's headers that is the same from build to build.

        An isolated build has pybind11 in a temporary folder of another name each time, which would make every object
        stale. The headers are some 1 MB, so a copy is kept with the objects.
        """
        import pybind11

        copy = self.object_folder().absolute() / f"pybind11-{pybind11.__version__}"
        if not copy.is_dir():
            staged = copy.with_name(copy.name + ".part")
            shutil.rmtree(staged, ignore_errors=True)
            shutil.copytree(pybind11.get_include(), staged)
            staged.rename(copy)
        return copy


def _stubs(folder: Path) -> list[Path]:
    """Return the stubs in a folder that were written for it."""
    return sorted(path for path in folder.glob("*.pyi") if path.name != BY_HAND)


def _has_gloo(libtorch: Libtorch) -> bool:
    """Tell whether the library defines c10d's process group over Gloo. Its header is there either way."""
    names = ("libtorch_cpu.so", "libtorch_cpu.dylib")
    for library in (folder / name for folder in libtorch.library_dirs for name in names):
        if library.is_file() and library.stat().st_size:
            with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return content.find(b"_ZN4c10d16ProcessGroupGlooC1E") != -1
    return False
