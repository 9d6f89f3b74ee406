"""Installs from the local server: what ends up in the tree, and what each fault ends in."""

from __future__ import annotations

import json
import logging
import os
import stat
from typing import TYPE_CHECKING

import archives
import pytest
from world import RUNTIME, TAG, assert_nothing_left, assert_verifies

from libtorch_ffi.errors import DownloadError, IntegrityError, NotFoundError, TargetError
from libtorch_ffi.provision import catalogue, ensure, locate
from libtorch_ffi.provision.archive import Archive, LocalFile
from libtorch_ffi.provision.elf import inspect
from libtorch_ffi.provision.nar import nar_sha256

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Mode
    from world import World

    from libtorch_ffi.provision import Libtorch


def _libraries(libtorch: Libtorch) -> set[str]:
    return {path.name for path in (libtorch.prefix / "lib").iterdir()}


def _receipt(libtorch: Libtorch) -> dict[str, object]:
    receipt: dict[str, object] = json.loads((libtorch.prefix / ".ok").read_text())
    return receipt


def test_a_cpu_wheel_gives_its_tree(cpu_world: World) -> None:
    libtorch = ensure(cpu_world.settings)
    assert (libtorch.origin, libtorch.cxx11_abi, libtorch.cxx_standard) == ("pypi", True, 17)
    assert libtorch.libraries == ("torch", "torch_cpu", "c10")
    assert _libraries(libtorch) == {"libtorch.so", "libtorch_cpu.so", "libc10.so", "libgomp-1.so"}
    assert all(folder.is_dir() for folder in (*libtorch.include_dirs, *libtorch.library_dirs))
    assert (libtorch.prefix / "share/cmake/Torch/TorchConfig.cmake").is_file()
    assert (libtorch.prefix / "share/licenses/torch/LICENSE").is_file()
    assert not (libtorch.prefix / "torch").exists()
    assert_verifies(libtorch.prefix)


def test_a_cpu_tree_is_cut_from_a_cuda_wheel(cuda_world: World) -> None:
    libtorch = ensure(cuda_world.settings)
    expected = {"libtorch.so", "libtorch_cpu.so", "libc10.so", "libgomp-1.so", "libcudart.so.99"}
    assert _libraries(libtorch) == expected
    assert inspect(libtorch.prefix / "lib/libtorch.so").needed == ("libtorch_cpu.so", "libtorch_cpu.so")
    checked = [archive["checked"] for archive in _receipt(libtorch)["archives"]]  # type: ignore[attr-defined]
    assert checked == ["record", "record"]
    assert_verifies(libtorch.prefix)


def test_a_cuda_tree_is_whole(cuda_world: World) -> None:
    libtorch = ensure(cuda_world.with_(flavor="cu991"))
    assert _libraries(libtorch) == {
        *("libtorch.so", "libtorch_cpu.so", "libtorch_cuda.so", "libc10.so", "libgomp-1.so"),
        *("libcudart.so.99", "libextra.so.99"),
    }
    assert inspect(libtorch.prefix / "lib/libtorch.so").needed == ("libtorch_cpu.so", "libtorch_cuda.so")
    assert libtorch.libraries == ("torch", "torch_cuda", "torch_cpu", "c10")


def _with_runtime(world: World, **libraries: list[str]) -> None:
    """Give the wheel of the runtime other libraries beside its own, by name and what each needs."""
    files = {f"lib{name}.so.99": ["libc.so.6", *needed] for name, needed in libraries.items()}
    members = {f"nvidia/cuda_runtime/lib/{name}": archives.library(name, needed) for name, needed in files.items()}
    runtime = archives.wheel("nvidia-cuda-runtime-cu99", "99.1", members)
    world.list_on_pypi("nvidia-cuda-runtime-cu99", {RUNTIME: runtime})


def test_a_wheel_of_nvidia_names_another_without_a_version(cuda_world: World) -> None:
    members = {"nvidia/cuda_runtime/lib/libcudart.so.99": archives.library("libcudart.so.99", ["liblinker.so.9"])}
    runtime = archives.wheel("nvidia-cuda-runtime-cu99", "99.1", members, requires=["nvidia-linker-cu99"])
    cuda_world.list_on_pypi("nvidia-cuda-runtime-cu99", {RUNTIME: runtime})
    linker = archives.wheel(
        "nvidia-linker-cu99", "9.1", {"nvidia/lib/liblinker.so.9": archives.library("liblinker.so.9")}
    )
    cuda_world.list_on_pypi("nvidia-linker-cu99", {"nvidia_linker_cu99-9.1-py3-none-manylinux1_x86_64.whl": linker})
    assert {"libcudart.so.99", "liblinker.so.9"} <= _libraries(ensure(cuda_world.with_(flavor="cu991")))


def test_a_part_that_nothing_needs_is_left_out_where_it_needs_what_is_nowhere(cuda_world: World) -> None:
    _with_runtime(cuda_world, cudart=[], extra=[], rdma=["libmlx5.so.1", "libibverbs.so.1", "libcudart.so.99"])
    libtorch = ensure(cuda_world.with_(flavor="cu991"))
    assert {"libcudart.so.99", "libextra.so.99"} <= _libraries(libtorch)
    assert "librdma.so.99" not in _libraries(libtorch)
    assert_verifies(libtorch.prefix)


def test_a_part_that_another_needs_is_not_left_out(cuda_world: World) -> None:
    _with_runtime(cuda_world, cudart=["librdma.so.99"], rdma=["libmlx5.so.1"])
    with pytest.raises(DownloadError, match=r"librdma\.so\.99 needs libmlx5\.so\.1, which is not in the torch wheel"):
        ensure(cuda_world.with_(flavor="cu991"))
    assert_nothing_left(cuda_world.settings.home)


def test_libraries_hang_off_a_meta_package(cuda_world: World) -> None:
    torch = archives.torch_wheel("cu991", requires=["cuda-toolkit[cudart,cublas]==99.1; platform_system == 'Linux'"])
    cuda_world.list_on_pypi("torch", {cuda_world.torch.rpartition("/")[2]: torch})
    requires = ["nvidia-cuda-runtime-cu99==99.*; extra == 'cudart'", "nvidia-absent==1.0; extra == 'all'"]
    toolkit = archives.wheel("cuda-toolkit", "99.1", {}, requires=requires)
    cuda_world.list_on_pypi("cuda-toolkit", {"cuda_toolkit-99.1-py2.py3-none-any.whl": toolkit})
    assert "libcudart.so.99" in _libraries(ensure(cuda_world.settings))
    assert cuda_world.site.asked_for("/simple/nvidia-absent/") == []


def test_only_the_ranges_that_are_needed_are_received(cuda_world: World) -> None:
    ensure(cuda_world.settings)
    whole = len(cuda_world.site.files[cuda_world.torch][1])
    noise = len(archives.NOISE)
    assert cuda_world.site.sent < whole - 2 * noise
    assert len(cuda_world.site.asked_for(cuda_world.torch)) < 12


def test_a_library_that_nobody_has_fails_the_install_by_its_name(cuda_world: World) -> None:
    del cuda_world.site.files["/simple/nvidia-cuda-runtime-cu99/"]
    with pytest.raises(DownloadError, match=r"libtorch_cpu\.so needs libcudart\.so\.99"):
        ensure(cuda_world.settings)
    assert_nothing_left(cuda_world.settings.home)


def test_the_official_index_comes_first_and_pypi_is_not_asked(cpu_world: World) -> None:
    name = f"torch-{archives.VERSION}+cpu-{TAG}.whl"
    cpu_world.list_officially("cpu", {name: archives.torch_wheel("cpu", abi=archives.OLD_ABI)})
    libtorch = ensure(cpu_world.settings)
    assert (libtorch.origin, libtorch.cxx11_abi) == ("official-wheel", False)
    assert cpu_world.site.asked_for("/simple/torch/") == []
    assert ensure(cpu_world.settings).origin == "cache"


@pytest.mark.parametrize("mode", ["403", "404", "503", "stalled"])
def test_what_cannot_be_reached_is_passed_over_with_one_line(
    mode: Mode, cpu_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    cpu_world.list_officially("cpu", {f"torch-{archives.VERSION}+cpu-{TAG}.whl": archives.torch_wheel()})
    cpu_world.site.misbehave("/whl/cpu/torch/", mode)
    with caplog.at_level(logging.WARNING):
        assert ensure(cpu_world.settings).origin == "pypi"
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_forced_source_is_the_only_one(cpu_world: World) -> None:
    with pytest.raises(DownloadError, match="official-wheel"):
        ensure(cpu_world.with_(source="official-wheel"))
    assert cpu_world.site.asked_for("/simple/torch/") == []
    assert_nothing_left(cpu_world.settings.home)


def test_pypis_wheel_of_another_flavor_is_not_taken(cuda_world: World) -> None:
    with pytest.raises(DownloadError, match="built for cu991, not for cu992"):
        ensure(cuda_world.with_(flavor="cu992"))


@pytest.mark.parametrize("mode", ["truncated", "stalled", "503", "redirect", "no length"])
def test_an_install_survives_one_fault_of_each_kind(mode: Mode, cuda_world: World) -> None:
    cuda_world.fail_at_library(mode)
    assert_verifies(ensure(cuda_world.settings).prefix)


def test_wrong_bytes_are_an_error_and_nothing_is_kept(cuda_world: World) -> None:
    cuda_world.fail_at_library(then="wrong")
    with pytest.raises(IntegrityError):
        ensure(cuda_world.settings)
    assert_nothing_left(cuda_world.settings.home)
    cuda_world.site.modes.clear()
    assert_verifies(ensure(cuda_world.settings).prefix)


@pytest.mark.parametrize("name", ["torch/version.py", "torch-9.9.9.dist-info/METADATA"])
def test_what_decides_on_the_tree_is_checked_against_record(name: str, world: World) -> None:
    torch = archives.torch_wheel("cpu", change={name: b"Requires-Dist: other==1.0\n"})
    world.list_on_pypi("torch", {world.torch.rpartition("/")[2]: torch})
    with pytest.raises(IntegrityError, match=f"{name} of .* has the sha256 .*, where RECORD states"):
        ensure(world.settings)
    assert_nothing_left(world.settings.home)


def test_a_wheel_that_seems_needed_is_opened_once_and_one_that_is_not_needed_may_be_broken(cuda_world: World) -> None:
    cupti = "nvidia_cuda_cupti_cu99-99.1-py3-none-manylinux1_x86_64.whl"
    requires = ["nvidia-cuda-cupti-cu99==99.1", "nvidia-cuda-runtime-cu99==99.1"]
    torch = archives.torch_wheel("cu991", requires=requires)
    cuda_world.list_on_pypi("torch", {cuda_world.torch.rpartition("/")[2]: torch})
    cuda_world.list_on_pypi("nvidia-cuda-cupti-cu99", {cupti: b"not a wheel"})
    tree = ensure(cuda_world.settings).prefix
    assert_verifies(tree)
    assert (tree / "lib/libcudart.so.99").exists()
    assert len(cuda_world.site.asked_for(f"/files/{cupti}")) == 1
    assert len(cuda_world.site.asked_for("/simple/nvidia-cuda-runtime-cu99/")) == 1


@pytest.mark.parametrize(
    "record",
    [b"\xff\xfe", b"torch/lib/libc10.so,sha256=A,1\n", b"a," + b"b" * 200_000],
    ids=["bytes", "digest", "field"],
)
def test_a_record_that_is_none_is_refused(record: bytes, world: World) -> None:
    torch = archives.torch_wheel("cpu", change={"torch-9.9.9.dist-info/RECORD": record})
    world.list_on_pypi("torch", {world.torch.rpartition("/")[2]: torch})
    with pytest.raises(IntegrityError, match=r"RECORD of .* cannot be read"):
        ensure(world.settings)
    assert_nothing_left(world.settings.home)


def test_a_member_that_record_does_not_vouch_for_is_refused(world: World) -> None:
    evil = archives.library("libc10.so", ["libc.so.6"], symbols=["evil"])
    torch = archives.torch_wheel("cpu", change={"torch/lib/libc10.so": evil})
    world.list_on_pypi("torch", {world.torch.rpartition("/")[2]: torch})
    with pytest.raises(IntegrityError, match=r"lib/libc10\.so has the sha256"):
        ensure(world.settings)
    assert_nothing_left(world.settings.home)


def test_a_record_that_is_not_the_pinned_one_is_refused(cpu_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    data = cpu_world.site.files[cpu_world.torch][1]
    pin = catalogue.WheelPin("torch", "9.9.9", "x", archives.sha256(data), record_sha256="0" * 64)
    monkeypatch.setattr(catalogue, "pypi_wheel", lambda _: pin)
    with pytest.raises(IntegrityError, match="is pinned"):
        ensure(cpu_world.settings)
    assert_nothing_left(cpu_world.settings.home)


def test_an_index_that_states_another_digest_than_the_pin_is_refused(
    cpu_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = catalogue.WheelPin("torch", "9.9.9", "x", "0" * 64)
    monkeypatch.setattr(catalogue, "pypi_wheel", lambda _: pin)
    with pytest.raises(IntegrityError, match="on its index"):
        ensure(cpu_world.settings)
    assert cpu_world.site.asked_for(cpu_world.torch) == []


def test_a_pinned_official_wheel_is_taken_from_the_mirror_without_an_index(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = archives.torch_wheel("cpu")
    path = f"/whl/cpu/torch-9.9.9%2Bcpu-{TAG}.whl"
    world.site.put(path.replace("%2B", "+"), data)
    pin = catalogue.WheelPin("torch", "9.9.9", "x", archives.sha256(data), f"https://download.pytorch.org{path}", "cpu")
    monkeypatch.setattr(catalogue, "official_wheel", lambda _, index: pin if index == "cpu" else None)
    assert ensure(world.settings).origin == "official-wheel"
    assert world.site.asked_for("/whl/cpu/torch/") == []


def test_a_server_without_ranges_gives_the_whole_and_it_is_hashed(cpu_world: World) -> None:
    cpu_world.site.misbehave(cpu_world.torch, "no ranges")
    libtorch = ensure(cpu_world.settings)
    assert _receipt(libtorch)["archives"][0]["checked"] == "sha256"  # type: ignore[index]
    assert_verifies(libtorch.prefix)
    assert not (libtorch.prefix / ".download").exists()


def test_a_whole_wheel_with_another_digest_is_refused(cpu_world: World) -> None:
    cpu_world.site.misbehave(cpu_world.torch, "no ranges")
    kind, data = cpu_world.site.files[cpu_world.torch]
    cpu_world.site.files[cpu_world.torch] = (kind, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="was published"):
        ensure(cpu_world.settings)
    assert_nothing_left(cpu_world.settings.home)


def test_a_wheel_whose_libraries_would_not_load_from_one_folder_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = archives.library
    monkeypatch.setattr(archives, "library", lambda *about, **others: made(*about, **{**others, "rpath": ""}))
    world.list_on_pypi("torch", {world.torch.rpartition("/")[2]: archives.torch_wheel("cpu")})
    with pytest.raises(IntegrityError, match="would not find"):
        ensure(world.settings)
    assert_nothing_left(world.settings.home)


def test_libraries_for_another_machine_are_refused(world: World) -> None:
    world.list_on_pypi("torch", {world.torch.rpartition("/")[2]: archives.torch_wheel("cpu", machine="aarch64")})
    with pytest.raises(IntegrityError, match="made for linux-aarch64, where linux-x86_64"):
        ensure(world.settings)
    assert_nothing_left(world.settings.home)


def test_a_wheel_of_another_release_than_its_name_says_is_refused(world: World) -> None:
    data = archives.torch_wheel("cpu")
    world.list_on_pypi("torch", {f"torch-9.9.8-{TAG}.whl": data})
    with pytest.raises(IntegrityError, match=r"libtorch 9\.9\.9 .* where libtorch 9\.9\.8"):
        ensure(world.with_(version="9.9.8"))


def test_the_official_zip_is_taken_with_its_digest(world: World) -> None:
    data = archives.libtorch_zip()
    world.site.put("/libtorch/cpu/libtorch-shared-with-deps-9.9.9+cpu.zip", data)
    libtorch = ensure(world.with_(source="official-zip", sha256=archives.sha256(data)))
    assert libtorch.origin == "official-zip"
    assert _libraries(libtorch) == {"libtorch.so", "libtorch_cpu.so", "libc10.so", "libgomp-1.so"}
    assert_verifies(libtorch.prefix)


@pytest.mark.parametrize("honest", [True, False])
def test_the_official_zip_is_taken_with_the_hash_of_its_tree(
    honest: bool, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = archives.libtorch_zip()
    (tmp_path / "zip").write_bytes(data)
    nar = nar_sha256(Archive(LocalFile(tmp_path / "zip"))) if honest else "0" * 64
    world.site.put("/libtorch/cpu/pinned.zip", data)
    pin = catalogue.ZipPin("https://download.pytorch.org/libtorch/cpu/pinned.zip", None, nar)
    monkeypatch.setattr(catalogue, "zips", lambda _: [pin])
    asked = world.with_(source="official-zip")
    if honest:
        assert _receipt(ensure(asked))["archives"][0]["checked"] == "nar"  # type: ignore[index]
    else:
        with pytest.raises(IntegrityError, match="NAR"):
            ensure(asked)
        assert_nothing_left(world.settings.home)


@pytest.mark.parametrize(
    ("sha256", "error", "words"),
    [(None, DownloadError, "not taken unchecked"), ("0" * 64, IntegrityError, "is asked for")],
)
def test_a_zip_that_cannot_be_checked_is_refused(
    sha256: str | None, error: type[Exception], words: str, world: World
) -> None:
    world.site.put("/libtorch/cpu/libtorch-shared-with-deps-9.9.9+cpu.zip", archives.libtorch_zip())
    with pytest.raises(error, match=words):
        ensure(world.with_(source="official-zip", sha256=sha256))
    assert_nothing_left(world.settings.home)


def test_a_digest_that_is_asked_for_and_not_published_is_refused_before_the_download(cpu_world: World) -> None:
    with pytest.raises(IntegrityError, match="LIBTORCH_SHA256 asks for"):
        ensure(cpu_world.with_(sha256="0" * 64))
    assert cpu_world.site.asked_for(cpu_world.torch) == []


def test_no_source_at_all_is_one_paragraph(world: World) -> None:
    with pytest.raises(DownloadError) as caught:
        ensure(world.settings)
    message = str(caught.value)
    assert all(name in message for name in ("official-wheel", "pypi", "official-zip", "LIBTORCH_MIRROR"))
    assert "\n" not in message


def test_an_impossible_target_is_refused_before_any_socket(world: World) -> None:
    with pytest.raises(TargetError, match=r"cu117 for linux-x86_64 ended with 2\.0\.1"):
        ensure(world.with_(version="2.5.0", flavor="cu117"))
    assert world.site.requests == []
    assert not world.settings.home.exists()


def test_a_nix_sandbox_is_refused_before_any_socket(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libtorch_ffi.provision.sandbox._routed", lambda *_: False)
    with pytest.raises(NotFoundError, match="buildInputs"):
        ensure(world.with_(environ={"NIX_BUILD_TOP": "/build"}))
    assert world.site.requests == []


def test_a_nix_build_top_beside_a_network_is_no_sandbox(cpu_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libtorch_ffi.provision.sandbox._routed", lambda *_: True)
    assert_verifies(ensure(cpu_world.with_(environ={"NIX_BUILD_TOP": "/build"})).prefix)


@pytest.mark.network
def test_a_nix_build_top_set_by_hand_downloads_as_usual(cpu_world: World) -> None:
    assert_verifies(ensure(cpu_world.with_(environ={"NIX_BUILD_TOP": "/build"})).prefix)


def test_locate_never_downloads_and_lists_the_places(cpu_world: World) -> None:
    with pytest.raises(NotFoundError) as caught:
        locate(cpu_world.settings)
    message = str(caught.value)
    assert message.index("given") < message.index("system") < message.index(str(cpu_world.settings.home))
    assert "libtorch-ffi install" in message
    assert cpu_world.site.requests == []
    ensure(cpu_world.settings)
    assert locate(cpu_world.settings).origin == "cache"


def test_modes_come_from_the_umask(cpu_world: World) -> None:
    before = os.umask(0o027)
    try:
        tree = ensure(cpu_world.settings).prefix
    finally:
        os.umask(before)
    modes = {
        name: stat.S_IMODE((tree / name).stat().st_mode)
        for name in ("lib/libc10.so", "include/ATen/ATen.h", ".ok", "lib")
    }
    assert modes == {"lib/libc10.so": 0o750, "include/ATen/ATen.h": 0o640, ".ok": 0o640, "lib": 0o750}


def test_the_runtime_of_another_platform_is_not_taken(cuda_world: World) -> None:
    data = cuda_world.site.files[f"/files/{RUNTIME}"][1]
    cuda_world.list_on_pypi("nvidia-cuda-runtime-cu99", {RUNTIME.replace("x86_64", "aarch64"): data})
    with pytest.raises(DownloadError, match=r"libcudart\.so\.99"):
        ensure(cuda_world.settings)
