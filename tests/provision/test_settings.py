"""The environment variables: defaults, accepted values, and what each bad value is answered with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from platformdirs.unix import Unix

from libtorch_ffi.errors import SettingError
from libtorch_ffi.provision import Settings
from libtorch_ffi.provision.settings import check_platform, default_home


def test_defaults_where_nothing_is_set() -> None:
    settings = Settings.from_environment({"HOME": "/h"})
    assert (settings.target.version, settings.target.flavor) == ("2.5.0", "cpu")
    assert settings.version is None
    assert not settings.skip_download


@pytest.mark.parametrize("cache", [None, "/elsewhere/cache"])
def test_home_is_platformdirs_unix_rule(cache: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if cache is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
    environ = {} if cache is None else {"XDG_CACHE_HOME": cache}
    assert default_home(environ) == Path(Unix("libtorch", appauthor=False).user_cache_dir)


def test_a_cache_folder_that_is_not_absolute_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_home({"XDG_CACHE_HOME": "some/where"}) == tmp_path / ".cache/libtorch"


@pytest.mark.parametrize("variables", [{"LIBTORCH_HOME": "~no-such-user/cache"}, {"LIBTORCH": "~no-such-user/tree"}])
def test_a_home_folder_that_nobody_has_is_an_error(variables: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=r"~no-such-user/.* begins with the home folder"):
        Settings.from_environment(variables)


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    with pytest.raises(SettingError, match="Set HOME, or LIBTORCH_HOME"):
        default_home({})


@pytest.mark.parametrize("name", ["LIBTORCH", "LIBTORCH_HOME", "LIBTORCH_INCLUDE", "LIBTORCH_LIB", "LIBTORCH_SOURCE"])
@pytest.mark.parametrize("end", ["\n", "\r"])
def test_a_line_break_in_a_path_is_refused(name: str, end: str) -> None:
    with pytest.raises(SettingError, match=r"'/cache.*shared: False.*' has a line break"):
        Settings.from_environment({name: f"/cache{end}shared: False"})


def test_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_home({"LIBTORCH_HOME": "some/../where"}) == tmp_path / "where"


@pytest.mark.parametrize("value", ["", "0", "1", "no"])
def test_skip_download_counts_when_set_at_all(value: str) -> None:
    assert Settings.from_environment({"LIBTORCH_SKIP_DOWNLOAD": value}).skip_download


@pytest.mark.parametrize(
    "name", ["LIBTORCH", "LIBTORCH_VERSION", "LIBTORCH_CUDA_VERSION", "LIBTORCH_SOURCE", "LIBTORCH_MIRROR"]
)
def test_other_variables_count_as_unset_when_empty(name: str) -> None:
    assert Settings.from_environment({name: " "}) == Settings.from_environment({})


@pytest.mark.parametrize("flavor", ["cpu", "cu92", "cu118", "cu1310", "rocm6.2", "rocm6.2.4", "xpu"])
def test_flavors_that_are_well_formed_are_accepted(flavor: str) -> None:
    assert Settings.from_environment({"LIBTORCH_CUDA_VERSION": flavor}).target.flavor == flavor


BAD = [
    ("LIBTORCH_CUDA_VERSION", "cuda118", "LIBTORCH_CUDA_VERSION=cu118"),
    ("LIBTORCH_CUDA_VERSION", "11.8", "LIBTORCH_CUDA_VERSION=cu118"),
    ("LIBTORCH_CUDA_VERSION", "CU118", "LIBTORCH_CUDA_VERSION=cu118"),
    ("LIBTORCH_CUDA_VERSION", "cuda-12.4", "LIBTORCH_CUDA_VERSION=cu124"),
    ("LIBTORCH_CUDA_VERSION", "CPU", "LIBTORCH_CUDA_VERSION=cpu"),
    ("LIBTORCH_CUDA_VERSION", "rocm-6.2", "LIBTORCH_CUDA_VERSION=rocm6.2"),
    ("LIBTORCH_VERSION", "2.5", "2.5.0, 2.5.1"),
    ("LIBTORCH_VERSION", "v2.5.0", "LIBTORCH_VERSION=2.5.0"),
    ("LIBTORCH_VERSION", "2.5.0+cu124", "LIBTORCH_VERSION=2.5.0 with LIBTORCH_CUDA_VERSION=cu124"),
    ("LIBTORCH_VERSION", "latest", "three numbers"),
    ("LIBTORCH_SOURCE", "PyPI", "pypi"),
    ("LIBTORCH_SOURCE", "official-wheels", "official-wheel"),
    ("LIBTORCH_MIRROR", "mirror.example", "LIBTORCH_MIRROR=https://mirror.example"),
    ("LIBTORCH_INDEX_URL", "ftp://x", "https://"),
    ("LIBTORCH_SHA256", "abc", "64 hexadecimal digits"),
]


@pytest.mark.parametrize(("name", "value", "help_"), BAD, ids=[f"{name}={value}" for name, value, _ in BAD])
def test_a_bad_value_names_variable_value_and_near_miss(name: str, value: str, help_: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings.from_environment({name: value})
    message = str(caught.value)
    assert name in message
    assert repr(value) in message
    assert help_ in message
    assert "\n" not in message


def test_a_platform_is_checked() -> None:
    assert check_platform("macos-arm64") == "macos-arm64"
    with pytest.raises(SettingError, match="Did you mean linux-aarch64"):
        check_platform("linux-arch64")
