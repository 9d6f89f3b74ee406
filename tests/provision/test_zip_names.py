"""The names of PyTorch's libtorch zips: those that the catalogue has seen, and those that follow from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import archives
import pytest

from libtorch_ffi.provision import catalogue, ensure
from libtorch_ffi.provision.remote import AbsentError
from libtorch_ffi.provision.sources import _zip_name
from libtorch_ffi.provision.targets import Target, release_numbers

if TYPE_CHECKING:
    from world import World

    from libtorch_ffi.provision.targets import Platform

PUBLISHED = json.loads(Path(catalogue.__file__).with_name("catalogue.json").read_text())["official-zips"]


def test_every_published_name_is_the_one_that_is_made() -> None:
    differing = []
    for entry in PUBLISHED:
        target = Target(entry["version"], entry["flavor"], entry["platform"])
        folder, name = entry["url"].rsplit("/", 2)[1:]
        old_abi = "/libtorch-shared" in entry["url"] and release_numbers(target.version) < (2, 8)
        if (folder, name) != (target.flavor, _zip_name(target)) and not old_abi:
            differing.append(entry["url"])
    assert differing == []
    assert len(PUBLISHED) > 60


@pytest.mark.parametrize(
    ("version", "flavor", "platform", "name"),
    [
        ("2.5.0", "rocm6.2", "linux-x86_64", "libtorch-cxx11-abi-shared-with-deps-2.5.0%2Brocm6.2.zip"),
        ("2.9.0", "rocm6.4", "linux-x86_64", "libtorch-shared-with-deps-2.9.0%2Brocm6.4.zip"),
        ("2.0.1", "cpu", "macos-x86_64", "libtorch-macos-2.0.1.zip"),
        ("2.2.0", "cpu", "macos-arm64", "libtorch-macos-arm64-2.2.0.zip"),
    ],
)
def test_a_name_that_the_catalogue_does_not_know(version: str, flavor: str, platform: Platform, name: str) -> None:
    assert _zip_name(Target(version, flavor, platform)) == name


@pytest.mark.parametrize(("version", "platform"), [("2.5.0", "linux-aarch64"), ("2.0.1", "macos-arm64")])
def test_where_there_is_no_zip_the_source_is_absent(version: str, platform: Platform) -> None:
    with pytest.raises(AbsentError, match=f"no libtorch zip of {version} for {platform}"):
        _zip_name(Target(version, "cpu", platform))


def test_a_rocm_zip_is_taken_with_its_digest(world: World) -> None:
    data = archives.libtorch_zip(flavor="rocm6.2")
    world.site.put("/libtorch/rocm6.2/libtorch-shared-with-deps-9.9.9+rocm6.2.zip", data)
    found = ensure(world.with_(flavor="rocm6.2", source="official-zip", sha256=archives.sha256(data)))
    assert (found.flavor, found.origin) == ("rocm6.2", "official-zip")
