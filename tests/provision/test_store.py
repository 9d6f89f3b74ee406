"""The cache folder: hits, debris, locks held by processes, runs that were killed, and folders that cannot be used."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import archives
import pytest
from world import assert_nothing_left, assert_verifies

from libtorch_ffi.errors import SettingError, StoreError
from libtorch_ffi.provision import ensure, installed, mark, remove, stage
from libtorch_ffi.provision.store import prune
from libtorch_ffi.provision.targets import Target

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

INSTALL = """
import signal
import sys
from pathlib import Path
from libtorch_ffi.provision import Settings, ensure, remote
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests with it ignored
remote.READ_TIMEOUT = 30.0
home, url = sys.argv[1:]
print("started", flush=True)
settings = Settings(version="9.9.9", flavor="cpu", platform="linux-x86_64", home=Path(home), mirror=url,
                    index_url=f"{url}/simple", source="pypi", environ={})
print(ensure(settings).origin, flush=True)
"""


def _started(world: World) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", INSTALL, str(world.settings.home), world.server.url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _until(ready: object, what: str) -> None:
    assert callable(ready)
    for _ in range(6000):
        if ready():
            return
        time.sleep(0.01)
    raise AssertionError(what)


def _stages(world: World) -> list[Path]:
    return list(world.settings.home.glob("*/*/.cpu.staging-*"))


@pytest.fixture
def tree(cpu_world: World) -> Path:
    return ensure(cpu_world.settings).prefix


def test_a_hit_asks_nobody(cpu_world: World, tree: Path) -> None:
    before = len(cpu_world.site.requests)
    found = ensure(cpu_world.settings)
    assert (found.prefix, found.origin) == (tree, "cache")
    assert len(cpu_world.site.requests) == before


def test_an_empty_ok_is_hasktorchs_and_is_accepted(cpu_world: World, tree: Path) -> None:
    before = ensure(cpu_world.settings)
    (tree / ".ok").write_text("")
    (tree / ".files").unlink()
    assert ensure(cpu_world.settings) == before
    assert (tree / ".ok").read_text() == ""


def _emptied(tree: Path) -> None:
    shutil.rmtree(tree / "include")
    (tree / ".ok").write_text("")


@pytest.mark.parametrize(
    "harm",
    [
        lambda tree: (tree / ".ok").unlink(),
        lambda tree: (tree / ".ok").write_text("not json"),
        lambda tree: (tree / ".ok").write_text("[]"),
        lambda tree: (tree / "lib/libtorch_cpu.so").unlink(),
        lambda tree: (tree / "lib/libc10.so").write_bytes(b"short"),
        lambda tree: shutil.rmtree(tree / "lib"),
        _emptied,
    ],
    ids=["no ok", "bad ok", "other ok", "library gone", "library short", "no lib", "empty ok without headers"],
)
def test_debris_is_never_used_and_installed_again(harm: object, cpu_world: World, tree: Path) -> None:
    assert callable(harm)
    harm(tree)
    assert not installed(cpu_world.settings.home)[0].usable
    assert ensure(cpu_world.settings).origin == "pypi"
    assert_verifies(tree)
    assert [path.name for path in tree.parent.iterdir()] == ["cpu"]


def test_installed_trees_are_listed_and_removed(cpu_world: World, tree: Path) -> None:
    (each,) = installed(cpu_world.settings.home)
    assert (each.target, each.path, each.usable, each.source) == (cpu_world.settings.target, tree, True, "pypi")
    assert each.size == sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    assert remove(cpu_world.settings.home, each.target) == each.size
    assert installed(cpu_world.settings.home) == []
    assert not (cpu_world.settings.home / archives.VERSION).exists()
    assert remove(cpu_world.settings.home, each.target) == 0


def test_a_home_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert installed(tmp_path / "nowhere") == []


def test_ten_installs_at_once_make_one_download(cpu_world: World) -> None:
    children = [_started(cpu_world) for _ in range(10)]
    origins = sorted(child.communicate(timeout=120)[0].split()[-1] for child in children)
    assert origins == ["cache"] * 9 + ["pypi"]
    assert len(cpu_world.site.asked_for("/simple/torch/")) == 1


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_leaves_nothing_that_is_trusted(kind: signal.Signals, cpu_world: World) -> None:
    cpu_world.fail_at_library("stalled")
    child = _started(cpu_world)
    _until(lambda: _stages(cpu_world) and not cpu_world.site.modes[cpu_world.torch], "no staging folder")
    child.send_signal(kind)
    child.communicate(timeout=120)
    assert child.returncode != 0
    assert _stages(cpu_world)
    assert mark.read(cpu_world.settings.home, cpu_world.settings.target).libtorch is None
    cpu_world.site.modes.clear()
    assert_verifies(ensure(cpu_world.settings).prefix)
    assert _stages(cpu_world) == []


def test_the_stage_of_a_live_run_is_left_alone(cpu_world: World) -> None:
    cpu_world.fail_at_library("stalled")
    child = _started(cpu_world)
    _until(lambda: _stages(cpu_world) and not cpu_world.site.modes[cpu_world.torch], "no staging folder")
    (folder,) = _stages(cpu_world)
    waiting = threading.Thread(target=ensure, args=(cpu_world.settings,))
    waiting.start()
    time.sleep(0.1)
    assert folder.exists()
    assert waiting.is_alive()
    cpu_world.server.closing.set()
    assert child.communicate(timeout=120)[0].split()[-1] == "pypi"
    waiting.join(timeout=120)
    assert len(cpu_world.site.asked_for("/simple/torch/")) == 1


@pytest.mark.parametrize(
    ("version", "flavor"), [("2.5.0", "../../.."), ("..", "cpu"), ("2.5.0", ""), ("/", "cpu"), ("2.5.0", "c\0")]
)
def test_a_target_that_leads_out_of_the_cache_is_refused(version: str, flavor: str, tmp_path: Path) -> None:
    home, beside = tmp_path / "home", tmp_path / "beside"
    home.mkdir()
    beside.mkdir()
    target = Target(version, flavor, "linux-x86_64")
    for use in (remove, mark.read):
        with pytest.raises(SettingError, match="is no part of a target"):
            use(home, target)
    assert beside.exists()
    assert list(home.iterdir()) == []


def test_debris_of_another_user_hinders_no_install(cpu_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    debris = cpu_world.settings.target.folder(cpu_world.settings.home).parent / ".cpu.debris-1-0"
    debris.mkdir(parents=True)
    rmtree = shutil.rmtree

    def refused(path: Path, *, ignore_errors: bool = False) -> None:
        if path != debris:
            rmtree(path, ignore_errors=ignore_errors)
        elif not ignore_errors:
            raise PermissionError(errno.EACCES, "not yours", str(path))

    monkeypatch.setattr(shutil, "rmtree", refused)
    assert_verifies(ensure(cpu_world.settings).prefix)
    assert debris.exists()
    with pytest.raises(StoreError, match="may write to"):
        prune(cpu_world.settings.home)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "larger disk"),
        (errno.EACCES, "may write to"),
        (errno.EROFS, "may write to"),
        (errno.EIO, "look at the disk"),
    ],
)
def test_what_the_disk_says_is_one_paragraph_and_nothing_is_kept(
    number: int, words: str, cpu_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = stage.Stage.write

    def failing(self: stage.Stage, name: str, *arguments: object, **others: object) -> None:
        if name.endswith("libtorch_cpu.so"):
            raise OSError(number, os.strerror(number), name)
        write(self, name, *arguments, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(stage.Stage, "write", failing)
    with pytest.raises(StoreError, match=words) as caught:
        ensure(cpu_world.settings)
    assert "LIBTORCH_HOME" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert_nothing_left(cpu_world.settings.home)
    monkeypatch.undo()


@pytest.mark.parametrize("where", [".", "9.9.9", "9.9.9/linux-x86_64"])
def test_a_file_where_a_folder_should_be_is_named(where: str, cpu_world: World) -> None:
    path = cpu_world.settings.home / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way")
    with pytest.raises(StoreError, match="A file stands where a folder should be"):
        ensure(cpu_world.settings)
    assert path.read_text() == "in the way"


def test_a_file_in_the_trees_own_place_is_debris(cpu_world: World) -> None:
    place = cpu_world.settings.target.folder(cpu_world.settings.home)
    place.parent.mkdir(parents=True)
    place.write_text("in the way")
    assert_verifies(ensure(cpu_world.settings).prefix)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_may_not_be_written_is_named(cpu_world: World) -> None:
    cpu_world.settings.home.mkdir(mode=0o555)
    with pytest.raises(StoreError, match="may write to"):
        ensure(cpu_world.settings)


def test_a_read_only_cache_is_used(cpu_world: World, tree: Path) -> None:
    for path in [tree, *tree.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert ensure(cpu_world.settings).origin == "cache"
    finally:
        for path in [tree, *tree.rglob("*")]:
            path.chmod(0o755)


def test_the_receipt_says_what_is_there(cpu_world: World, tree: Path) -> None:
    receipt = json.loads((tree / ".ok").read_text())
    expected = {
        "version": archives.VERSION,
        "flavor": "cpu",
        "platform": "linux-x86_64",
        "source": "pypi",
        "cxx11_abi": True,
        "cxx_standard": 17,
    }
    assert {name: receipt[name] for name in expected} == expected
    assert receipt["archives"][0]["url"].startswith(cpu_world.server.url)
    assert receipt["files"] == len((tree / ".files").read_text().splitlines())
