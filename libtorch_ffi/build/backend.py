"""The build backend that pyproject.toml names: setuptools', with failures that read well.

Owns the entrance of pip and of other frontends. Never builds: setuptools does, with the command that pyproject.toml
declares (`libtorch_ffi.build.own.BuildOwn`). It exists for two reasons: a ``cmdclass`` of the tree itself is importable
only where a ``backend-path`` names the tree, and a paragraph that says what to do should not end as the last line of a
traceback.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from typing import TYPE_CHECKING

from libtorch_ffi.errors import LibtorchFFIError

if sys.platform == "darwin":
    # A universal Python would tag the wheel for both architectures, and libtorch has one. setuptools reads these once.
    os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")
    os.environ.setdefault("MACOSX_DEPLOYMENT_TARGET", "11.0")

import setuptools
from setuptools import build_meta

if TYPE_CHECKING:  # a Python that is too old has to get as far as the metadata, in which pip reads that it is
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

OLDEST_SETUPTOOLS = 77

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


def _check_setuptools(version: str) -> None:
    """End with a paragraph where setuptools is older than pyproject.toml says: without isolation pip does not look."""
    if int(version.partition(".")[0]) < OLDEST_SETUPTOOLS:
        raise SystemExit(
            f"\nlibtorch-ffi: This Python ({sys.executable}) has setuptools {version}, and the build needs "
            f"{OLDEST_SETUPTOOLS} or later, as pyproject.toml says; without build isolation pip uses what is there. "
            f"Nothing was installed. Run `pip install -U 'setuptools>={OLDEST_SETUPTOOLS}'`, or leave out "
            "--no-build-isolation."
        )


def _ending_in_words(hook: Callable[P, R]) -> Callable[P, R]:
    """Let an error of ours end the process as its paragraph: pip shows the last lines of what a backend wrote."""

    @functools.wraps(hook)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return hook(*args, **kwargs)
        except LibtorchFFIError as error:
            raise SystemExit(f"\nlibtorch-ffi: {error}") from None

    return wrapped


_check_setuptools(setuptools.__version__)

build_editable = _ending_in_words(build_meta.build_editable)
build_sdist = build_meta.build_sdist
build_wheel = _ending_in_words(build_meta.build_wheel)
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel
