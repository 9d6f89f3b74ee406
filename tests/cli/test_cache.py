"""`install`, `list` and `remove`, on a cache that has what is asked for, and on one that can't be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from command_line import put

from libtorch_ffi.provision.targets import host_platform

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from command_line import Answer


def test_install_of_what_is_there_prints_its_folder(ask: Callable[..., Answer], tree: Path) -> None:
    answer = ask("install")
    assert (answer.code, answer.out, answer.err) == (0, f"{tree}\n", "")


def test_install_options_go_before_the_environment(
    ask: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    folder = put(other, "2.4.0", "cu118")
    monkeypatch.setenv("LIBTORCH_VERSION", "2.5.0")
    monkeypatch.setenv("LIBTORCH_CUDA_VERSION", "cpu")
    options = ("--version", "2.4.0", "--flavor", "cu118", "--home", str(other), "--platform", host_platform())
    answer = ask("install", *options)
    assert (answer.code, answer.out, answer.err) == (0, f"{folder}\n", "")


def test_list(ask: Callable[..., Answer], home: Path) -> None:
    old, new = put(home, "2.4.0", "cu118"), put(home)
    (new / "lib" / "libc10.so").unlink(missing_ok=True)
    (new / "lib" / "libc10.dylib").unlink(missing_ok=True)
    answer = ask("list")
    assert (answer.code, answer.err) == (0, "")
    rows = [line.split("\t") for line in answer.out.splitlines()]
    assert rows[0] == ["2.4.0", "cu118", host_platform(), "0 MB", str(old)]
    assert rows[1][:5] == ["2.5.0", "cpu", host_platform(), "0 MB", str(new)]
    assert "not usable" in rows[1][5]
    assert "libc10" in rows[1][5]


def test_list_as_json(ask: Callable[..., Answer], tree: Path) -> None:
    answer = ask("list", "--json")
    assert (answer.code, answer.err) == (0, "")
    (facts,) = json.loads(answer.out)
    assert facts.pop("size") > 3000
    assert facts.pop("verdict")
    assert facts == {
        "version": "2.5.0",
        "flavor": "cpu",
        "platform": host_platform(),
        "path": str(tree),
        "usable": True,
        "source": "pypi",
    }


def test_list_of_another_home_and_of_none(ask: Callable[..., Answer], tree: Path, tmp_path: Path) -> None:
    assert ask("list", "--home", str(tree.parents[2])).out.count("\n") == 1
    answer = ask("list", "--home", str(tmp_path / "none"))
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_remove(ask: Callable[..., Answer], home: Path) -> None:
    gone, kept = put(home, "2.4.0", "cu118"), put(home)
    answer = ask("remove", "--version", "2.4.0", "--flavor", "cu118", "--platform", host_platform())
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"removed libtorch 2.4.0 cu118 for {host_platform()} from {home}: 0 MB freed\n"
    assert not gone.exists()
    assert kept.is_dir()


def test_remove_what_is_not_there_lists_what_is(ask: Callable[..., Answer], tree: Path) -> None:
    answer = ask("remove", "--version", "2.4.0")
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.count("\n") == 1
    assert f"It holds libtorch 2.5.0 cpu for {host_platform()}" in answer.err
    assert tree.is_dir()


def test_remove_from_an_empty_cache(ask: Callable[..., Answer], home: Path) -> None:
    answer = ask("remove", "--home", str(home))
    assert (answer.code, answer.out) == (4, "")
    assert "It holds none" in answer.err
