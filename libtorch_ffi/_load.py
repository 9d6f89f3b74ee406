"""Loading the compiled extension, or saying why not.

Owns the moment before ``libtorch_ffi._C`` enters the process. libtorch is C++ without a stable ABI, and a process can
hold only one: two releases at once, or an extension on a release that it was not built for, end in a crash far from the
cause. So what can be compared without opening a library is compared first. Never downloads, and never looks for a
libtorch while the one that the extension was built against is there: only then `libtorch_ffi.provision` is asked where
else.

Everyone who calls an operator waits for this module, so it imports little, and the rest where it is needed.
"""

from __future__ import annotations

import importlib
import os
import sys

from libtorch_ffi.errors import LibtorchFFIError, LoadError

TYPE_CHECKING = False  # what type checkers take for true; importing `typing` for it would cost 2 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import ModuleType
    from typing import Literal, TypedDict

    from libtorch_ffi.provision import Libtorch, Settings

    class _Bundled(TypedDict, total=False):
        """What `libtorch_ffi.build.repack` adds."""

        bundled: bool

    class Built(_Bundled):
        """What the build wrote down (see `libtorch_ffi.build.record`)."""

        version: str
        flavor: str
        platform: str
        prefix: str
        library_dirs: list[str]
        libraries: list[str]
        cxx11_abi: bool
        cxx_standard: int
        origin: str
        sizes: dict[str, int]


MACOS: bool = sys.platform == "darwin"

REINSTALL = "pip install --force-reinstall --no-deps --no-cache-dir libtorch-ffi"
"""Builds anew even where pip has a wheel of an earlier build in its own cache."""


def load() -> ModuleType:
    """Return the compiled extension, loaded into this process on the first call.

    Raises
    ------
    LoadError
        It cannot be: it was not built, its libtorch is gone or was replaced, or another is in the process already. The
        message names the command that mends it.
    """
    loaded = sys.modules.get("libtorch_ffi._C")
    if loaded is not None:
        return loaded
    _refuse_subinterpreter()
    built = read_record()
    if not _in_process_already(built):
        if not is_in_place(built):
            _preload(_find_elsewhere(built).library_dirs, built)
        elif built.get("bundled"):
            _preload(built["library_dirs"], built)
    extension = _import_extension(built)
    if "torch" not in sys.modules:
        from libtorch_ffi._guard import guard

        guard(built)
    return extension


def read_record() -> Built:
    """Return what the build wrote down; a LoadError where there was no build."""
    import json

    path = os.path.join(os.path.dirname(__file__), "_built.json")
    try:
        with open(path, encoding="utf-8") as file:
            record: Built = json.load(file)
    except (OSError, ValueError) as error:
        raise LoadError(
            f"The compiled part of libtorch_ffi is not there: {path} cannot be read ({error}). It is made when the "
            "package is installed, and a folder of sources does not have it. Install it with `pip install "
            "libtorch-ffi`, or with `pip install -e .` in a checkout."
        ) from None
    # Those of a libtorch inside the package are relative to it; joining leaves the others as they are.
    record["library_dirs"] = [os.path.join(os.path.dirname(__file__), folder) for folder in record["library_dirs"]]
    return record


def _refuse_subinterpreter() -> None:
    """Raise where this is not the process's first interpreter: the extension would wait for its GIL forever."""
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    try:
        interpreters = importlib.import_module(name)
    except ImportError:  # a Python without them
        return
    if interpreters.get_current() != interpreters.get_main():
        raise LoadError(
            "libtorch_ffi was imported in a subinterpreter, and works in a process's first interpreter only. It was "
            "not loaded. Call it from there, or start a process of its own (`multiprocessing`; under mod_wsgi, "
            "`WSGIApplicationGroup %{GLOBAL}`)."
        )


def _import_extension(built: Built) -> ModuleType:
    try:
        return importlib.import_module("libtorch_ffi._C")
    except ImportError as error:
        raise LoadError(
            f"The compiled part of libtorch_ffi, built against libtorch {built['version']} {built['flavor']} in "
            f"{built['prefix']}, cannot be loaded by Python {sys.version_info.major}.{sys.version_info.minor} "
            f"({sys.executable}): {error}. Nothing of it stays in the process. Build it again for this Python and this "
            f"machine: `{reinstall(built)}`."
        ) from error


def _in_process_already(built: Built) -> bool:
    """Tell whether the process holds the extension's libtorch; another one there is an error."""
    found = False
    for path in _loaded_libraries():
        name = os.path.basename(path)
        if name in built["sizes"]:
            if _size(path) != built["sizes"][name]:
                raise LoadError(_another(os.path.dirname(path), built))
            found = True
    return found


def _loaded_libraries() -> Iterator[str]:
    """Yield the path of each library of this process that may be part of a libtorch."""
    if MACOS:
        yield from _dyld_images()
        return
    with open("/proc/self/maps", "rb") as file:
        maps = file.read()
    if b"/libc10." not in maps and b"/libtorch" not in maps:
        return
    # A line ends with the path, the only field that has a slash.
    paths = dict.fromkeys(line[line.index(b"/") :] for line in maps.splitlines() if b"/lib" in line)
    yield from (os.fsdecode(path.removesuffix(b" (deleted)")) for path in paths)


def _dyld_images() -> Iterator[str]:
    import ctypes

    program = ctypes.CDLL(None)
    image_name = program["_dyld_get_image_name"]
    image_name.restype = ctypes.c_char_p
    for index in range(program["_dyld_image_count"]()):
        name: bytes | None = image_name(index)
        if name is not None:
            yield os.fsdecode(name)


def _size(path: str) -> int | None:
    """Return a file's size, None where there is no file."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _another(folder: str, built: Built) -> str:
    torch = sys.modules.get("torch")
    version = getattr(torch, "__version__", None)
    what = f"the imported torch {version}'s, in {folder}" if version else f"the one in {folder}"
    return (
        f"Another libtorch is in this process already, {what}; libtorch_ffi was built against libtorch "
        f"{built['version']} {built['flavor']} in {built['prefix']}, and one process cannot hold both. libtorch_ffi "
        "was not loaded. Build it against the libtorch of the installed torch with "
        f"`LIBTORCH_SOURCE=torch {REINSTALL}`, or use the two in separate processes."
    )


def is_in_place(built: Built) -> bool:
    """Tell whether each library that the extension was linked against is where it was, as it was."""
    return all(
        any(_size(os.path.join(folder, name)) == size for folder in built["library_dirs"])
        for name, size in built["sizes"].items()
    )


def is_at_hand(built: Built) -> bool:
    """Tell whether `load` would find the extension's libtorch, where it was or elsewhere."""
    try:
        return is_in_place(built) or bool(_find_elsewhere(built))
    except LoadError:
        return False


def reinstall(built: Built) -> str:
    """Return the command that builds the extension again, against a libtorch from the same place."""
    return f"LIBTORCH_SOURCE=torch {REINSTALL}" if built["origin"] == "torch" else REINSTALL


def _find_elsewhere(built: Built) -> Libtorch:
    """Ask provisioning for the same libtorch in another place."""
    try:
        places = _places(built)
    except LibtorchFFIError as error:
        raise LoadError(_gone(built, [str(error)])) from None
    refused: dict[str, None] = {}
    for settings in places:
        found = _look(settings, built)
        if not isinstance(found, str):
            return found
        refused[found] = None
    raise LoadError(_gone(built, list(refused)))


def _look(settings: Settings, built: Built) -> Libtorch | str:
    """Return the libtorch that these settings lead to, or why it does not do."""
    from libtorch_ffi.provision import locate

    try:
        libtorch = locate(settings)
    except LibtorchFFIError as error:
        return str(error)
    return libtorch if _is_the_same(libtorch, built) else _unlike(libtorch, built)


def _places(built: Built) -> list[Settings]:
    """Return the settings to look with: as the environment has them, then the installed torch or the cache."""
    import dataclasses

    from libtorch_ffi.provision import Settings

    asked = dataclasses.replace(Settings.from_environment(), version=built["version"], flavor=built["flavor"])
    source: Literal["torch"] | None = "torch" if built["origin"] == "torch" else None
    plain = dataclasses.replace(asked, libtorch=None, include=None, lib=None, source=source, skip_download=False)
    return [asked, plain]


def _is_the_same(libtorch: Libtorch, built: Built) -> bool:
    return libtorch.version == built["version"] and libtorch.cxx11_abi == built["cxx11_abi"]


def _unlike(libtorch: Libtorch, built: Built) -> str:
    return (
        f"{libtorch.prefix} holds libtorch {libtorch.version} with the {_abi(libtorch.cxx11_abi)} C++ ABI, where "
        f"{built['version']} with the {_abi(built['cxx11_abi'])} one was expected."
    )


def _abi(cxx11: bool) -> str:
    return "C++11" if cxx11 else "old"


def _gone(built: Built, refused: list[str]) -> str:
    folders = ", ".join(built["library_dirs"])
    exists = any(os.path.isdir(folder) for folder in built["library_dirs"])
    fact = f"{folders} holds other files than at the build" if exists else f"{folders} does not exist any more"
    return (
        f"The libtorch that libtorch_ffi was built against is gone: {fact} (libtorch {built['version']} "
        f"{built['flavor']}, {_abi(built['cxx11_abi'])} C++ ABI). It was looked for elsewhere: {' '.join(refused)} "
        f"Get it back with `{_restore(built)}`, or build for another with `{reinstall(built)}`."
    )


def _restore(built: Built) -> str:
    if built["origin"] == "torch":
        return f"pip install torch=={built['version']}"
    return f"libtorch-ffi install --version {built['version']} --flavor {built['flavor']}"


def _preload(folders: Iterable[str | Path], built: Built) -> None:
    """Load the libraries from where they are now; the extension then takes those in the process, by their names."""
    import ctypes

    # A library's own needs come before it: the link order has them the other way round.
    for name in reversed(built["sizes"]):
        path = next((one for one in (os.path.join(folder, name) for folder in folders) if os.path.isfile(one)), None)
        if path is None:
            raise LoadError(_gone(built, [f"{', '.join(map(str, folders))} has no {name}."]))
        try:
            ctypes.CDLL(path)
        except OSError as error:
            raise LoadError(_gone(built, [f"{path} cannot be loaded: {error}."])) from error
