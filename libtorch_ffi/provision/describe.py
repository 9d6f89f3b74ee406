"""What a libtorch on the disk is, read from its libraries and headers.

Owns the facts that a `Libtorch` states: version, flavor, platform, C++ ABI, C++ standard, and which libraries to link.
Never looks for a tree and never writes one. What cannot be read is an error, not a guess.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from libtorch_ffi.errors import LibtorchFFIError, NotFoundError
from libtorch_ffi.provision import elf
from libtorch_ffi.provision.libtorch import Libtorch

if TYPE_CHECKING:
    from pathlib import Path

API_INCLUDE = "torch/csrc/api/include"

_LINKED = ("torch", "torch_cuda", "torch_hip", "torch_xpu", "torch_cpu", "c10_cuda", "c10_hip", "c10_xpu", "c10")
_CORE = ("torch", "torch_cpu", "c10")
_VERSION_HEADERS = ("torch/headeronly/version.h", f"{API_INCLUDE}/torch/version.h")
_STANDARD = re.compile(r"__cplusplus < (20\d\d)\d\dL")
_DEFAULT_STANDARD = 17


def describe(include: Path, lib: Path, *, prefix: Path, origin: str, flavor: str | None = None) -> Libtorch:
    """Return the libtorch whose headers and libraries lie in two folders.

    Parameters
    ----------
    include, lib
        The folders.
    prefix
        What to state as the tree's prefix.
    origin
        What to state as its origin.
    flavor
        Its flavor where it is known; otherwise it is read from the tree.

    Raises
    ------
    NotFoundError
        Naming the first file that is missing.
    IntegrityError
        Where a library is not one.
    """
    libraries = _libraries(lib)
    _require(include / "ATen/ATen.h", "the headers of libtorch")
    return Libtorch(
        version=_version(include),
        flavor=flavor or _flavor(prefix, lib),
        platform=elf.machine(libraries["c10"]),
        prefix=prefix,
        include_dirs=(include, include / API_INCLUDE),
        library_dirs=(lib,),
        libraries=tuple(libraries),
        cxx11_abi=elf.uses_cxx11_abi(libraries["c10"]),
        cxx_standard=_standard(include),
        origin=origin,
    )


def _libraries(lib: Path) -> dict[str, Path]:
    """Return the libraries to link, in link order, by the name that ``-l`` takes."""
    found = {name: path for name in _LINKED if (path := library_file(lib, name)) is not None}
    missing = [name for name in _CORE if name not in found]
    if missing:
        raise NotFoundError(
            f"{lib} is not a libtorch's library folder: it has no lib{missing[0]}.so or lib{missing[0]}.dylib. Set "
            "LIBTORCH to the folder that holds lib and include, or LIBTORCH_LIB where they are apart."
        )
    return found


def library_file(lib: Path, name: str) -> Path | None:
    """Return the shared library that ``-l`` would take for a name."""
    for suffix in (".so", ".dylib"):
        path = lib / f"lib{name}{suffix}"
        if path.is_file():
            return path
    return None


def _require(path: Path, what: str) -> None:
    if not path.is_file():
        raise NotFoundError(
            f"{path} does not exist, so {what} are not there. Set LIBTORCH to the folder that holds lib and include, "
            "or LIBTORCH_INCLUDE where they are apart."
        )


def _version(include: Path) -> str:
    for name in _VERSION_HEADERS:
        path = include / name
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            numbers = [re.search(rf"TORCH_VERSION_{part}\s+(\d+)", text) for part in ("MAJOR", "MINOR", "PATCH")]
            if all(numbers):
                return ".".join(number[1] for number in numbers if number)
    raise NotFoundError(
        f"The version of the libtorch in {include} cannot be read: {' and '.join(_VERSION_HEADERS)} do not state it. "
        "Its headers are not whole; install it again, or point LIBTORCH at another."
    )


def _standard(include: Path) -> int:
    """Return the C++ standard below which ``ATen/ATen.h`` refuses to compile, at least that of our own sources."""
    found = _STANDARD.search((include / "ATen/ATen.h").read_text(encoding="utf-8", errors="replace"))
    return max(_DEFAULT_STANDARD, int(found[1]) - 2000) if found else _DEFAULT_STANDARD


def _flavor(prefix: Path, lib: Path) -> str:
    """Read the flavor from what official zips and wheels state, else from which libraries are there."""
    stated = _stated_local(prefix)
    if stated:
        return stated
    for kind, name in (("cuda", "torch_cuda"), ("rocm", "torch_hip"), ("xpu", "torch_xpu")):
        library = library_file(lib, name)
        if library is not None:
            return _cuda_of(library) if kind == "cuda" else kind
    return "cpu"


def _stated_local(prefix: Path) -> str:
    """Return ``cu124`` where a ``build-version`` or a ``version.py`` says ``2.5.0+cu124``."""
    for name in ("build-version", "version.py"):
        try:
            text = (prefix / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found = re.search(r"\d\+(cpu|cu\d+|rocm[\d.]*\d|xpu)", text)
        if found:
            return found[1]
    return ""


def _cuda_of(library: Path) -> str:
    """Return ``cu12`` from the CUDA runtime that a library needs; its minor version is stated nowhere."""
    try:
        needed = elf.inspect(library).needed
    except LibtorchFFIError:
        return "cuda"
    found = (re.match(r"libcudart(?:-\w+)?\.so\.(\d+)", name) for name in needed)
    return next((f"cu{match[1]}" for match in found if match), "cuda")
