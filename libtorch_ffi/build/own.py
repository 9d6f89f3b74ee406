"""The extension of libtorch-ffi itself.

Owns what is true of ``libtorch_ffi._C`` alone: pybind11's headers, the header worth precompiling, and the record of
what it was built against, which goes beside it. How an extension is built at all is `libtorch_ffi.build.build_ext`'s.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.build import objects, record
from libtorch_ffi.build.build_ext import BuildExt

if TYPE_CHECKING:
    from setuptools.extension import Extension

    from libtorch_ffi.build.objects import Recipe

PACKAGE = "libtorch_ffi"


class BuildOwn(BuildExt):
    """`BuildExt` for ``libtorch_ffi._C``, declared in pyproject.toml."""

    def run(self) -> None:
        """Build, then write down what the extension was built against."""
        super().run()
        record.write(self._record(), self.libtorch)
        if self.inplace:
            shutil.copyfile(self._record(), Path(PACKAGE, record.NAME))

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

    def recipe(self, ext: Extension) -> Recipe:
        """Add pybind11's headers."""
        ext.include_dirs = [str(self._pybind11()), *ext.include_dirs]
        return super().recipe(ext)

    def get_outputs(self) -> list[str]:
        """Add the record to what the build makes."""
        return sorted({*super().get_outputs(), str(self._record())})

    def get_output_mapping(self) -> dict[str, str]:
        """Add the record to what an editable install finds in the source tree."""
        mapping = super().get_output_mapping()
        return {**mapping, str(self._record()): str(Path(PACKAGE, record.NAME))} if self.inplace else mapping

    def _record(self) -> Path:
        return Path(self.build_lib, PACKAGE, record.NAME)

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
