"""Which targets are refused before any network, and the catalogue behind it."""

from __future__ import annotations

import pytest

from libtorch_ffi.errors import TargetError
from libtorch_ffi.provision import catalogue
from libtorch_ffi.provision.existence import check_exists
from libtorch_ffi.provision.settings import DEFAULT_VERSION
from libtorch_ffi.provision.targets import PLATFORMS, Platform, Target

REFUSED: list[tuple[str, str, Platform, str]] = [
    ("2.5.0", "cu117", "linux-x86_64", "2.0.1 with cu117"),
    ("2.5.0", "cu117", "linux-x86_64", "2.5.0 with cpu, cu118, cu121, cu124"),
    ("2.4.0", "cpu", "macos-x86_64", "2.2.2 with cpu"),
    ("2.5.0", "cu124", "macos-arm64", "macOS has the flavor cpu only"),
    ("2.0.0", "cu124", "linux-x86_64", "began with 2.4.0"),
    ("2.99.0", "cu118", "linux-x86_64", "ended with 2.7.1"),
    ("2.14.0", "cpu", "macos-x86_64", "ended with 2.2.2"),
]


@pytest.mark.parametrize(("version", "flavor", "platform", "part"), REFUSED)
def test_what_is_known_not_to_exist_is_refused_with_the_nearest(
    version: str, flavor: str, platform: Platform, part: str
) -> None:
    with pytest.raises(TargetError) as caught:
        check_exists(Target(version, flavor, platform))
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "flavor"),
    [
        ("2.5.0", "rocm6.2"),
        ("2.5.0", "xpu"),
        ("2.99.0", "cpu"),
        ("2.99.0", "cu999"),
        ("2.14.1", "cu130"),
        ("1.13.1", "cu118"),
    ],
)
def test_what_is_not_known_is_tried(version: str, flavor: str) -> None:
    check_exists(Target(version, flavor, "linux-x86_64"))


def test_every_listed_target_exists() -> None:
    for version, release in catalogue.releases().items():
        for platform in PLATFORMS:
            for flavor in release.flavors_of(platform):
                check_exists(Target(version, flavor, platform))


def test_the_default_is_the_catalogues() -> None:
    assert catalogue.default_version() == DEFAULT_VERSION
    assert catalogue.releases()[DEFAULT_VERSION].complete


@pytest.mark.parametrize("platform", PLATFORMS[:3])
def test_the_default_release_is_pinned_on_every_platform(platform: Platform) -> None:
    pin = catalogue.official_wheel(Target(DEFAULT_VERSION, "cpu", platform), "cpu")
    assert pin is not None
    assert pin.url is not None
    assert len(pin.sha256) == 64


@pytest.mark.parametrize(
    "filename",
    [
        "torch-2.5.0-cp311-cp311-manylinux1_x86_64.whl",
        "torch-2.5.0-cp311-cp311-manylinux2014_aarch64.whl",
        "torch-2.5.0-cp311-none-macosx_11_0_arm64.whl",
    ],
)
def test_the_default_releases_wheels_on_pypi_have_pinned_records(filename: str) -> None:
    pin = catalogue.pypi_wheel(filename)
    assert pin is not None
    assert pin.record_sha256 is not None
    assert len(pin.record_sha256) == 64


def test_no_address_of_a_registry_stands_in_the_catalogue() -> None:
    table = catalogue.FILE.read_text(encoding="utf-8")
    addresses = {line.split('"url": "')[1].split("/")[2] for line in table.splitlines() if '"url"' in line}
    assert addresses == {"download.pytorch.org"}


def test_zips_of_the_default_abi_come_first() -> None:
    urls = [pin.url for pin in catalogue.zips(Target("2.0.1", "cpu", "linux-x86_64"))]
    assert ["cxx11-abi" in url for url in urls] == [True, False]
