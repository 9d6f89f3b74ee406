"""Operators that do not come with libtorch: those of a library that registers its own, and those written in Python.

Owns `load_library`, torch's `Library` with `define` and `impl`, and `Namespace`, through which ``ops`` gives every
operator out. What is registered stays until the process ends; nothing here takes an operator back.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, overload

from libtorch_ffi._binding import core
from libtorch_ffi.errors import LibraryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Literal, TypeVar

    from libtorch_ffi._C import OverloadPacket

    Function = TypeVar("Function", bound=Callable[..., Any])
    Kind = Literal["DEF", "FRAGMENT", "IMPL"]

__all__ = ["Library", "Namespace", "define", "impl", "load_library"]

_namespaces: dict[str, Namespace] = {}

_KEYS = {
    "default": "CompositeExplicitAutograd",
    "cpu": "CPU",
    "cuda": "CUDA",
    "meta": "Meta",
    "mps": "MPS",
    "xpu": "XPU",
}
"""The dispatch key of each type of device, as torch's `impl` takes them."""


class Namespace:
    """The operators of one namespace of the dispatcher, as attributes.

    Parameters
    ----------
    name
        Such as ``aten``.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, operator: str) -> OverloadPacket:
        """Look an operator up; the next time it is an attribute."""
        packet = core.ops_packet(f"{self.__name__}::{operator}")
        if packet is None:
            raise AttributeError(f"libtorch has no operator {self.__name__}::{operator}")
        setattr(self, operator, packet)
        return packet

    def __dir__(self) -> list[str]:
        prefix = f"{self.__name__}::"
        return sorted({name[len(prefix) :].partition(".")[0] for name in core.operators() if name.startswith(prefix)})

    def __repr__(self) -> str:
        return f"<libtorch_ffi.ops.{self.__name__}>"


def namespace(name: str) -> Namespace:
    """Return the namespace of a name: one object each."""
    return _namespaces.setdefault(name, Namespace(name))


def load_library(path: str | os.PathLike[str]) -> None:
    """Load a shared library that registers operators; from then on they are in ``ops``.

    To load it once more does nothing. `python -m libtorch_ffi.stubs --load` tells type checkers of them.

    Parameters
    ----------
    path
        A library with ``TORCH_LIBRARY`` in it that was built against the same libtorch (`libtorch-ffi config
        --cxxflags --ldflags`). Its code runs: load only what you trust.

    Raises
    ------
    LibraryError
        If it cannot be loaded; nothing of it stays. It is an OSError, as torch's would be.
    """
    text = os.fspath(path)
    try:
        core.open_library(text)
    except OSError as error:
        raise LibraryError(_why_not_loaded(text, str(error))) from None
    except RuntimeError as error:
        raise LibraryError(
            f"libtorch refuses what {text} registers: {str(error).rstrip()} It was not loaded. A namespace's operators "
            "come from one library: if an earlier build of it is in this process, start a new one."
        ) from None
    _read_anew()


def _why_not_loaded(path: str, reason: str) -> str:
    """Phrase what the loader said, with what to do about it."""
    from pathlib import Path

    named = os.sep in path or Path(path).exists()
    if named and not Path(path).is_file():
        return f"There is no file {path}, so no operators were loaded. Give the path of the library that was built."
    if "undefined symbol" in reason or "symbol not found" in reason.lower():
        return (
            f"{path} asks for what the libtorch in this process does not have ({reason}): it was built against another "
            "release, or for the other C++ ABI. Nothing of it was loaded. Build it against this libtorch, with all "
            "flags that `libtorch-ffi config --cxxflags --ldflags` prints."
        )
    if not named:
        return (
            f"The system's loader knows no library {path} ({reason}). Nothing was loaded. Give its path, with a slash "
            f"in it: ./{path} for one in the working directory."
        )
    return (
        f"{path} cannot be loaded as a library ({reason}). Nothing of it was loaded. It has to be a shared library "
        "(-shared) for this machine, and what it needs in turn has to be found: `ldd` (macOS: `otool -L`) shows it."
    )


class Library:
    """Operators of a namespace that are written in Python, as torch.library.Library has them.

    Parameters
    ----------
    ns
        The namespace.
    kind
        ``DEF`` for a namespace of one's own, ``FRAGMENT`` to add operators to one that is there, ``IMPL`` to give
        kernels to operators that are.
    dispatch_key
        The key of `impl`, where that is not told one.

    Examples
    --------
    >>> library = Library("mine", "DEF")
    >>> library.define("twice(Tensor x) -> Tensor")
    'twice'
    >>> library.impl("twice", lambda x: x + x)
    >>> ops.mine.twice(tensor([1.0]))
    tensor([2.])
    """

    def __init__(self, ns: str, kind: Kind, dispatch_key: str = "") -> None:
        self.ns = ns
        self.kind = kind
        self.dispatch_key = dispatch_key
        self._registrations = core.Registrations(ns, kind)

    def __repr__(self) -> str:
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})"

    def define(self, schema: str) -> str:
        """Register an operator and return its name; it has no kernel yet.

        Parameters
        ----------
        schema
            Such as ``twice(Tensor x, *, int times=2) -> Tensor``.

        Raises
        ------
        RuntimeError
            If it is no schema, or the operator is there already.
        """
        self._registrations.define(schema)
        _read_anew()
        return schema.partition("(")[0].strip().rpartition("::")[2]

    def impl(self, op_name: str, fn: Callable[..., Any], dispatch_key: str = "") -> None:
        """Make a Python function the kernel of an operator.

        Parameters
        ----------
        op_name
            With its overload, if it has one: ``add.Tensor``.
        fn
            Called with the arguments of the schema, those after its ``*`` by name; returns what the schema says. It is
            kept until the process ends.
        dispatch_key
            Such as ``CPU`` or ``Autograd``. By default the library's, and where that has none
            ``CompositeImplicitAutograd``: a function made of other operators, for every device, differentiable as
            they are.

        Raises
        ------
        RuntimeError
            If there is no such dispatch key, or libtorch refuses the kernel.
        """
        key = dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"
        self._registrations.implement(op_name, fn, key)


def define(qualname: str, schema: str) -> None:
    """Register an operator.

    Parameters
    ----------
    qualname
        Its name with its namespace: ``mine::twice``.
    schema
        The rest: ``(Tensor x) -> Tensor``.
    """
    name_space, name = _parted(qualname)
    Library(name_space, "FRAGMENT").define(name + schema)


@overload
def impl(qualname: str, types: str | Sequence[str], func: Callable[..., Any]) -> None: ...
@overload
def impl(qualname: str, types: str | Sequence[str]) -> Callable[[Function], Function]: ...
def impl(
    qualname: str, types: str | Sequence[str], func: Function | None = None
) -> Callable[[Function], Function] | None:
    """Make a Python function the kernel of an operator for types of devices; a decorator where it is not given.

    Parameters
    ----------
    qualname
        The operator's name with its namespace: ``mine::twice``.
    types
        ``cpu``, ``cuda``, …, several of them, or ``default`` for every type without a kernel of its own.
    func
        The kernel (see `Library.impl`).
    """
    name_space, name = _parted(qualname)
    chosen = [types] if isinstance(types, str) else list(types)
    unknown = [one for one in chosen if one not in _KEYS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no type of device that has kernels; there are {', '.join(_KEYS)}")

    def register(function: Function) -> Function:
        library = Library(name_space, "FRAGMENT")
        for one in chosen:
            library.impl(name, function, _KEYS[one])
        return function

    if func is None:
        return register
    register(func)
    return None


def _parted(qualname: str) -> tuple[str, str]:
    name_space, _, name = qualname.partition("::")
    if not name_space or not name:
        raise ValueError(f"{qualname!r} is no name with a namespace, such as mine::twice")
    return name_space, name


def _read_anew() -> None:
    """Have the operators looked up again: there are new ones, or new overloads."""
    core.refresh()
    for one in _namespaces.values():
        name = one.__name__
        vars(one).clear()
        one.__name__ = name
