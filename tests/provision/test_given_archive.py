"""An archive that LIBTORCH_SOURCE names, and bundles: one carried from a machine with a network to one without."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import archives
import pytest
from world import RUNTIME, assert_nothing_left, assert_verifies

from libtorch_ffi.errors import DownloadError, IntegrityError, LibtorchFFIError, NotFoundError, StoreError
from libtorch_ffi.provision import Settings, bundle, ensure, store, verify

if TYPE_CHECKING:
    from pathlib import Path

    from world import World


def _settings(world: World, where: str, **others: str) -> Settings:
    asked = {"LIBTORCH_SOURCE": where, "LIBTORCH_VERSION": "9.9.9", "LIBTORCH_HOME": str(world.settings.home), **others}
    asked["LIBTORCH_INDEX_URL"] = f"{world.server.url}/simple"
    return world.with_(**{**vars(Settings.from_environment(asked)), "platform": "linux-x86_64"})


@pytest.fixture
def zip_file(tmp_path: Path) -> Path:
    path = tmp_path / "libtorch.zip"
    path.write_bytes(archives.libtorch_zip())
    return path


def test_a_local_zip_is_taken_without_a_socket(world: World, zip_file: Path) -> None:
    found = ensure(_settings(world, str(zip_file)))
    assert found.origin == "archive"
    assert_verifies(found.prefix)
    assert world.site.requests == []


def test_a_local_zip_with_its_digest(world: World, zip_file: Path) -> None:
    sha256 = archives.sha256(zip_file.read_bytes())
    ensure(_settings(world, f"file://{zip_file}", LIBTORCH_SHA256=sha256))
    with pytest.raises(IntegrityError, match="is asked for, by LIBTORCH_SHA256"):
        ensure(_settings(world, str(zip_file), LIBTORCH_SHA256="0" * 64, LIBTORCH_HOME=str(zip_file.parent / "other")))


@pytest.mark.parametrize(
    ("others", "error", "words"),
    [
        ({"LIBTORCH_VERSION": "9.9.8"}, IntegrityError, r"LIBTORCH_VERSION to 9\.9\.9"),
        ({"LIBTORCH_CUDA_VERSION": "cu124"}, IntegrityError, "LIBTORCH_CUDA_VERSION to cpu"),
    ],
)
def test_an_archive_of_something_else_is_refused(
    others: dict[str, str], error: type[Exception], words: str, world: World, zip_file: Path
) -> None:
    with pytest.raises(error, match=words):
        ensure(_settings(world, str(zip_file), **others))
    assert_nothing_left(world.settings.home)


def test_a_path_that_is_no_file(world: World, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is no file"):
        ensure(_settings(world, str(tmp_path / "none.zip")))
    assert_nothing_left(world.settings.home)


def test_a_local_wheel_has_its_libraries_from_the_index(cuda_world: World, tmp_path: Path) -> None:
    path = tmp_path / cuda_world.torch.rpartition("/")[2]
    path.write_bytes(cuda_world.site.files[cuda_world.torch][1])
    tree = ensure(_settings(cuda_world, str(path))).prefix
    assert (tree / "lib/libcudart.so.99").is_file()
    assert {request.path for request in cuda_world.site.requests} == {
        "/simple/nvidia-cuda-runtime-cu99/",
        f"/files/{RUNTIME}",
    }
    assert_verifies(tree)


def test_a_zip_on_a_server_is_taken_with_its_digest_only(world: World) -> None:
    data = archives.libtorch_zip()
    world.site.put("/mine/any.zip", data)
    where = f"{world.server.url}/mine/any.zip"
    with pytest.raises(IntegrityError, match="Set LIBTORCH_SHA256"):
        ensure(_settings(world, where))
    assert world.site.requests == []
    assert_verifies(ensure(_settings(world, where, LIBTORCH_SHA256=archives.sha256(data))).prefix)


@pytest.mark.parametrize("digest", [True, False])
def test_a_wheel_on_a_server(digest: bool, world: World) -> None:
    data = archives.torch_wheel("cpu")
    world.site.put("/mine/torch.whl", data)
    others = {"LIBTORCH_SHA256": archives.sha256(data)} if digest else {}
    assert_verifies(ensure(_settings(world, f"{world.server.url}/mine/torch.whl", **others)).prefix)
    assert (None in [request.range for request in world.site.requests]) is digest


def test_a_server_that_has_not_the_archive(world: World) -> None:
    with pytest.raises(DownloadError, match=r"archive: .*404"):
        ensure(_settings(world, f"{world.server.url}/mine/torch.whl"))


def test_a_bundle_goes_elsewhere(cuda_world: World, tmp_path: Path) -> None:
    tree = ensure(cuda_world.settings).prefix
    written = bundle.write(cuda_world.settings.home, cuda_world.settings.target, tmp_path / "stick")
    assert {path.name for path in (tmp_path / "stick").iterdir()} == {"manifest.json", written.archive.name}
    cuda_world.site.requests.clear()
    (tmp_path / "stick").rename(tmp_path / "carried")
    there = bundle.settings_from(Settings(home=tmp_path / "there", environ={}), tmp_path / "carried")
    found = ensure(there)
    assert cuda_world.site.requests == []
    assert verify(there.home, there.target, full=True).sound
    names = {path.relative_to(tree) for path in tree.rglob("*") if path.name not in (".ok", ".files")}
    assert {
        path.relative_to(found.prefix) for path in found.prefix.rglob("*") if path.name not in (".ok", ".files")
    } == names


def test_a_bundle_that_was_changed_is_refused(cpu_world: World, tmp_path: Path) -> None:
    ensure(cpu_world.settings)
    written = bundle.write(cpu_world.settings.home, cpu_world.settings.target, tmp_path / "stick")
    written.archive.write_bytes(written.archive.read_bytes()[:-1] + b"!")
    settings = bundle.settings_from(Settings(home=tmp_path / "there", environ={}), tmp_path / "stick")
    with pytest.raises(IntegrityError, match="by the manifest of a bundle"):
        ensure(settings)
    assert_nothing_left(settings.home)


def test_a_damaged_tree_is_not_packed(cpu_world: World, tmp_path: Path) -> None:
    tree = ensure(cpu_world.settings).prefix
    (tree / "include/ATen/ATen.h").unlink()
    with pytest.raises(IntegrityError, match="verify --repair"):
        bundle.write(cpu_world.settings.home, cpu_world.settings.target, tmp_path / "stick")
    assert not (tmp_path / "stick").exists()


def _manifest(**changes: str) -> str:
    stated = {"version": "9.9.9", "flavor": "cpu", "platform": "linux-x86_64", "archive": "a.zip", "sha256": "0" * 64}
    return json.dumps({**stated, **changes})


@pytest.mark.parametrize(
    "manifest",
    [
        *(None, "", "[]", "{}"),
        *(_manifest(version="../.."), _manifest(flavor="/x"), _manifest(flavor=".."), _manifest(platform="other")),
    ],
)
def test_what_is_no_bundle_is_named(manifest: str | None, tmp_path: Path) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(NotFoundError, match="is no manifest"):
        bundle.read(tmp_path)


def test_what_dead_runs_left_is_pruned_and_a_live_runs_is_not(cpu_world: World) -> None:
    tree = ensure(cpu_world.settings).prefix
    home, target = cpu_world.settings.home, cpu_world.settings.target
    dead = tree.parent / ".cpu.staging-1-2"
    gone = home / "8.8.8/linux-x86_64/.cu118.debris-1-2"
    half = home / "8.8.8/linux-x86_64/cpu"
    for path in (dead, gone, half):
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"!" * 1000)
    with store.locked(home, target):
        assert sorted(store.prune(home)) == sorted([(gone, 1000), (half, 1000)])
        with pytest.raises(StoreError, match="Another process"), store.locked(home, target, wait=False):
            raise LibtorchFFIError("the lock was given twice")
    assert store.prune(home) == [(dead, 1000)]
    assert store.prune(home) == []
    assert not (home / "8.8.8").exists()
    assert_verifies(tree)
