"""Torch's wheel and the wheels beside it: which of their members make a libtorch, and whether they are the right bytes.

Owns the reading of RECORD and METADATA and the choice of members. Never opens a socket and never writes a file.
"""

from __future__ import annotations

import csv
import hashlib
from base64 import urlsafe_b64decode
from contextlib import suppress
from email.parser import HeaderParser
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from libtorch_ffi.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from libtorch_ffi.provision.archive import Archive, Member

PYTHON_ONLY = ("libtorch_python.", "libshm.")
"""Libraries that only the torch package needs; what needs them is left out with them."""

CPU_ROOTS = ("libtorch.so", "libtorch_cpu.so", "libc10.so")
"""What a CPU libtorch is made of on Linux; the libraries that these need come with them."""

_LIBRARY_FOLDERS = ("torch/lib", "torch/.dylibs")
_TREES = (("torch/include/", "include/"), ("torch/share/cmake/", "share/cmake/"))
_LICENSES = ("license", "notice", "eula", "copying")


class Wheel:
    """A wheel whose members can be checked.

    Parameters
    ----------
    archive
        The wheel's members.
    record_sha256
        The digest that its RECORD must have, where it is pinned.

    Raises
    ------
    IntegrityError
        Where RECORD is missing, or is not the pinned one.
    """

    def __init__(self, archive: Archive, record_sha256: str | None = None) -> None:
        self.archive = archive
        self._info = _info_folder(archive)
        record, self._metadata = archive.read_all(f"{self._info}/RECORD", f"{self._info}/METADATA")
        digest = hashlib.sha256(record).hexdigest()
        if record_sha256 not in (None, digest):
            raise IntegrityError(
                f"RECORD of {archive.ranges.name} has the sha256 {digest}, where {record_sha256} is pinned: this is "
                "not the wheel that was published. Nothing was kept. Set LIBTORCH_SOURCE to another source, or ask "
                "whose index this is."
            )
        self.record_sha256 = digest
        try:
            self._digests = dict(_digests(record))
        except (ValueError, csv.Error) as error:
            raise self._unreadable("RECORD", error) from error
        self._check(f"{self._info}/METADATA", self._metadata)

    def sha256(self, member: Member) -> str:
        """Return the digest that RECORD states for a member.

        Raises
        ------
        IntegrityError
            Where RECORD does not name it.
        """
        try:
            return self._digests[member.name]
        except KeyError:
            raise IntegrityError(
                f"RECORD of {self.archive.ranges.name} has no sha256 for {member.name}, so it cannot be checked. "
                "Nothing was kept. Set LIBTORCH_SOURCE to another source."
            ) from None

    def requirements(self) -> list[Requirement]:
        """Return what METADATA requires, extras and markers not yet judged."""
        try:
            text = self._metadata.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._unreadable("METADATA", error) from error
        return list(_parsed(HeaderParser().parsestr(text).get_all("Requires-Dist", [])))

    def flavor(self) -> str:
        """Return what a torch wheel was built for, as its ``torch/version.py`` states: such as ``cu124``."""
        source = self.archive.read("torch/version.py")
        self._check("torch/version.py", source)
        stated = _stated(source.decode("utf-8", errors="replace"))
        if stated.get("cuda"):
            return "cu" + stated["cuda"].replace(".", "")
        if stated.get("hip"):
            return "rocm" + ".".join(stated["hip"].split(".")[:2])
        return "xpu" if stated.get("xpu") else "cpu"

    def trees(self) -> dict[str, Member]:
        """Return the headers, CMake files and licences, by their path in a libtorch."""
        return {
            path: member
            for name, member in self.archive.members.items()
            if (path := self._path_in_tree(name)) is not None
        }

    def libraries(self) -> dict[str, Member]:
        """Return every shared library, by file name: those of ``torch/lib`` first, then those that were vendored."""
        found: dict[str, Member] = {}
        for name, member in sorted(self.archive.members.items(), key=lambda item: item[0].split("/")[0] != "torch"):
            file = name.rpartition("/")[2]
            if is_library(file) and file not in found:
                found[file] = member
        return found

    def torch_libraries(self) -> dict[str, Member]:
        """Return the libraries of libtorch itself, without those that only the Python package needs."""
        return {
            file: member
            for file, member in self.libraries().items()
            if member.name.rpartition("/")[0] in _LIBRARY_FOLDERS and not file.startswith(PYTHON_ONLY)
        }

    def licenses(self) -> dict[str, Member]:
        """Return the licences, by their path in a libtorch."""
        return {
            f"share/licenses/{self._info.partition('-')[0]}/{file}": member
            for name, member in self.archive.members.items()
            if name.startswith(f"{self._info}/")
            and (file := name.rpartition("/")[2]).lower().startswith(_LICENSES)
            and name.count("/") <= 2  # noqa: PLR2004 (those of vendored projects lie deeper)
        }

    def _check(self, name: str, content: bytes) -> None:
        """Refuse a member that decides what is taken, and is not the one that RECORD states."""
        digest, stated = hashlib.sha256(content).hexdigest(), self.sha256(self.archive.members[name])
        if digest != stated:
            raise IntegrityError(
                f"{name} of {self.archive.ranges.name} has the sha256 {digest}, where RECORD states {stated}: the "
                "wheel was changed or damaged. Nothing was kept. Set LIBTORCH_SOURCE to another source."
            )

    def _unreadable(self, name: str, error: Exception) -> IntegrityError:
        return IntegrityError(
            f"{name} of {self.archive.ranges.name} cannot be read: {error}. Nothing was kept. Set LIBTORCH_SOURCE to "
            "another source."
        )

    def _path_in_tree(self, name: str) -> str | None:
        for inside, path in _TREES:
            if name.startswith(inside):
                return path + name[len(inside) :]
        return None


def is_library(file: str) -> bool:
    """Tell whether a file name is that of a shared library."""
    return file.startswith("lib") and (file.endswith((".so", ".dylib")) or ".so." in file)


def _info_folder(archive: Archive) -> str:
    folders = [name.rpartition("/")[0] for name in archive.members if name.endswith(".dist-info/RECORD")]
    if len(folders) != 1 or "/" in folders[0]:
        raise IntegrityError(
            f"{archive.ranges.name} is not a wheel: it has {len(folders)} dist-info folders with a RECORD, where a "
            "wheel has one. Nothing was kept."
        )
    return folders[0]


def _digests(record: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and sha256, as hexadecimal digits, of each line of RECORD that has one."""
    for row in csv.reader(record.decode("utf-8").splitlines()):
        if len(row) > 1 and row[1].startswith("sha256="):
            digest = row[1].removeprefix("sha256=")
            yield row[0], urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()


def _parsed(lines: Iterable[str]) -> Iterator[Requirement]:
    for line in lines:
        # Old wheels have a few that are not well-formed; none of those is of a library.
        with suppress(InvalidRequirement):
            yield Requirement(line)


def _stated(source: str) -> dict[str, str]:
    """Return the string constants that ``torch/version.py`` assigns, annotated or not."""
    stated = {}
    for line in source.splitlines():
        name, equals, value = line.partition("=")
        if equals and (text := value.strip()).startswith(("'", '"')):
            stated[name.partition(":")[0].strip()] = text.strip("'\"")
    return stated
