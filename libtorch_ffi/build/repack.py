"""A wheel out of the installed libtorch_ffi, for another machine of the same platform.

Owns the wheel that `libtorch-ffi wheel` writes: the installed files again, which were compiled here, and on demand the
libraries of the libtorch inside, for a machine without a network. Compiles nothing and changes nothing that is
installed. Where the other machine looks for a libtorch that is not inside is `libtorch_ffi._load`'s.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.build import record
from libtorch_ffi.build.choice import RECORD
from libtorch_ffi.errors import BuildError, LibtorchFFIError
from libtorch_ffi.provision import closure, elf
from libtorch_ffi.provision.wheel import PYTHON_ONLY, is_library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libtorch_ffi.provision import Libtorch

PROJECT = "libtorch-ffi"
INSIDE = "_libtorch"
"""The folder of the package that holds a bundled libtorch."""

PROVISION = "provision"
"""The extra of a bundle that has the requirements of any other wheel."""

_OF_PIP = frozenset(("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"))
"""What pip writes beside the files of a wheel."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member, so that the same files make the same wheel."""


def pack(folder: Path, *, bundle: bool = False) -> Path:
    """Write the wheel and return its path.

    Parameters
    ----------
    folder
        Where to write.
    bundle
        Whether to put the libraries of the libtorch inside.

    Raises
    ------
    BuildError
        The package was not installed from a wheel, or a library that it needs is not to be found.
    """
    files = _installed()
    info = next(name for name in files if name.endswith(".dist-info/WHEEL")).rpartition("/")[0]
    path = folder / f"{info.removesuffix('.dist-info')}-{_tag(files[f'{info}/WHEEL'])}.whl"
    content = {name: _of_file(file) for name, file in files.items()} if not bundle else _bundled(files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        _write(part, content, info)
        part.replace(path)
    except OSError as error:
        raise LibtorchFFIError(f"{path} cannot be written: {error}. Name a folder that can be written to.") from error
    return path


def needed(libtorch: Libtorch, extension: Path) -> dict[str, Path]:
    """Return the libraries that must go along with an extension, by file name.

    They are those that it needs, and those that these need, but for what every Linux has. Of a tree of ours all of
    them go, since some load parts of themselves by name.

    Raises
    ------
    BuildError
        One of them is neither in the libtorch's folders nor a system's.
    """
    there = {path.name: path for folder in reversed(libtorch.library_dirs) for path in Path(folder).iterdir()}
    there = {name: path for name, path in there.items() if is_library(name) and not name.startswith(PYTHON_ONLY)}
    found = dict(there) if (libtorch.prefix / ".ok").is_file() else {}
    if libtorch.platform.startswith("macos"):
        return there
    waiting = [extension, *found.values()]
    while waiting:
        file = waiting.pop()
        for name in elf.inspect(file).needed:
            if name in there and name not in found:
                found[name] = there[name]
                waiting.append(there[name])
            elif name not in there and not closure.of_system(name):
                raise BuildError(
                    f"{file} needs {name}, which is neither in {', '.join(map(str, libtorch.library_dirs))} nor a "
                    "library that every Linux has, so a wheel with it inside would not load. Nothing was written. "
                    "Leave out --bundle, or install libtorch-ffi against a libtorch of `libtorch-ffi install`."
                )
    return found


def _installed() -> dict[str, Path]:
    """Return the files of the installed package by their names in a wheel."""
    own = RECORD.parent
    for distribution in importlib.metadata.distributions(name=PROJECT):
        files = {str(file): Path(str(distribution.locate_file(file))) for file in distribution.files or ()}
        kept = {name: path for name, path in files.items() if _is_of_wheel(name) and path.is_file()}
        listed = kept.get(f"{own.name}/{record.NAME}")
        if listed is not None and RECORD.is_file() and listed.samefile(RECORD):
            return kept
    raise BuildError(
        f"The libtorch_ffi in {own} was not installed from a wheel (an editable install or a folder of sources is "
        "none), so there is no list of its files. Nothing was written. Run `pip install .` in the checkout, or `pip "
        "wheel .`, which compiles it."
    )


def _is_of_wheel(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return not (
        name.startswith(("..", "/")) or name.endswith(".pyc") or (folder.endswith(".dist-info") and file in _OF_PIP)
    )


def _tag(wheel: Path) -> str:
    lines = wheel.read_text(encoding="utf-8").splitlines()
    return next(line.partition(": ")[2] for line in lines if line.startswith("Tag: "))


def _bundled(files: dict[str, Path]) -> dict[str, Iterator[bytes]]:
    """Return the members of a wheel with its libtorch, and a record that leads to it."""
    built = record.read(RECORD)
    if built is None or not built.in_place:
        raise BuildError(
            "The libtorch that libtorch_ffi was built against is not in its place any more, so it cannot be put into a "
            "wheel. Nothing was written. `libtorch-ffi install` brings it back; `libtorch-ffi doctor` says more."
        )
    package = RECORD.parent.name
    extension = next(path for name, path in files.items() if name.startswith(f"{package}/_C.") and name.endswith(".so"))
    content = {name: _of_file(path) for name, path in files.items()}
    for name, path in needed(built.libtorch, extension).items():
        content[f"{package}/{INSIDE}/lib/{name}"] = _of_file(path)
    licenses = built.libtorch.prefix / "share/licenses"
    for path in sorted(licenses.rglob("*")) if licenses.is_dir() else ():
        if path.is_file():
            content[f"{package}/{INSIDE}/share/licenses/{path.relative_to(licenses).as_posix()}"] = _of_file(path)
    content[f"{package}/{record.NAME}"] = iter([_record(built)])
    metadata = next(name for name in files if name.endswith(".dist-info/METADATA"))
    content[metadata] = iter([_without_requirements(files[metadata].read_text(encoding="utf-8")).encode()])
    return content


def _without_requirements(metadata: str) -> str:
    """Make an extra of what only `libtorch_ffi.provision` imports: an installation without a network has no index."""
    head, _, description = metadata.partition("\n\n")
    lines = [f"Provides-Extra: {PROVISION}"]
    for line in head.splitlines():
        own = line.startswith("Requires-Dist: ") and "extra ==" not in line
        lines.append(f'{line}{" and" if ";" in line else ";"} extra == "{PROVISION}"' if own else line)
    return "\n".join([*lines[1:], lines[0]]) + "\n\n" + description


def _record(built: record.Built) -> bytes:
    """Return the record with folders that are relative to the package."""
    facts = {**record.describe(built.libtorch), "prefix": INSIDE, "include_dirs": [], "bundled": True}
    facts["library_dirs"] = [f"{INSIDE}/lib"]
    return (json.dumps(facts, indent=1) + "\n").encode()


def _of_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def _write(path: Path, content: dict[str, Iterator[bytes]], info: str) -> None:
    """Write a wheel: its members, then RECORD."""
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(content, key=lambda one: (one.startswith(info), one)):
            digest, size = hashlib.sha256(), 0
            with archive.open(_member(name), "w", force_zip64=True) as member:
                for block in content[name]:
                    member.write(block)
                    digest.update(block)
                    size += len(block)
            encoded = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={encoded},{size}\n")
        archive.writestr(_member(f"{info}/RECORD"), "".join(lines) + f"{info}/RECORD,,\n")


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o100755 << 16 if is_library(name.rpartition("/")[2]) else 0o100644 << 16
    return member
