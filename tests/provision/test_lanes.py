"""Large members beside small ones: the same tree, and the same failures, whichever lane they happen in."""

from __future__ import annotations

import io
import threading
import zipfile
from typing import TYPE_CHECKING

import archives
import pytest
from servers import Fault
from world import assert_nothing_left, assert_verifies

from libtorch_ffi.errors import DownloadError, IntegrityError
from libtorch_ffi.provision import ensure, kept, lanes
from libtorch_ffi.provision.kept import Parts
from libtorch_ffi.provision.overlap import beside

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from world import World


@pytest.fixture(autouse=True)
def two_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the libraries of the small test wheel count as large, and write down every range."""
    monkeypatch.setattr(lanes, "LARGE", 100_000)
    monkeypatch.setattr(kept, "PART_FROM", 1000)


def test_both_lanes_write_one_tree(cpu_world: World) -> None:
    tree = ensure(cpu_world.settings).prefix
    assert_verifies(tree)
    large = [path.name for path in tree.rglob("*") if path.is_file() and path.stat().st_size >= lanes.LARGE]
    assert large == ["libtorch_cpu.so"]


def test_a_zip_is_read_by_both(world: World) -> None:
    data = archives.libtorch_zip()
    world.site.put("/libtorch/cpu/libtorch-shared-with-deps-9.9.9+cpu.zip", data)
    assert_verifies(ensure(world.with_(source="official-zip", sha256=archives.sha256(data))).prefix)


@pytest.mark.parametrize(("name", "size"), [("lib/libtorch_cpu.so", 200_000), ("include/ATen/ATen.h", 10)])
def test_a_wrong_member_of_either_lane_is_refused(name: str, size: int, world: World) -> None:
    torch = archives.torch_wheel("cpu", change={f"torch/{name}": archives.NOISE[:size]})
    world.list_on_pypi("torch", {world.torch.rpartition("/")[2]: torch})
    with pytest.raises(IntegrityError, match="has the sha256"):
        ensure(world.settings)
    assert_nothing_left(world.settings.home)


def test_a_wrong_header_is_told_while_the_library_stalls(world: World) -> None:
    torch = archives.torch_wheel("cpu", change={"torch/include/ATen/ATen.h": b"!"})
    world.list_on_pypi("torch", {world.torch.rpartition("/")[2]: torch})
    place = zipfile.ZipFile(io.BytesIO(torch)).getinfo("torch/lib/libtorch_cpu.so").header_offset
    world.site.faults = [Fault("stall", world.torch, place + 5000)]
    with pytest.raises(IntegrityError, match=r"ATen\.h has the sha256"):
        ensure(world.settings)
    assert_nothing_left(world.settings.home)


def test_a_library_that_does_not_come_fails_the_install_and_the_next_goes_on(cpu_world: World) -> None:
    cpu_world.fail_at_library("truncated", "truncated", then="503")
    with pytest.raises(DownloadError, match="was tried"):
        ensure(cpu_world.settings)
    cpu_world.site.modes.clear()
    before = cpu_world.site.sent
    assert_verifies(ensure(cpu_world.settings).prefix)
    assert cpu_world.site.sent - before < len(cpu_world.site.files[cpu_world.torch][1])


def test_work_beside_a_block_is_waited_for_and_fails_with_it() -> None:
    done = threading.Event()

    def fails(_: threading.Event) -> None:
        done.wait()
        raise IntegrityError("in the thread")

    with pytest.raises(IntegrityError, match="in the thread"), beside(fails):
        done.set()


def test_a_block_that_fails_stops_the_work_beside_it() -> None:
    told: list[bool] = []
    with pytest.raises(KeyboardInterrupt), beside(lambda stopped: told.append(stopped.wait(60))):
        raise KeyboardInterrupt
    assert told == [True]


def _coming(start: int, stop: int) -> Generator[bytes, None, None]:
    yield from (bytes([place % 256]) for place in range(start, stop))


def test_two_at_once_never_write_to_one_part(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts")
    wide, narrow = parts.through("key", 0, 10, _coming), parts.through("key", 3, 6, _coming)
    assert [next(wide) for _ in range(5)] == [b"\0", b"\1", b"\2", b"\3", b"\4"]
    assert b"".join(narrow) == bytes([3, 4, 5])
    assert b"".join(wide) == bytes([5, 6, 7, 8, 9])
    assert not parts.used
    assert list((tmp_path / "parts").iterdir()) == []


def test_a_part_of_a_folder_that_is_gone_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(Parts(tmp_path / "gone/parts").through("key", 0, 10, _coming))
    assert list(tmp_path.iterdir()) == []
