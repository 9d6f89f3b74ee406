"""Trees that are here already: given, the system's, and an installed torch's; and the report on every place."""

from __future__ import annotations

import shutil
import sysconfig
from dataclasses import replace
from typing import TYPE_CHECKING

import archives
import pytest

from libtorch_ffi.errors import IntegrityError, NotFoundError, TargetError
from libtorch_ffi.provision import Settings, ensure, probe_sources, survey, trees

if TYPE_CHECKING:
    from pathlib import Path

    from world import World


def write_tree(root: Path, *, cuda: bool = False) -> Path:
    """Write a libtorch as a wheel or a zip unpacks it."""
    libraries = {f"lib/{name}": data for name, data in archives.libraries(cuda=cuda).items()}
    for name, data in {**archives.headers(), **libraries}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(platform="linux-x86_64", home=tmp_path / "home", environ={})


def test_a_given_tree_is_described(settings: Settings, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "libtorch")
    found = ensure(replace(settings, libtorch=root))
    assert (found.version, found.flavor, found.platform, found.origin) == ("9.9.9", "cpu", "linux-x86_64", "given")
    assert (found.prefix, found.cxx11_abi, found.cxx_standard) == (root, True, 17)


@pytest.mark.parametrize("inner", [True, False])
def test_a_split_tree_is_given_by_its_two_prefixes_or_folders(inner: bool, settings: Settings, tmp_path: Path) -> None:
    write_tree(tmp_path / "out")
    (tmp_path / "dev").mkdir()
    shutil.move(tmp_path / "out/include", tmp_path / "dev/include")
    include, lib = (tmp_path / "dev/include", tmp_path / "out/lib") if inner else (tmp_path / "dev", tmp_path / "out")
    found = ensure(replace(settings, include=include, lib=lib))
    assert found.include_dirs[0] == tmp_path / "dev/include"
    assert found.library_dirs == (tmp_path / "out/lib",)
    assert found.prefix == tmp_path / "out"


@pytest.mark.parametrize(
    ("build_version", "flavor"), [("9.9.9+cu118\n", "cu118"), ("9.9.9+rocm6.2\n", "rocm6.2"), (None, "cu99")]
)
def test_the_flavor_of_a_given_tree(build_version: str | None, flavor: str, settings: Settings, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "libtorch", cuda=True)
    if build_version:
        (root / "build-version").write_text(build_version)
    found = ensure(replace(settings, libtorch=root))
    assert found.flavor == flavor
    assert "torch_cuda" in found.libraries


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (shutil.rmtree, "not a folder"),
        (lambda root: shutil.rmtree(root / "lib"), "no libtorch.so"),
        (lambda root: (root / "lib/libc10.so").unlink(), r"no libc10\.so"),
        (lambda root: shutil.rmtree(root / "include/ATen"), r"ATen\.h does not exist"),
        (lambda root: shutil.rmtree(root / "include/torch"), "version of the libtorch"),
    ],
)
def test_a_given_tree_that_is_none_says_what_is_missing(
    harm: object, words: str, settings: Settings, tmp_path: Path
) -> None:
    root = write_tree(tmp_path / "libtorch")
    assert callable(harm)
    harm(root)
    with pytest.raises(NotFoundError, match=words) as caught:
        ensure(replace(settings, libtorch=root))
    assert "LIBTORCH" in str(caught.value)


def test_a_given_library_that_is_none_is_an_error(settings: Settings, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "libtorch")
    (root / "lib/libc10.so").write_text("INPUT(-lc)")
    with pytest.raises(IntegrityError, match="not a shared library"):
        ensure(replace(settings, libtorch=root))


def test_half_a_split_tree_is_an_error(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="LIBTORCH_LIB is set and LIBTORCH_INCLUDE is not"):
        ensure(replace(settings, lib=tmp_path))


@pytest.mark.parametrize(
    ("changes", "name"), [({"version": "2.5.0"}, "LIBTORCH_VERSION"), ({"flavor": "cu118"}, "LIBTORCH_CUDA_VERSION")]
)
def test_a_given_tree_that_contradicts_what_was_asked_for_is_an_error(
    changes: dict[str, str], name: str, settings: Settings, tmp_path: Path
) -> None:
    root = write_tree(tmp_path / "libtorch")
    with pytest.raises(TargetError, match=name):
        ensure(replace(settings, libtorch=root, **changes))  # type: ignore[arg-type]


def test_the_installed_torch_is_found_where_sysconfig_says(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(tmp_path / "torch")
    (tmp_path / "torch/version.py").write_text("__version__ = '9.9.9+cpu'\n")
    monkeypatch.setattr(sysconfig, "get_paths", lambda *_: {"purelib": str(tmp_path), "platlib": str(tmp_path)})
    found = ensure(replace(settings, source="torch"))
    assert (found.origin, found.prefix) == ("torch", tmp_path / "torch")


def test_no_installed_torch_names_the_folders(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "_site_folders", lambda: iter([tmp_path / "site-packages"]))
    with pytest.raises(NotFoundError, match="site-packages"):
        ensure(replace(settings, source="torch"))


def test_the_system_is_searched_and_every_place_is_listed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "SYSTEM_PREFIXES", (str(tmp_path / "one"), str(tmp_path / "two")))
    monkeypatch.setenv("CXX", "/nonexistent/c++")
    asked = replace(settings, skip_download=True)
    with pytest.raises(NotFoundError) as caught:
        ensure(asked)
    message = str(caught.value)
    assert message.index("compiler") < message.index("one") < message.index("two")
    write_tree(tmp_path / "two")
    found = ensure(asked)
    assert (found.origin, found.prefix) == ("system", tmp_path / "two")


@pytest.mark.compile
def test_what_the_compiler_finds_by_itself_comes_first(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler")
    root = write_tree(tmp_path / "libtorch")
    write_tree(tmp_path / "prefix")
    monkeypatch.setattr(trees, "SYSTEM_PREFIXES", (str(tmp_path / "prefix"),))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("CPATH", str(root / "include"))
    monkeypatch.setenv("LIBRARY_PATH", str(root / "lib"))
    found = ensure(replace(settings, skip_download=True))
    assert (found.prefix, found.include_dirs[0]) == (root, root / "include")


def test_the_survey_names_every_place_in_order_and_the_one_that_is_used(cpu_world: World) -> None:
    places = survey(cpu_world.settings)
    assert [place.name for place in places] == ["given", "torch", "system", "cache", "sandbox", "download"]
    assert [place.name for place in places if place.used] == ["download"]
    assert cpu_world.site.requests == []
    ensure(cpu_world.settings)
    assert [place.name for place in survey(cpu_world.settings) if place.used] == ["cache"]


def test_the_survey_tells_of_a_given_tree_that_is_none(settings: Settings, tmp_path: Path) -> None:
    places = survey(replace(settings, libtorch=tmp_path / "nowhere"))
    assert places[0].used
    assert places[0].libtorch is None
    assert "not a folder" in places[0].verdict


def test_sources_are_probed(cpu_world: World) -> None:
    cpu_world.site.misbehave("/whl/cpu/torch/", "403")
    probes = {probe.source: probe for probe in probe_sources(cpu_world.settings)}
    assert list(probes) == ["official-wheel", "pypi", "official-zip"]
    assert not probes["official-wheel"].reachable
    assert probes["pypi"].reachable
    assert probes["official-zip"].reachable
