"""Where a libtorch is downloaded from: PyTorch's own index, PyPI, and PyTorch's zips.

Owns the order of the sources and what each of them needs to be asked. Every source writes the tree to a stage and
returns what it received; one that cannot be reached, or has not the target, says so by an exception and the next is
asked. Never puts a tree in place.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.errors import IntegrityError, NotFoundError
from libtorch_ffi.provision import catalogue, closure, index, lanes
from libtorch_ffi.provision.archive import Archive, LocalFile
from libtorch_ffi.provision.describe import describe
from libtorch_ffi.provision.kept import sha256_of
from libtorch_ffi.provision.nar import nar_sha256
from libtorch_ffi.provision.providers import Providers
from libtorch_ffi.provision.remote import AbsentError, NoRangesError, shown
from libtorch_ffi.provision.remote_file import RemoteFile
from libtorch_ffi.provision.settings import ARCHIVE, is_address
from libtorch_ffi.provision.targets import release_numbers
from libtorch_ffi.provision.trees import agrees
from libtorch_ffi.provision.wheel import PYTHON_ONLY, Wheel, is_library
from libtorch_ffi.provision.whole_file import download

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from libtorch_ffi.provision.archive import Member
    from libtorch_ffi.provision.index import Index, Listed
    from libtorch_ffi.provision.remote import Net
    from libtorch_ffi.provision.settings import Settings, Source
    from libtorch_ffi.provision.stage import Stage
    from libtorch_ffi.provision.targets import Target

_log = logging.getLogger(__name__)

DOWNLOADS: tuple[Source, ...] = ("official-wheel", "pypi", "official-zip")
"""The sources that are servers, most verifiable first."""

_OLD_ABI_UNTIL = (2, 7)
_PLAIN_ZIP_NAMES_FROM = (2, 8)
_MACOS_MACHINES_FROM = (2, 2)
_ZIP_TREES = ("include/", "share/cmake/", "share/licenses/", "build-version")


@dataclass(frozen=True)
class Order:
    """What is to be fetched, and the means.

    Parameters
    ----------
    target
        The libtorch.
    settings
        Where from.
    net
        The session.
    stage
        Where to.
    known
        The digest of each file, by its path, where this is the repair of a tree whose list of files is whole.
    """

    target: Target
    settings: Settings
    net: Net
    stage: Stage
    known: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Received:
    """An archive that was used, for `.ok`.

    Parameters
    ----------
    url
        Its address.
    sha256
        The digest that was published for it, where one was.
    checked
        How its bytes were checked: ``sha256`` of the whole, ``nar`` (the hash of the unpacked tree), ``record-pin``
        (each member against a RECORD that is pinned), ``record`` (each member against the RECORD that came with it), or
        ``listing`` (each member, in a repair, against the list of the tree's files).
    """

    url: str
    sha256: str | None
    checked: str

    def stated(self) -> dict[str, Any]:
        """Return it as `.ok` states it."""
        return {"url": self.url, "sha256": self.sha256, "checked": self.checked}


def in_order(settings: Settings) -> list[tuple[str, Callable[[Order], list[Received]]]]:
    """Return the sources to ask, most verifiable first; the one that is forced, where one is."""
    if settings.archive is not None:
        return [(ARCHIVE, given_archive)]
    every: list[tuple[str, Callable[[Order], list[Received]]]] = [
        ("official-wheel", official_wheel),
        ("pypi", pypi),
        ("official-zip", official_zip),
    ]
    return [each for each in every if settings.source in (None, each[0])]


def official_indexes(target: Target) -> tuple[str, ...]:
    """Return the folders of PyTorch's own index that may have a target; the compiler's default C++ ABI comes first."""
    old_abi = release_numbers(target.version) < _OLD_ABI_UNTIL
    if target.flavor == "cpu" and target.platform == "linux-x86_64" and old_abi:
        return ("cpu-cxx11-abi", "cpu")
    return (target.flavor,)


def official_wheel(order: Order) -> list[Received]:
    """Fetch from the torch wheel on PyTorch's own index."""
    absent: AbsentError | None = None
    for name in official_indexes(order.target):
        own = index.Index(order.net, f"{index.official_base(order.settings)}/whl/{name}")
        try:
            torch = _Torch.pinned(order, name) or _Torch.listed(order, own)
            return torch.fetch(order, (own, _pypi_index(order)))
        except AbsentError as error:
            absent = error
    assert absent is not None  # noqa: S101 (there is always an index to ask)
    raise absent


def pypi(order: Order) -> list[Received]:
    """Fetch from the torch wheel on PyPI, or on the index that pip is configured for."""
    own = _pypi_index(order)
    return _Torch.listed(order, own).fetch(order, (own,))


@dataclass(frozen=True)
class _Torch:
    """The torch wheel to take: its address, and what is known of it."""

    url: str
    size: int | None
    sha256: str | None
    record_sha256: str | None

    @classmethod
    def pinned(cls, order: Order, name: str) -> _Torch | None:
        pin = catalogue.official_wheel(order.target, name)
        if pin is None or pin.url is None:
            return None
        url = pin.url.replace(index.OFFICIAL_BASE, index.official_base(order.settings), 1)
        return cls(url, None, pin.sha256, pin.record_sha256)

    @classmethod
    def listed(cls, order: Order, own: Index) -> _Torch:
        target = order.target
        found = own.find("torch", index.of_release(target.version), target.platform)
        sha256, record_sha256 = _digests(found)
        return cls(found.url, found.size, sha256, record_sha256)

    def fetch(self, order: Order, indexes: tuple[Index, ...]) -> list[Received]:
        """Write the tree from this wheel and those that it names."""
        _check_asked(order.settings.sha256, self.sha256, self.url)
        received: list[Received] = []
        _take(order, _open(order, self, received), indexes, received)
        return received


def _take(order: Order, wheel: Wheel, indexes: tuple[Index, ...], received: list[Received]) -> None:
    """Write the tree from a torch wheel and those that it names."""
    built_for, target = wheel.flavor(), order.target
    if built_for != target.flavor and (target.flavor != "cpu" or target.platform.startswith("macos")):
        raise AbsentError(
            f"the torch wheel {wheel.archive.ranges.name} is built for {built_for}, not for {target.flavor}"
        )

    def open_listed(listed: Listed) -> Wheel:
        sha256, record_sha256 = _digests(listed)
        return _open(order, _Torch(listed.url, listed.size, sha256, record_sha256), received)

    providers = Providers(wheel.requirements(), indexes, target.platform, open_listed)
    take = closure.take_whole if built_for == target.flavor else closure.take_cpu
    take(order.stage, wheel, target, providers, order.net)


def given_archive(order: Order) -> list[Received]:
    """Take the one archive that LIBTORCH_SOURCE names, a libtorch zip or a torch wheel: a file, or on a server."""
    where, asked = str(order.settings.archive), order.settings.sha256
    is_wheel = where.partition("#")[0].endswith(".whl")
    received: list[Received] = []
    if is_wheel and is_address(where) and asked is None:
        _take(order, _open(order, _Torch(where, None, None, None), received), (_pypi_index(order),), received)
        return received
    if not is_wheel and is_address(where) and _mended(order, where):
        return [Received(shown(where), asked, "listing")]
    archive = Archive(LocalFile(_as_file(order, where, is_wheel=is_wheel), shown(where)))
    received.append(Received(shown(where), asked, "sha256" if asked else "record" if is_wheel else "crc"))
    if is_wheel:
        _take(order, Wheel(archive), (_pypi_index(order),), received)
    else:
        _unpack(order, archive)
        _check_flavor(order, where)
    return received


def _as_file(order: Order, where: str, *, is_wheel: bool) -> Path:
    """Return the archive as a file whose digest is the one that was asked for, where one was."""
    asked = order.settings.sha256
    if not is_address(where):
        path = Path(where)
        if not path.is_file():
            raise NotFoundError(
                f"LIBTORCH_SOURCE names {where}, which is no file. Nothing was installed. Correct it, or unset it."
            )
        if asked is not None:
            _check_digest(order, where, sha256_of(path), asked)
        return path
    if asked is None and not is_wheel:
        raise IntegrityError(
            f"LIBTORCH_SOURCE names {shown(where)}, and a zip from a server is not taken unchecked. Nothing was "
            "downloaded. Set LIBTORCH_SHA256 to the sha256 that it must have."
        )
    path = order.stage.scratch(where.rpartition("/")[2])
    _download_checked(order, where, path, asked)
    return path


def _check_flavor(order: Order, where: str) -> None:
    """Refuse a zip that says, or shows by its libraries, that it is of another flavor than the one asked for."""
    tree, asked = order.stage.path, order.target.flavor
    found = describe(tree / "include", tree / "lib", prefix=tree, origin=ARCHIVE).flavor
    if not agrees(asked, found):
        raise IntegrityError(
            f"{shown(where)} is a libtorch for {found}, where {asked} was asked for. Nothing was kept. Set "
            f"LIBTORCH_CUDA_VERSION to {found}, or LIBTORCH_SOURCE to another archive."
        )


def official_zip(order: Order) -> list[Received]:
    """Fetch PyTorch's libtorch zip: the whole of it, and only where a digest of it or of its tree is known."""
    pin = _zip_to_take(order)
    if _mended(order, pin.url):
        return [Received(shown(pin.url), pin.sha256 or pin.nar_sha256, "listing")]
    path = order.stage.scratch(pin.url.rpartition("/")[2])
    _download_checked(order, pin.url, path, pin.sha256)
    archive = Archive(LocalFile(path, shown(pin.url)))
    if pin.sha256 is None:
        _check_tree(archive, pin)
    _unpack(order, archive)
    return [Received(shown(pin.url), pin.sha256 or pin.nar_sha256, "sha256" if pin.sha256 else "nar")]


def _mended(order: Order, url: str) -> bool:
    """Fetch of a zip on a server what a damaged tree lacks, by ranges; False where only the whole zip can be had.

    Each file is checked against the digest that was written down when the whole zip had been checked.
    """
    if not order.known:
        return False
    try:
        archive = Archive(RemoteFile(order.net, url, None, order.stage.parts))
    except NoRangesError:
        return False
    members = {path: member for path, member in _members(archive).items() if path in order.known}
    if members.keys() != order.known.keys():
        return False
    digests = {member.name: order.known[path] for path, member in members.items()}
    missing = {
        path: member
        for path, member in members.items()
        if not order.stage.reuse(path, member.size, digests[member.name], executable=member.executable)
    }
    with order.net.told(archive.ranges.name.rpartition("/")[2], lanes.transfer_size(archive, missing)):
        lanes.write(order.stage, archive, missing, lambda member: digests[member.name])
    closure.check(order.stage, order.target)
    return True


def _unpack(order: Order, archive: Archive) -> None:
    """Write the tree from a libtorch zip."""
    lanes.write(order.stage, archive, _members(archive), lambda _: None)
    closure.check(order.stage, order.target)


def _members(archive: Archive) -> dict[str, Member]:
    """Return the members of a libtorch zip that are wanted, by their path in the tree."""
    every = ((name.partition("/")[2], member) for name, member in archive.members.items())
    return {inside: member for inside, member in every if _is_of_libtorch(inside)}


def _zip_to_take(order: Order) -> catalogue.ZipPin:
    """Return the zip and the digest that it must have: of the file where it is known, or else of its tree."""
    base = index.official_base(order.settings)
    asked = order.settings.sha256
    pins = sorted(catalogue.zips(order.target), key=lambda pin: pin.sha256 is None)
    for pin in pins:
        if asked is not None and pin.sha256 is not None:
            _check_asked(asked, pin.sha256, pin.url)
        return replace(pin, url=pin.url.replace(index.OFFICIAL_BASE, base, 1), sha256=asked or pin.sha256)
    url = f"{base}/libtorch/{order.target.flavor}/{_zip_name(order.target)}"
    if asked is None:
        raise AbsentError(
            f"no digest of {shown(url)} is known, and a zip is not taken unchecked; give its sha256 with "
            "LIBTORCH_SHA256"
        )
    return catalogue.ZipPin(url, asked, None)


def _check_tree(archive: Archive, pin: catalogue.ZipPin) -> None:
    """Check what a zip unpacks to against the hash that nixpkgs states for it."""
    found = nar_sha256(archive)
    if found != pin.nar_sha256:
        raise IntegrityError(
            f"{shown(pin.url)} unpacks to a tree whose NAR has the sha256 {found}, where {pin.nar_sha256} is pinned: "
            "this is not the zip that was published. Nothing was kept. Set LIBTORCH_SOURCE to another source."
        )


def _zip_name(target: Target) -> str:
    """Return the name that PyTorch gives to a zip; it changed with 2.2 on macOS and with 2.8 on Linux."""
    version, flavor = target.version, target.flavor
    system, _, machine = target.platform.partition("-")
    if system == "macos" and release_numbers(version) >= _MACOS_MACHINES_FROM:
        return f"libtorch-macos-{machine}-{version}.zip"
    if machine != "x86_64":
        raise AbsentError(f"PyTorch has no libtorch zip of {version} for {target.platform}")
    if system == "macos":
        return f"libtorch-macos-{version}.zip"
    abi = "" if release_numbers(version) >= _PLAIN_ZIP_NAMES_FROM else "cxx11-abi-"
    return f"libtorch-{abi}shared-with-deps-{version}%2B{flavor}.zip"


def _is_of_libtorch(inside: str) -> bool:
    folder, _, file = inside.rpartition("/")
    return inside.startswith(_ZIP_TREES) or (folder == "lib" and is_library(file) and not file.startswith(PYTHON_ONLY))


def _download_checked(order: Order, url: str, path: Path, sha256: str | None) -> None:
    order.stage.parts.used |= path.exists()
    with order.net.told(path.name, None):
        digest = download(order.net, url, path, order.stage.expect)
    _check_digest(order, shown(url), digest, sha256)


def _check_digest(order: Order, name: str, digest: str, sha256: str | None) -> None:
    if sha256 in (None, digest):
        return
    if sha256 == order.settings.sha256:
        raise IntegrityError(
            f"{name} has the sha256 {digest}, where {sha256} is asked for, by LIBTORCH_SHA256 or by the manifest of a "
            "bundle: this is another archive, or a damaged one. Nothing was kept. Correct LIBTORCH_SHA256, or get the "
            "archive again."
        )
    raise IntegrityError(
        f"{name} has the sha256 {digest}, where {sha256} was published: the bytes were changed or damaged on their "
        "way. Nothing was kept. Run the command again; if it fails alike, set LIBTORCH_SOURCE to another source."
    )


def _pypi_index(order: Order) -> Index:
    return index.Index(order.net, index.pypi_base(order.settings))


def _digests(listed: Listed) -> tuple[str | None, str | None]:
    """Return a listed wheel's digests; an index must not state another than the pinned one."""
    pin = catalogue.pypi_wheel(listed.filename)
    if pin is None:
        return listed.sha256, None
    if listed.sha256 not in (None, pin.sha256):
        raise IntegrityError(
            f"{shown(listed.url)} has the sha256 {listed.sha256} on its index, where {pin.sha256} is pinned: this is "
            "not the wheel that was published. Nothing was downloaded. Look at LIBTORCH_INDEX_URL and at pip's "
            "configured index."
        )
    return pin.sha256, pin.record_sha256


def _check_asked(asked: str | None, published: str | None, url: str) -> None:
    if asked is not None and asked != published:
        raise IntegrityError(
            f"{shown(url)} is published with the sha256 {published}, where LIBTORCH_SHA256 asks for {asked}. Nothing "
            "was downloaded. Correct LIBTORCH_SHA256, or unset it."
        )


def _open(order: Order, torch: _Torch, received: list[Received]) -> Wheel:
    """Open a wheel for reading members, or, where the server has no ranges, download and check it whole."""
    name = torch.url.partition("#")[0].rpartition("/")[2]
    try:
        archive = Archive(RemoteFile(order.net, torch.url, torch.size, order.stage.parts, torch.sha256))
    except NoRangesError:
        _log.warning("%s: the server has no ranges, so all of it is downloaded", shown(torch.url))
        path = order.stage.scratch(name)
        _download_checked(order, torch.url, path, torch.sha256)
        archive = Archive(LocalFile(path, shown(torch.url)))
        checked = "sha256" if torch.sha256 else "record"
    else:
        checked = "record-pin" if torch.record_sha256 else "record"
    wheel = Wheel(archive, torch.record_sha256)
    received.append(Received(shown(torch.url), torch.sha256, checked))
    return wheel
