"""What earlier runs left: used again where it verifies, fetched anew where it does not, shared by hard link."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING

import archives
import pytest
from world import assert_nothing_left, assert_verifies

from libtorch_ffi.errors import DownloadError, IntegrityError, StoreError
from libtorch_ffi.provision import Settings, ensure, install, kept, remove, repair, verify
from libtorch_ffi.provision.progress import Silent

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

ZIP = "/libtorch/cpu/libtorch-shared-with-deps-9.9.9+cpu.zip"
KILLED = """
import sys
from pathlib import Path
from libtorch_ffi.provision import Settings, ensure, kept
kept.PART_FROM = 1000
home, url = sys.argv[1:]
ensure(Settings(version="9.9.9", flavor="cpu", platform="linux-x86_64", home=Path(home), mirror=url,
                index_url=f"{url}/simple", source="pypi", environ={}))
"""
"""An install that writes down the short ranges of the tests too."""


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "PART_FROM", 1000)


def _leftovers(settings: Settings) -> list[Path]:
    return list(settings.target.folder(settings.home).parent.glob(".cpu.staging-*"))


def _kill_in_the_middle(world: World) -> None:
    """Start an install of the stalling wheel and kill it when some of it has arrived."""
    world.fail_at_library("stalled")
    command = [sys.executable, "-c", KILLED, str(world.settings.home), world.server.url]
    with subprocess.Popen(command) as child:
        for _ in range(6000):
            found = [part for left in _leftovers(world.settings) for part in left.rglob("*") if part.is_file()]
            parts = [part.stat().st_size for part in found if part.parent.name == ".download"]
            if parts and max(parts) > 200_000 and any(part.suffix == ".h" for part in found):
                break
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    world.site.modes.clear()
    assert _leftovers(world.settings)


def _sent_by_an_install(world: World) -> int:
    before = world.site.sent
    tree = ensure(world.settings).prefix
    assert_verifies(tree)
    assert [path.name for path in tree.parent.iterdir()] == ["cpu"]
    return world.site.sent - before


def test_what_a_killed_run_had_is_not_asked_for_again(cuda_world: World) -> None:
    whole = _sent_by_an_install(cuda_world)
    remove(cuda_world.settings.home, cuda_world.settings.target)
    _kill_in_the_middle(cuda_world)
    assert _sent_by_an_install(cuda_world) < whole - 200_000


def test_a_part_that_was_damaged_is_thrown_away(cuda_world: World) -> None:
    _kill_in_the_middle(cuda_world)
    for part in _leftovers(cuda_world.settings)[0].glob(".download/*"):
        data = part.read_bytes()
        part.write_bytes(data[:-1000] + bytes(1000))
    assert_verifies(ensure(cuda_world.settings).prefix)


def test_a_file_of_a_killed_run_is_hashed_before_it_is_used(cuda_world: World) -> None:
    _kill_in_the_middle(cuda_world)
    changed = 0
    for path in _leftovers(cuda_world.settings)[0].rglob("*.h"):
        path.write_bytes(b"!" * path.stat().st_size)
        changed += 1
    assert changed
    assert_verifies(ensure(cuda_world.settings).prefix)


def test_a_link_in_a_killed_runs_folder_is_not_followed(cuda_world: World, tmp_path: Path) -> None:
    _kill_in_the_middle(cuda_world)
    path = next(_leftovers(cuda_world.settings)[0].rglob("*.h"))
    shutil.copy(path, tmp_path / "elsewhere")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    tree = ensure(cuda_world.settings).prefix
    assert not [path for path in tree.rglob("*") if path.is_symlink()]


def test_a_server_that_goes_away_in_the_middle_leaves_what_had_come(cuda_world: World) -> None:
    whole = _sent_by_an_install(cuda_world)
    remove(cuda_world.settings.home, cuda_world.settings.target)
    cuda_world.fail_at_library("truncated", then="503")
    with pytest.raises(DownloadError, match="the next run goes on from there"):
        ensure(cuda_world.settings)
    cuda_world.site.modes.clear()
    assert _sent_by_an_install(cuda_world) < whole - 200_000


def _zip_settings(world: World, data: bytes) -> Settings:
    world.site.put(ZIP, data)
    return world.with_(source="official-zip", sha256=archives.sha256(data))


@pytest.mark.parametrize("harm", [None, b"\0" * 100])
def test_a_zip_goes_on_where_it_stopped_and_begins_again_where_that_was_wrong(harm: bytes | None, world: World) -> None:
    data = archives.libtorch_zip()
    settings = _zip_settings(world, data)
    world.site.modes[ZIP] = ["truncated", *["503"] * 9]  # type: ignore[list-item]
    with pytest.raises(DownloadError, match="the next run goes on from there"):
        ensure(settings)
    world.site.modes.clear()
    (part,) = [part for left in _leftovers(settings) for part in left.glob(".download/*")]
    if harm:
        part.write_bytes(harm + part.read_bytes()[len(harm) :])
    world.site.requests.clear()
    assert_verifies(ensure(settings).prefix)
    asked = [request.range for request in world.site.asked_for(ZIP)]
    assert f"bytes={part_size(data)}-" in asked
    assert (None in asked) is bool(harm)
    assert _leftovers(settings) == []


def test_where_nothing_arrived_nothing_is_said_to_be_kept(world: World) -> None:
    nobody = "http://127.0.0.1:9"
    with pytest.raises(DownloadError, match=r"official-zip: .* the connection was refused") as caught:
        ensure(world.with_(mirror=nobody, index_url=f"{nobody}/simple", sha256="0" * 64))
    assert "goes on from there" not in str(caught.value)
    assert_nothing_left(world.settings.home)


def part_size(data: bytes) -> int:
    return len(data) // 2


def test_a_whole_zip_of_a_killed_run_is_not_downloaded_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _zip_settings(world, archives.libtorch_zip())

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "_receipt", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure(settings)
    monkeypatch.undo()
    world.site.requests.clear()
    assert_verifies(ensure(settings).prefix)
    assert [request.range for request in world.site.asked_for(ZIP)] == ["bytes=0-0"]


def test_flavors_share_large_files_and_edits_stay_apart(cuda_world: World) -> None:
    whole = ensure(cuda_world.with_(flavor="cu991")).prefix
    cut = ensure(cuda_world.settings).prefix
    shared = {path.name for path in (cut / "lib").iterdir() if path.samefile(whole / "lib" / path.name)}
    assert "libtorch_cpu.so" in shared
    assert "libtorch.so" not in shared
    assert (cut / "lib/libtorch.so").read_bytes() != (whole / "lib/libtorch.so").read_bytes()
    for tree in (whole, cut):
        assert_verifies(tree)
    inside = sum(path.stat().st_size for path in cut.rglob("*") if path.is_file() and path.stat().st_nlink == 1)
    assert remove(cuda_world.settings.home, cuda_world.settings.target) == inside
    assert_verifies(whole)


def test_a_disk_without_room_is_told_before_the_download(cpu_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(cpu_world.settings.home.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    with pytest.raises(StoreError, match=r"has 0 MB free .* 1 MB are needed"):
        ensure(cpu_world.settings)
    assert cpu_world.site.sent < len(archives.NOISE)
    assert_nothing_left(cpu_world.settings.home)


class _NoBytes(Silent):
    """What is told of no byte that came."""

    def advance(self, count: int) -> None:
        raise AssertionError(f"{count} bytes were read")


def test_a_disk_without_room_for_a_zip_is_told_before_its_bytes_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _zip_settings(world, archives.libtorch_zip())
    usage = shutil.disk_usage(settings.home.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    with pytest.raises(StoreError, match=r"has 0 MB free .* 1 MB are needed"):
        ensure(settings, progress=_NoBytes())
    assert_nothing_left(settings.home)


@pytest.fixture
def tree(cpu_world: World) -> Path:
    return ensure(cpu_world.settings).prefix


def _problems(world: World, *, full: bool = False) -> dict[str, str]:
    report = verify(world.settings.home, world.settings.target, full=full)
    return {each.name: each.problem for each in report.damage}


def test_a_fresh_tree_verifies_without_a_hash_and_with_all(cpu_world: World, tree: Path) -> None:
    fast = verify(cpu_world.settings.home, cpu_world.settings.target)
    full = verify(cpu_world.settings.home, cpu_world.settings.target, full=True)
    assert (fast.sound, fast.hashed) == (True, 0)
    assert (full.sound, full.hashed) == (True, full.files)
    assert full.files == len((tree / ".files").read_text().splitlines())


def _quietly_changed(tree: Path) -> None:
    path = tree / "lib/libtorch_cpu.so"
    times = path.stat()
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_file_that_is_only_newer_is_hashed_and_sound(cpu_world: World, tree: Path) -> None:
    os.utime(tree / "lib/libc10.so")
    report = verify(cpu_world.settings.home, cpu_world.settings.target)
    assert (report.sound, report.hashed) == (True, 1)


@pytest.mark.parametrize(
    ("harm", "name", "words"),
    [
        (lambda tree: (tree / "include/ATen/ATen.h").unlink(), "include/ATen/ATen.h", "gone"),
        (lambda tree: (tree / "include/ATen/ATen.h").write_bytes(b""), "include/ATen/ATen.h", "has 0 bytes"),
        (lambda tree: (tree / "lib/libc10.so").write_bytes(b"!" * 336), "lib/libc10.so", ""),
        (lambda tree: (tree / "include/evil.h").write_bytes(b"!"), "include/evil.h", "not installed"),
        (lambda tree: (tree / "include/evil").symlink_to("/usr/include"), "include/evil", "not installed"),
        (lambda tree: (tree / ".files").write_text(""), ".files", "not the list"),
        (lambda tree: (tree / ".files").unlink(), ".files", "cannot be read"),
        (lambda tree: (tree / ".ok").write_text("{}"), ".ok", "not one of ours"),
        (_quietly_changed, "lib/libtorch_cpu.so", "another content"),
    ],
    ids=["gone", "empty", "changed", "new", "link", "list", "no list", "ok", "same size and time"],
)
def test_damage_is_found_and_only_it_is_fetched(
    harm: object, name: str, words: str, cpu_world: World, tree: Path
) -> None:
    assert callable(harm)
    harm(tree)
    assert words in _problems(cpu_world, full=True)[name]
    before = cpu_world.site.sent
    assert repair(cpu_world.settings).prefix == tree
    assert _problems(cpu_world, full=True) == {}
    assert_verifies(tree)
    if "libtorch_cpu" not in name:
        assert cpu_world.site.sent - before < len(archives.NOISE)
    assert [path.name for path in tree.parent.iterdir()] == ["cpu"]


def test_a_repair_asks_the_source_that_the_tree_came_from(cpu_world: World, tree: Path) -> None:
    (tree / "lib/libc10.so").unlink()
    before = cpu_world.site.asked_for("/whl/cpu/torch/")
    repair(cpu_world.settings)
    assert cpu_world.site.asked_for("/whl/cpu/torch/") == before


def _zip_tree(world: World, *, named: bool = False) -> Settings:
    data = archives.libtorch_zip()
    world.site.put(ZIP, data)
    source = {"archive": f"{world.server.url}{ZIP}"} if named else {"source": "official-zip"}
    settings = world.with_(**source, sha256=archives.sha256(data))
    ensure(settings)
    return settings


@pytest.mark.parametrize("named", [False, True], ids=["official", "archive"])
def test_a_tree_out_of_a_zip_is_mended_by_ranges(named: bool, world: World) -> None:
    settings = _zip_tree(world, named=named)
    tree = settings.target.folder(settings.home)
    (tree / "include/ATen/ATen.h").write_bytes(b"!")
    (tree / "include/c10/header3.h").unlink()
    before = world.site.sent
    repair(settings)
    assert_verifies(tree)
    assert world.site.sent - before < len(archives.NOISE) / 2
    assert "listing" in (tree / ".ok").read_text()


@pytest.mark.parametrize("harm", ["no ranges", "no list", "another zip"])
def test_where_that_cannot_be_the_whole_zip_is_fetched(harm: str, world: World) -> None:
    settings = _zip_tree(world)
    tree = settings.target.folder(settings.home)
    (tree / "include/ATen/ATen.h").write_bytes(b"!")
    if harm == "no ranges":
        world.site.misbehave(ZIP, "no ranges")
    elif harm == "no list":
        (tree / ".files").write_text("")
    else:
        world.site.put(ZIP, archives.zipped({"libtorch/include/ATen/ATen.h": b"other"}))
    before = world.site.sent
    if harm == "another zip":
        with pytest.raises(IntegrityError, match="is asked for"):
            repair(settings)
        assert (tree / "include/ATen/ATen.h").read_bytes() == b"!"
    else:
        repair(settings)
        assert_verifies(tree)
        assert world.site.sent - before > len(archives.NOISE)


def test_a_zip_whose_member_was_changed_since_mends_nothing(world: World) -> None:
    settings = _zip_tree(world)
    tree = settings.target.folder(settings.home)
    (tree / "include/ATen/ATen.h").unlink()
    files = {name: zipfile.ZipFile(io.BytesIO(archives.libtorch_zip())).read(name) for name in _names()}
    world.site.put(ZIP, archives.zipped({**files, "libtorch/include/ATen/ATen.h": b"evil"}))
    with pytest.raises(IntegrityError, match=r"ATen\.h has the sha256"):
        repair(settings)
    assert not (tree / "include/ATen/ATen.h").exists()


def _names() -> list[str]:
    return zipfile.ZipFile(io.BytesIO(archives.libtorch_zip())).namelist()
