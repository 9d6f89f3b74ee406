"""Indexes in JSON and HTML, the choice of a wheel, and where pip's configuration says that the index is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import archives
import pytest
from world import TAG

from libtorch_ffi.provision import Settings, pages
from libtorch_ffi.provision.index import Index, of_release, pip_configured, pypi_base
from libtorch_ffi.provision.remote import AbsentError, Net, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Mode
    from world import World

    from libtorch_ffi.provision.targets import Platform

NAMES = (
    "torch-2.5.0-cp39-cp39-manylinux1_x86_64.whl",
    "torch-2.5.0-cp311-cp311-manylinux1_x86_64.whl",
    "torch-2.5.0-cp313-cp313t-manylinux1_x86_64.whl",
    "torch-2.5.0-cp311-cp311-win_amd64.whl",
    "torch-2.5.0-cp311-none-macosx_11_0_arm64.whl",
    "torch-2.5.1-cp311-cp311-manylinux1_x86_64.whl",
    "torch-2.6.0-cp310-cp310-linux_aarch64.whl",
    "torch-2.6.0-cp312-cp312-manylinux_2_28_aarch64.whl",
    "torch-2.6.0-cp313-cp313t-manylinux_2_28_aarch64.whl",
    "torch-2.5.0.tar.gz",
)


@pytest.fixture
def net() -> Iterator[Net]:
    with Net() as net:
        yield net


@pytest.mark.parametrize("kind", ["json", "html"])
@pytest.mark.parametrize(
    ("release", "platform", "expected"),
    [("2.5.0", "linux-x86_64", NAMES[1]), ("2.5.0", "macos-arm64", NAMES[4]), ("2.6.0", "linux-aarch64", NAMES[7])],
)
def test_the_wheel_that_is_chosen(
    kind: str, release: str, platform: Platform, expected: str, world: World, net: Net
) -> None:
    files = {name: name.encode() for name in NAMES}
    if kind == "json":
        world.list_on_pypi("torch", files)
        index = Index(net, f"{world.server.url}/simple")
    else:
        world.list_officially("cpu", files)
        index = Index(net, f"{world.server.url}/whl/cpu/")
    found = index.find("torch", of_release(release), platform)
    assert found.filename == expected
    assert found.sha256 == archives.sha256(expected.encode())
    assert found.size == (len(expected) if kind == "json" else None)
    assert world.site.files[found.url.removeprefix(world.server.url)][1] == expected.encode()


def test_the_local_part_of_a_version_is_no_other_release(world: World, net: Net) -> None:
    name = f"torch-{archives.VERSION}+cpu.cxx11.abi-{TAG}.whl"
    world.list_officially("cpu-cxx11-abi", {name: b""})
    found = Index(net, f"{world.server.url}/whl/cpu-cxx11-abi").find("torch", of_release("9.9.9"), "linux-x86_64")
    assert found.filename == name
    assert "%2B" in found.url


def test_a_version_for_other_platforms_only_is_absent(world: World, net: Net) -> None:
    world.list_on_pypi("torch", {NAMES[0]: b""})
    with pytest.raises(AbsentError, match="for other platforms"):
        Index(net, f"{world.server.url}/simple").find("torch", of_release("2.5.0"), "macos-x86_64")


@pytest.mark.parametrize(
    ("mode", "error"), [("403", UnreachableError), ("404", AbsentError), ("503", UnreachableError)]
)
def test_a_page_that_does_not_come(mode: Mode, error: type[Exception], world: World, net: Net) -> None:
    world.list_on_pypi("torch", {})
    world.site.misbehave("/simple/torch/", mode)
    with pytest.raises(error, match=mode):
        Index(net, f"{world.server.url}/simple").wheels("torch")


def test_a_page_of_another_kind_is_no_index(world: World, net: Net) -> None:
    world.site.put("/simple/torch/", b"%PDF", "application/pdf")
    with pytest.raises(UnreachableError, match="no index page"):
        Index(net, f"{world.server.url}/simple").wheels("torch")


def _listing(**changes: object) -> bytes:
    file = {"filename": "torch-1.whl", "url": "https://x/torch-1.whl", "hashes": {}, **changes}
    return json.dumps({"meta": {"api-version": "1.0"}, "files": [file]}).encode()


@pytest.mark.parametrize("size", ["5", -1, None, 0])
def test_a_size_that_is_none_is_asked_for(size: object, world: World, net: Net) -> None:
    page = _listing(filename=NAMES[0], size=size)
    world.site.put("/simple/torch/", page, "application/vnd.pypi.simple.v1+json")
    assert [each.size for each in Index(net, f"{world.server.url}/simple").wheels("torch")] == [None]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (b"[]", "not that of PEP 691"),
        (b"{", "Expecting"),
        (b'{"meta": {"api-version": "2.0"}, "files": []}', "of version 2.0"),
        (b'{"meta": {"api-version": "1.0"}, "files": [{"filename": "torch-1.whl"}]}', "'url'"),
        (_listing(hashes={"sha256": 1}), "a digest is 1"),
        (_listing(url=1), "PEP 691"),
        (b"\xff", "utf-8"),
    ],
)
def test_a_page_whose_json_is_another_is_no_index(page: bytes, words: str, world: World, net: Net) -> None:
    world.site.put("/simple/torch/", page, "application/vnd.pypi.simple.v1+json; charset=utf-8")
    with pytest.raises(UnreachableError, match=f"no index page: .*{words}"):
        Index(net, f"{world.server.url}/simple").wheels("torch")


def test_a_page_in_json_says_what_pypi_simple_reads_in_it(world: World, net: Net) -> None:
    from pypi_simple import ProjectPage

    entry = {"hashes": {"sha256": "00" * 32}, "size": 5}
    files = [
        {**entry, "filename": NAMES[0], "url": "../../files/relative.whl", "yanked": "a reason"},
        {**entry, "filename": NAMES[1], "url": "https://elsewhere/absolute.whl", "yanked": False},
        {"filename": NAMES[2], "url": "//elsewhere/half.whl", "hashes": {}, "yanked": True},
    ]
    page = {"meta": {"api-version": "1.3"}, "name": "torch", "files": files, "versions": ["2.5.0"]}
    world.site.put("/simple/torch/", json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")
    answer = net.page(f"{world.server.url}/simple/torch/", pages.ACCEPT)
    theirs = ProjectPage.from_json_data(json.loads(answer.content), answer.url).packages
    assert pages.read(answer, "torch") == [
        pages.File(each.filename, each.url, each.digests.get("sha256"), each.size, each.is_yanked) for each in theirs
    ]


def test_the_index_is_ours_then_pips_then_pypis(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://configured/simple/\n")
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(config)}
    asked = {**environ, "PIP_INDEX_URL": "https://pip/simple"}
    assert pypi_base(Settings(index_url="https://ours/simple", environ=asked)) == "https://ours/simple"
    assert pypi_base(Settings(environ=asked)) == "https://pip/simple"
    assert pypi_base(Settings(environ=environ)) == "https://configured/simple"
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    assert pypi_base(Settings(environ={"PIP_CONFIG_FILE": "/dev/null"})) == PYPI_SIMPLE_ENDPOINT.rstrip("/")


def test_the_users_file_wins_over_no_other_and_broken_files_are_passed_over(tmp_path: Path) -> None:
    user = tmp_path / ".config/pip/pip.conf"
    user.parent.mkdir(parents=True)
    user.write_text("[global]\nindex-url = https://user/%(not)s\n[install]\nindex-url = https://install/simple\n")
    assert pip_configured({"HOME": str(tmp_path)}) == "https://install/simple"
    user.write_text("index-url = without a section\n")
    named = tmp_path / "named.conf"
    named.write_text("[global]\nindex-url = https://named/simple\n")
    assert pip_configured({"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(named)}) == "https://named/simple"
