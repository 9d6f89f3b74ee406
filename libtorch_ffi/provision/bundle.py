"""A libtorch to carry: one archive and a manifest, written where there is a network and installed where there is none.

Owns the two files. The archive is a zip of an installed tree that verifies, in the layout of PyTorch's own libtorch
zips; the manifest states the target and the archive's sha256. Never opens a socket: `ensure` makes the tree before, and
takes the archive after.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.errors import IntegrityError, NotFoundError, SettingError
from libtorch_ffi.provision import mark
from libtorch_ffi.provision.kept import sha256_of
from libtorch_ffi.provision.settings import check_platform
from libtorch_ffi.provision.store import explained
from libtorch_ffi.provision.targets import Target
from libtorch_ffi.provision.verification import verify

if TYPE_CHECKING:
    from libtorch_ffi.provision.settings import Settings

MANIFEST = "manifest.json"

_STATED = ("version", "flavor", "platform", "archive", "sha256")


@dataclass(frozen=True)
class Bundle:
    """What a manifest states.

    Parameters
    ----------
    version, flavor, platform
        The libtorch.
    archive
        The archive's file.
    sha256
        Its digest.
    """

    version: str
    flavor: str
    platform: str
    archive: Path
    sha256: str


def write(home: Path, target: Target, folder: Path) -> Bundle:
    """Pack an installed tree into a folder.

    Raises
    ------
    NotFoundError, IntegrityError
        Where the tree is not there, or is not what was installed.
    StoreError
        Where the folder cannot be written to.
    """
    report = verify(home, target, full=True)
    if not report.sound:
        raise IntegrityError(
            f"{report.path} is not as it was installed ({report.damage[0].name} {report.damage[0].problem}), so it is "
            "not packed. Nothing was written. Run `libtorch-ffi verify --repair` first."
        )
    archive = folder / f"libtorch-{target.version}-{target.platform}-{target.flavor}.zip"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _pack(report.path, archive)
        bundle = Bundle(target.version, target.flavor, target.platform, archive, sha256_of(archive))
        stated = {**vars(bundle), "archive": archive.name, "receipt": mark.read(home, target).receipt}
        (folder / MANIFEST).write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")
    return bundle


def read(folder: Path) -> Bundle:
    """Return what the manifest of a folder states.

    Raises
    ------
    NotFoundError
        Where there is none, or it is not one of ours.
    """
    path = folder / MANIFEST
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        version, flavor, platform, file, sha256 = (str(stated[name]) for name in _STATED)
        Target(version, flavor, check_platform(platform)).folder(folder)  # an error where it is none
    except (OSError, ValueError, LookupError, TypeError, SettingError) as error:
        raise NotFoundError(
            f"{path} is no manifest of a bundle: {error}. Nothing was installed. Name the folder that `libtorch-ffi "
            "download` wrote."
        ) from error
    return Bundle(version, flavor, platform, folder / Path(file).name, sha256)


def settings_from(settings: Settings, folder: Path) -> Settings:
    """Return the settings that install a bundle: its target, its archive and its digest."""
    bundle = read(folder)
    return replace(
        settings,
        version=bundle.version,
        flavor=bundle.flavor,
        platform=check_platform(bundle.platform),
        source=None,
        archive=str(bundle.archive.absolute()),
        sha256=bundle.sha256,
    )


def _pack(tree: Path, archive: Path) -> None:
    """Write the files of a tree to a zip that is put in its place when it is whole."""
    unfinished = archive.with_name(f".{archive.name}")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, _, _ in mark.listed(tree / mark.FILES_NAME):
            packed.write(tree / name, f"libtorch/{name}")
    unfinished.replace(archive)
