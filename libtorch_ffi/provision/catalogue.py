"""What is known of PyTorch's releases: which exist, and the digests that their archives must have.

Owns the reading of `catalogue.json`, the one table that Nix reads as well. Never opens a socket and never changes the
table; run as a program it gives way to `libtorch_ffi.provision.updating`, which does both. A pin states its origin:
`url` and `sha256` as PyTorch's own index or nixpkgs published them, `record_sha256` of a wheel whose every byte was
checked against its published digest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from libtorch_ffi.provision.targets import Target

FILE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True)
class Release:
    """The flavors of one release.

    Parameters
    ----------
    flavors
        By platform.
    complete
        Whether a flavor that is not listed is known not to exist.
    """

    flavors: dict[str, tuple[str, ...]]
    complete: bool

    def flavors_of(self, platform: str) -> tuple[str, ...]:
        """Return the flavors on a platform, none where the platform has no such release."""
        return self.flavors.get(platform, ())


@dataclass(frozen=True)
class WheelPin:
    """A wheel that is known.

    Parameters
    ----------
    project, version
        As on the index; the version is without its local part.
    filename
        The name of the file, which also states its platform.
    sha256
        Of the whole file.
    url
        Where PyTorch's own index has it; None for what lies on PyPI, of which no address is kept.
    index
        The folder of PyTorch's own index, such as ``cpu-cxx11-abi``.
    record_sha256
        Of its RECORD, so that a few members can be checked without the rest.
    """

    project: str
    version: str
    filename: str
    sha256: str
    url: str | None = None
    index: str | None = None
    record_sha256: str | None = None


@dataclass(frozen=True)
class ZipPin:
    """A libtorch zip that is known.

    Parameters
    ----------
    url
        On PyTorch's own server.
    sha256
        Of the zip, where it is known.
    nar_sha256
        Of the unpacked tree in Nix's archive format, as nixpkgs states it, where it is known.
    """

    url: str
    sha256: str | None
    nar_sha256: str | None


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return table


def default_version() -> str:
    """Return the release that is provisioned where none is asked for."""
    return str(_table()["default"])


@cache
def releases() -> dict[str, Release]:
    """Return every listed release, oldest first."""
    return {
        version: Release({platform: tuple(names) for platform, names in entry["flavors"].items()}, entry["complete"])
        for version, entry in _table()["releases"].items()
    }


@cache
def flavors() -> frozenset[str]:
    """Return every flavor that some release has."""
    return frozenset(name for release in releases().values() for names in release.flavors.values() for name in names)


def official_wheel(target: Target, index: str) -> WheelPin | None:
    """Return the pin of the torch wheel in a folder of PyTorch's own index."""
    for entry in _table()["official-wheels"]:
        if (entry["version"], entry["platform"], entry["index"]) == (target.version, target.platform, index):
            return WheelPin(
                project="torch",
                version=entry["version"],
                filename=entry["url"].rpartition("/")[2].replace("%2B", "+"),
                sha256=entry["sha256"],
                url=entry["url"],
                index=index,
                record_sha256=entry.get("record_sha256"),
            )
    return None


def pypi_wheel(filename: str) -> WheelPin | None:
    """Return the pin of a file on PyPI."""
    for entry in _table()["pypi-wheels"]:
        if entry["filename"] == filename:
            return WheelPin(**entry)
    return None


def zips(target: Target) -> list[ZipPin]:
    """Return the pins of a target's libtorch zips, the ones with the compiler's default C++ ABI first."""
    entries = [
        entry
        for entry in _table()["official-zips"]
        if (entry["version"], entry["flavor"], entry["platform"]) == (target.version, target.flavor, target.platform)
    ]
    entries.sort(key=lambda entry: "cxx11-abi" not in entry["url"])
    return [ZipPin(entry["url"], entry["sha256"], entry["nar_sha256"]) for entry in entries]


if __name__ == "__main__":
    import sys

    from libtorch_ffi.provision import updating

    sys.exit(updating.main(sys.argv[1:]))
