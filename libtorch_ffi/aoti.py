"""Packages of AOTInductor: programs that torch compiled to native code.

Owns `load_trusted`. A package holds a shared library whose code runs as soon as it is loaded, so nothing else of this
package opens one: `libtorch_ffi.export.load` refuses it.
"""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING, Any

from libtorch_ffi._binding import core
from libtorch_ffi.errors import ProgramError
from libtorch_ffi.export import pytree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from libtorch_ffi._C import Tensor

__all__ = ["CompiledProgram", "load_trusted"]


class CompiledProgram:
    """A program in native code: called with its arguments, it returns its results in their nested form.

    `load_trusted` makes it.
    """

    def __init__(self, package: core.NativePackage) -> None:
        self._package = package
        in_spec, out_spec = package.call_spec()
        self._in_spec, self._out_spec = (pytree.read_spec(text, {}) for text in (in_spec, out_spec))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it, without the GIL. Shapes are checked by the compiled code alone, as far as it does.

        Raises
        ------
        ProgramError
            If the arguments are not of the program's form, or one is no tensor.
        """
        positional, named = self._in_spec.children
        if len(args) != len(positional.children) or set(kwargs) != set(named.keys or ()):
            raise ProgramError(
                f"the program takes {len(positional.children)} arguments and by name {list(named.keys or ())}, not "
                f"{len(args)} and {sorted(kwargs)}"
            )
        flat = [*pytree.flatten(positional, args, "args"), *pytree.flatten(named, kwargs, "kwargs")]
        for index, value in enumerate(flat):
            if not isinstance(value, core.Tensor):
                raise ProgramError(f"input {index} of the program is a Tensor, not {type(value).__name__}")
        return pytree.unflatten(self._out_spec, iter(self._package.run(flat)))

    @property
    def metadata(self) -> dict[str, str]:
        """What the package says of itself, such as the device that it was compiled for."""
        return self._package.metadata()

    @property
    def constant_names(self) -> list[str]:
        """The names of the parameters, buffers and constants that are in the package."""
        return self._package.constants()

    def update_constants(self, constants: Mapping[str, Tensor], *, whole: bool = False) -> None:
        """Replace parameters, buffers or constants.

        Parameters
        ----------
        constants
            Tensors by name, of the shapes and dtypes that the old ones have: the compiled code counts on it.
        whole
            Refuse a mapping that lacks some.

        Raises
        ------
        ProgramError
            If there is no constant of a name.
        """
        unknown = sorted(set(constants) - set(self.constant_names))
        if unknown:
            raise ProgramError(f"the program has no constant {unknown[0]}; it has {', '.join(self.constant_names)}")
        self._package.update(dict(constants), whole)


def load_trusted(path: str | os.PathLike[str], *, name: str = "model") -> CompiledProgram:
    """Load a package of AOTInductor, whose native code runs with all rights of this process: the file must be trusted.

    Parameters
    ----------
    path
        What torch._inductor.aoti_compile_and_package wrote, for this machine and this libtorch.
    name
        Of the program, where a package has several.

    Raises
    ------
    ProgramError
        If it is no such package, or this libtorch has no loader for them (2.7 and later have).
    FileNotFoundError
        If there is no such file.
    """
    text = os.fspath(path)
    if not hasattr(core, "NativePackage"):
        raise ProgramError(
            "this libtorch has no loader for packages of AOTInductor; 2.7 and later have. Take one of these "
            "(LIBTORCH_VERSION), or export the program to .pt2, which libtorch_ffi.export.load() runs"
        )
    if not os.path.isfile(text):  # noqa: PTH113 - as in export
        raise FileNotFoundError(
            f"there is no file {text}: load_trusted() takes what torch._inductor.aoti_compile_and_package wrote"
        )
    _judge(text, name)
    try:
        return CompiledProgram(core.NativePackage(text, name))
    except (RuntimeError, OSError) as error:
        raise ProgramError(f"libtorch cannot load {text}: {error}") from None


def _judge(path: str, name: str) -> None:
    """Refuse what is no package: libtorch's loader does not look."""
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
            members = [member.partition("/")[2] for member in file.namelist()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
        raise ProgramError(f"{path} is no package of AOTInductor ({error}): that is a zip file") from None
    if damaged is not None:
        raise ProgramError(f"{path} is damaged: {damaged} does not have the checksum that it should")
    if not any(m.startswith(f"data/aotinductor/{name}/") and m.endswith(".so") for m in members):
        raise ProgramError(f"{path} holds no program {name!r} in native code; libtorch_ffi.export.load() reads a .pt2")
