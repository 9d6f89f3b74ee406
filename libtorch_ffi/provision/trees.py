"""Trees that are here already: a given one, the system's, and the one inside an installed torch package.

Owns where such trees are looked for, and whether they are what was asked for. Never downloads, never writes, and never
imports torch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.errors import LibtorchFFIError, NotFoundError, TargetError
from libtorch_ffi.provision.describe import describe, library_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from libtorch_ffi.provision.libtorch import Libtorch
    from libtorch_ffi.provision.settings import Settings

SYSTEM_PREFIXES = (
    "/usr/local",
    "/usr",
    "/usr/local/libtorch",
    "/usr/lib/libtorch",
    "/opt/libtorch",
    "/opt/homebrew",
    "/opt/local",
)
"""Where a libtorch is looked for after what the compiler finds by itself, in this order."""

_LIBRARY_FOLDERS = ("lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu")


def is_given(settings: Settings) -> bool:
    """Tell whether the settings name a tree."""
    return any((settings.libtorch, settings.include, settings.lib))


def given(settings: Settings) -> Libtorch:
    """Return the tree that LIBTORCH, or LIBTORCH_INCLUDE and LIBTORCH_LIB, name.

    Raises
    ------
    NotFoundError
        Where there is no libtorch, or only one half of a split tree is named.
    TargetError
        Where it is another version, flavor or platform than the one asked for.
    """
    include = settings.include or settings.libtorch
    lib = settings.lib or settings.libtorch
    if include is None or lib is None:
        here, other = ("LIBTORCH_LIB", "LIBTORCH_INCLUDE") if include is None else ("LIBTORCH_INCLUDE", "LIBTORCH_LIB")
        raise NotFoundError(
            f"{here} is set and {other} is not, so one half of the libtorch is not named. Nothing was downloaded. Set "
            "both, or set LIBTORCH to the folder that holds lib and include."
        )
    for name, path in (("LIBTORCH", settings.libtorch), ("LIBTORCH_INCLUDE", include), ("LIBTORCH_LIB", lib)):
        if path is not None and not path.is_dir():
            raise NotFoundError(
                f"{name} names {path}, which is not a folder. Nothing was downloaded. Correct {name}, or unset it."
            )
    prefix = settings.libtorch if settings.lib is None and settings.libtorch else _inside(lib, "lib").parent
    found = describe(_headers_folder(include), _inside(lib, "lib"), prefix=prefix, origin="given")
    return _as_asked(found, settings, "LIBTORCH names a")


def installed_torch(settings: Settings) -> Libtorch:
    """Return the libtorch inside an installed torch package.

    Build isolation hides site-packages from `sys.path`, so the folders that `sysconfig` states are looked in first.

    Raises
    ------
    NotFoundError
        Naming the folders that were looked in.
    TargetError
        Where it is another version, flavor or platform than the one asked for.
    """
    folders = list(dict.fromkeys(_site_folders()))
    for folder in folders:
        torch = folder / "torch"
        if library_file(torch / "lib", "c10") is not None:
            found = describe(torch / "include", torch / "lib", prefix=torch, origin="torch")
            return _as_asked(found, settings, "LIBTORCH_SOURCE=torch finds a")
    raise NotFoundError(
        f"LIBTORCH_SOURCE is torch, and no torch package is installed; looked in {_listed(folders)}. Nothing was "
        "downloaded. Run `pip install torch`, or unset LIBTORCH_SOURCE."
    )


def system(settings: Settings) -> Libtorch:
    """Return the libtorch that the compiler finds by itself, or else the one under a well-known prefix.

    Raises
    ------
    NotFoundError
        Naming every place that was searched, in order.
    TargetError
        Where it is another version, flavor or platform than the one asked for.
    """
    searched: list[str] = []
    for include, lib in (*_compilers_places(searched), *_prefixes_places(searched)):
        try:
            found = describe(include, lib, prefix=lib.parent, origin="system")
        except LibtorchFFIError:
            continue
        return _as_asked(found, settings, f"LIBTORCH_SKIP_DOWNLOAD is set and {lib} has a")
    raise NotFoundError(
        f"LIBTORCH_SKIP_DOWNLOAD is set, and the system has no libtorch; searched, in order: {'; '.join(searched)}. "
        "Nothing was downloaded. Install libtorch there, set LIBTORCH to the folder that has one, or unset "
        "LIBTORCH_SKIP_DOWNLOAD."
    )


def _as_asked(found: Libtorch, settings: Settings, subject: str) -> Libtorch:
    """Refuse a tree that contradicts what was asked for by name; what was left to its default is not asked for."""
    differing = [
        (name, str(asked), has)
        for name, asked, has in (
            ("LIBTORCH_VERSION", settings.version, found.version),
            ("LIBTORCH_CUDA_VERSION", settings.flavor, found.flavor),
            ("the platform", settings.platform, found.platform),
        )
        if asked is not None and not agrees(asked, has)
    ]
    if not differing:
        return found
    name, asked, has = differing[0]
    raise TargetError(
        f"{subject} libtorch {found.version} {found.flavor} for {found.platform} in {found.prefix}, where {name} asks "
        f"for {asked} and it is {has}. Nothing was downloaded. Unset one of the two, or name a libtorch that is "
        f"{asked}."
    )


def agrees(asked: str, has: str) -> bool:
    """Compare, where a CUDA tree may state its major version only (``cu12``) or none (``cuda``)."""
    vague = has in ("cuda", "rocm") or (has.startswith("cu") and len(has) == len("cu12"))
    return asked == has or (vague and asked.startswith(has.removesuffix("da")))


def _headers_folder(folder: Path) -> Path:
    return folder if (folder / "ATen").is_dir() else folder / "include"


def _inside(folder: Path, name: str) -> Path:
    return folder if library_file(folder, "c10") is not None else folder / name


def _site_folders() -> Iterator[Path]:
    for scheme in (None, f"{os.name}_user"):
        paths = sysconfig.get_paths() if scheme is None else sysconfig.get_paths(scheme)
        yield Path(paths["purelib"])
        yield Path(paths["platlib"])
    yield from (Path(entry) for entry in sys.path if entry.endswith("packages"))


def _compilers_places(searched: list[str]) -> Iterator[tuple[Path, Path]]:
    """Yield the header and library folders that the compiler has of libtorch, from its own mouth."""
    command = next(
        (path for name in (os.environ.get("CXX"), "c++", "g++", "clang++") if name and (path := shutil.which(name))),
        None,
    )
    if command is None:
        searched.append("the compiler (none was found: neither $CXX nor c++)")
        return
    includes = list(_include_folders(command))
    searched.append(f"the folders of the compiler {command} and of LIBRARY_PATH, CPATH and CPLUS_INCLUDE_PATH")
    library = _said([command, "-print-file-name=libtorch.so"]).strip() or "libtorch.so"
    if "/" in library:
        lib = Path(os.path.realpath(library)).parent
        yield from ((folder, lib) for folder in includes if (folder / "ATen/ATen.h").is_file())


def _include_folders(command: str) -> Iterator[Path]:
    said = _said([command, "-E", "-x", "c++", "-v", os.devnull])
    listing = said.partition("search starts here:")[2].partition("End of search list")[0]
    for line in listing.splitlines():
        if line.startswith(" "):
            yield Path(line.strip().removesuffix(" (framework directory)"))


def _said(command: list[str]) -> str:
    """Return what a compiler says on both streams; nothing where it fails to run."""
    try:
        done = subprocess.run(  # noqa: S603 (the user's own compiler)
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def _prefixes_places(searched: list[str]) -> Iterator[tuple[Path, Path]]:
    for prefix in map(Path, SYSTEM_PREFIXES):
        searched.append(str(prefix))
        for folder in _LIBRARY_FOLDERS:
            if library_file(prefix / folder, "torch_cpu") is not None:
                yield prefix / "include", prefix / folder


def _listed(folders: Iterable[Path]) -> str:
    return ", ".join(map(str, folders)) or "no folder"
