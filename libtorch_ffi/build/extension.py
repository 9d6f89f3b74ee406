"""How a setup.py names an extension that is written against libtorch.

Owns `LibtorchExtension`, a name for what setuptools calls an `Extension`. How it is built is `BuildExt`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from setuptools.extension import Extension

if TYPE_CHECKING:
    from collections.abc import Sequence


class LibtorchExtension(Extension):
    """A Python extension module against libtorch, to be built by `BuildExt`.

    Include folders, C++ standard, C++ ABI, libraries (CUDA's too) and rpath come by themselves, and so do the headers
    of ``<libtorch_ffi/caster.h>`` and of pybind11. Whatever is said here comes after them, so that it wins.

    Parameters
    ----------
    name
        The module's full name, such as ``package._kernels``.
    sources
        The C++ files; patterns such as ``src/*.cpp`` are expanded.
    **settings
        What `setuptools.Extension` takes besides: ``include_dirs``, ``extra_compile_args``, ``define_macros``, ….

    Examples
    --------
    In a setup.py::

        from setuptools import setup

        from libtorch_ffi.build import BuildExt, LibtorchExtension

        setup(
            name="twice",
            ext_modules=[LibtorchExtension("twice", ["twice.cpp"])],
            cmdclass={"build_ext": BuildExt},
        )
    """

    # ANN401: what Extension takes differs between the releases of setuptools; it checks the names itself.
    def __init__(self, name: str, sources: Sequence[str], **settings: Any) -> None:  # noqa: ANN401 - setuptools' own
        super().__init__(name, list(sources), **{"language": "c++", **settings})
