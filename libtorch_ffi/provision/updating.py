"""Refresh the catalogue from what PyTorch's index and PyPI publish; for whoever maintains it.

    python -m libtorch_ffi.provision.catalogue update 2.6.0 [--flavor cu126 ...] [--platform linux-x86_64 ...]

Owns what is to be known of a release: a pin for each of its wheels on PyTorch's own index, the flavors that these make,
and for the CUDA ones the wheels of NVIDIA that they name. What is known is skipped. Downloads no wheel: an address and
the digest that is published for it are a pin, and where both indexes publish one they must agree. Never run by an
install.
"""

from __future__ import annotations

import json
import logging
from argparse import ArgumentParser
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from libtorch_ffi.errors import IntegrityError
from libtorch_ffi.provision import catalogue, index, pinning, providers
from libtorch_ffi.provision.archive import Archive
from libtorch_ffi.provision.remote import AbsentError, Net, UnreachableError, shown
from libtorch_ffi.provision.remote_file import RemoteFile
from libtorch_ffi.provision.settings import Settings, check_platform
from libtorch_ffi.provision.targets import PLATFORMS
from libtorch_ffi.provision.wheel import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.requirements import Requirement

    from libtorch_ffi.provision.index import Index, Listed
    from libtorch_ffi.provision.targets import Platform

_log = logging.getLogger(__name__)

Table = dict[str, Any]
_OLD_ABI_INDEX = "cpu-cxx11-abi"


@dataclass(frozen=True)
class Update:
    """What is asked, and the means.

    Parameters
    ----------
    version
        The release.
    settings
        Where the indexes are.
    net
        The session.
    table
        The catalogue, which is changed.
    """

    version: str
    settings: Settings
    net: Net
    table: Table

    def official(self, name: str) -> Index:
        """Return a folder of PyTorch's own index."""
        return index.Index(self.net, f"{index.official_base(self.settings)}/whl/{name}")

    @property
    def pypi(self) -> Index:
        """Return PyPI, or the index that stands for it."""
        return index.Index(self.net, index.pypi_base(self.settings))


def update(asked: Update, flavors: Sequence[str], platforms: Sequence[Platform]) -> None:
    """Pin the wheels of a release that are not pinned yet.

    Raises
    ------
    IntegrityError
        Where an index publishes no digest, or two of them publish different ones.
    UnreachableError
        Where an index does not answer.
    """
    for platform in platforms:
        for name in flavors:
            listed = _find(asked, name, platform)
            if listed is None:
                continue
            _pin_torch(asked, name, platform, listed)
            if name.startswith("cu") and platform.startswith("linux"):
                _pin_closure(asked, name, platform, listed)


def main(arguments: Sequence[str]) -> int:
    """Update the catalogue's file as the arguments say."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = ArgumentParser(prog="python -m libtorch_ffi.provision.catalogue", allow_abbrev=False)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("update", help="pin what is published of a release")
    one.add_argument("version")
    one.add_argument("--flavor", action="append", metavar="F")
    one.add_argument("--platform", action="append", type=check_platform, metavar="P")
    asked = one.parse_args(arguments[1:]) if arguments[:1] == ["update"] else parser.parse_args(arguments)
    table = json.loads(catalogue.FILE.read_text(encoding="utf-8"))
    flavors = asked.flavor or [_OLD_ABI_INDEX, *sorted(catalogue.flavors())]
    with Net() as net:
        what = Update(asked.version, Settings.from_environment(), net, table)
        update(what, flavors, asked.platform or PLATFORMS)
    catalogue.FILE.write_text(pinning.written(table), encoding="utf-8")
    return 0


def _find(asked: Update, name: str, platform: Platform) -> Listed | None:
    try:
        return asked.official(name).find("torch", index.of_release(asked.version), platform)
    except AbsentError as error:
        _log.debug("%s", error)
        return None


def _pin_torch(asked: Update, name: str, platform: Platform, listed: Listed) -> None:
    """Add the pin of a torch wheel, and the flavor to those of its release."""
    wheels = asked.table["official-wheels"]
    key = {"version": asked.version, "platform": platform, "index": name}
    if any(key.items() <= entry.items() for entry in wheels):
        _log.info("known: %s", listed.filename)
        return
    url = listed.url.partition("#")[0].replace(index.official_base(asked.settings), index.OFFICIAL_BASE, 1)
    wheels.append({**key, "url": url, "sha256": _digest(listed)})
    wheels.sort(key=lambda entry: (_numbers(entry["version"]), entry["index"], PLATFORMS.index(entry["platform"])))
    release = asked.table["releases"].setdefault(asked.version, {"complete": False, "flavors": {}})
    if name != _OLD_ABI_INDEX:
        named = release["flavors"].setdefault(platform, [])
        named[:] = sorted({*named, name})
    asked.table["releases"] = dict(sorted(asked.table["releases"].items(), key=lambda item: _numbers(item[0])))
    _log.info("pinned: %s", listed.filename)


def _pin_closure(asked: Update, name: str, platform: Platform, torch: Listed) -> None:
    """Add the pins of the wheels that a torch wheel names, and that it names them."""
    key = {"torch": torch.filename, "flavor": name}
    if any(key.items() <= entry.items() for entry in asked.table["closures"]):
        return
    needs: dict[str, str] = {}
    todo = _named_by(asked, torch, platform)
    while todo:
        requirement = todo.pop(0)
        if requirement.name in needs:
            continue
        listed = _published(asked, name, requirement, platform)
        needs[requirement.name] = listed.filename
        todo += _named_by(asked, listed, platform)
        if not any(entry["filename"] == listed.filename for entry in asked.table["pypi-wheels"]):
            entry = {
                "project": requirement.name,
                "version": listed.version.public,
                "filename": listed.filename,
                "sha256": _digest(listed),
            }
            asked.table["pypi-wheels"] = pinning.with_pin(asked.table, entry)["pypi-wheels"]
            _log.info("pinned: %s", listed.filename)
    asked.table["closures"].append({**key, "needs": sorted(needs.values())})


def _named_by(asked: Update, listed: Listed, platform: Platform) -> list[Requirement]:
    """Return the wheels of NVIDIA that a wheel names: torch's those of CUDA, cuSOLVER's that of nvJitLink."""
    wheel = Wheel(Archive(RemoteFile(asked.net, listed.url, listed.size)))
    return list(_of_nvidia(wheel.requirements(), platform))


def _of_nvidia(requirements: list[Requirement], platform: Platform) -> Iterator[Requirement]:
    for requirement in requirements:
        marker = requirement.marker
        if requirement.name.startswith("nvidia-") and (
            marker is None or marker.evaluate({**providers.environment(platform), "extra": ""})
        ):
            yield requirement


def _published(asked: Update, name: str, requirement: Requirement, platform: Platform) -> Listed:
    """Return a wheel as PyPI lists it; PyTorch's own index, where it has the same file, must state the same digest."""
    listed = asked.pypi.find(requirement.name, index.matching(requirement.specifier), platform)
    try:
        own = asked.official(name).wheels(requirement.name)
    except (AbsentError, UnreachableError) as error:
        _log.debug("%s", error)
        return listed
    for other in own:
        if other.filename == listed.filename and other.sha256 not in (None, listed.sha256):
            raise IntegrityError(
                f"{listed.filename} has the sha256 {listed.sha256} on {asked.pypi} and {other.sha256} on "
                f"{shown(other.url)}. Not pinned, and nothing was written. Ask which of the two was changed."
            )
    return listed


def _digest(listed: Listed) -> str:
    if listed.sha256 is None:
        raise IntegrityError(
            f"{shown(listed.url)} is published without a sha256, so it cannot be pinned. Nothing was written."
        )
    return listed.sha256


def _numbers(version: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in version.split(".")]
