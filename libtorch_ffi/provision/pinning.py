"""Add pins of PyPI's wheels to the catalogue; for whoever maintains it.

    python -m libtorch_ffi.provision.pinning linux-x86_64 torch==2.13.0 nvidia-cuda-runtime==13.0.96

Owns the writing of `catalogue.json`: one entry a line, in order, so that a change shows as the lines that it adds. A
wheel is downloaded whole and checked against the digest that its index publishes before its RECORD is pinned. Never run
by an install.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from libtorch_ffi.errors import IntegrityError
from libtorch_ffi.provision import catalogue, index
from libtorch_ffi.provision.archive import Archive, LocalFile
from libtorch_ffi.provision.remote import Net
from libtorch_ffi.provision.settings import Settings, check_platform
from libtorch_ffi.provision.wheel import Wheel
from libtorch_ffi.provision.whole_file import download

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libtorch_ffi.provision.targets import Platform

_log = logging.getLogger(__name__)

_LISTS = ("official-wheels", "pypi-wheels", "official-zips", "closures")


def pin(requirement: Requirement, platform: Platform, settings: Settings) -> dict[str, str]:
    """Return the catalogue's entry for the wheel that provisioning would take for a requirement.

    Raises
    ------
    IntegrityError
        Where the index publishes no digest, or the bytes have another.
    """
    with Net() as net, tempfile.TemporaryDirectory() as folder:
        where = index.Index(net, index.pypi_base(settings))
        listed = where.find(requirement.name, index.matching(requirement.specifier), platform)
        path = Path(folder) / listed.filename
        digest = download(net, listed.url, path)
        if digest != listed.sha256:
            raise IntegrityError(
                f"{listed.filename} has the sha256 {digest}, where {listed.sha256} is published. Not pinned."
            )
        return {
            "project": requirement.name,
            "version": listed.version.public,
            "filename": listed.filename,
            "sha256": digest,
            "record_sha256": Wheel(Archive(LocalFile(path))).record_sha256,
        }


def with_pin(table: dict[str, Any], entry: dict[str, str]) -> dict[str, Any]:
    """Return the catalogue with an entry among PyPI's wheels, in place of the one for the same file."""
    others = [each for each in table["pypi-wheels"] if each["filename"] != entry["filename"]]
    return {**table, "pypi-wheels": sorted([*others, entry], key=_order)}


def written(table: dict[str, Any]) -> str:
    """Return the catalogue as its file has it."""
    parts = [f'"{name}": {json.dumps(table[name])}' for name in ("about", "default")]
    parts[1:1] = [_lines("origins", "{}", [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in table["origins"].items()])]
    parts += [_lines("releases", "{}", [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in table["releases"].items()])]
    parts += [_lines(name, "[]", [json.dumps(entry) for entry in table[name]]) for name in _LISTS]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(arguments: Sequence[str]) -> int:
    """Pin the wheels that the arguments name and write the catalogue."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    platform = check_platform(arguments[0])
    for text in arguments[1:]:
        entry = pin(Requirement(text), platform, Settings.from_environment())
        _log.info("%s %s", entry["record_sha256"], entry["filename"])
        table = json.loads(catalogue.FILE.read_text(encoding="utf-8"))
        catalogue.FILE.write_text(written(with_pin(table, entry)), encoding="utf-8")
    return 0


def _order(entry: dict[str, str]) -> tuple[bool, str, list[int], str]:
    numbers = [int(part) if part.isdigit() else 0 for part in entry["version"].split(".")]
    return entry["project"] != "torch", entry["project"], numbers, entry["filename"]


def _lines(name: str, brackets: str, lines: list[str]) -> str:
    return f'"{name}": {brackets[0]}\n  ' + ",\n  ".join(lines) + f"\n{brackets[1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
