"""`verify`, `which`, `prune`, `download`, `install --from` and `list --available`, as a person asks them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command_line import put

from libtorch_ffi.provision.targets import host_platform

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Answer


@pytest.mark.parametrize("options", [(), ("--full",)])
def test_a_sound_tree(ask: Callable[..., Answer], tree: Path, options: tuple[str, ...]) -> None:
    answer = ask("verify", *options)
    hashed = 3 if options else 0
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"{tree}: 3 files are as installed, {hashed} of them hashed\n"


def test_damage_is_listed_and_ends_in_6(ask: Callable[..., Answer], tree: Path) -> None:
    (tree / "include").mkdir()
    (tree / "include/new.h").write_text("!")
    answer = ask("verify")
    assert (answer.code, answer.out) == (6, "include/new.h: was not installed\n")
    assert "verify --repair" in answer.err
    assert answer.err.count("\n") == 1
    facts = json.loads(ask("verify", "--json").out)
    assert facts["damage"] == [{"name": "include/new.h", "problem": "was not installed"}]


def test_verify_of_nothing(ask: Callable[..., Answer]) -> None:
    answer = ask("verify")
    assert (answer.code, answer.out) == (4, "")
    assert "libtorch-ffi install" in answer.err


def test_which(ask: Callable[..., Answer], tree: Path) -> None:
    assert ask("which").out == f"{tree}\n"
    facts = json.loads(ask("which", "--json").out)
    assert (facts["path"], facts["origin"], facts["version"]) == (str(tree), "cache", "2.5.0")
    answer = ask("which", "--version", "2.4.0")
    assert (answer.code, answer.out) == (4, "")


def test_install_and_remove_as_json(ask: Callable[..., Answer], tree: Path) -> None:
    assert json.loads(ask("install", "--json").out)["path"] == str(tree)
    freed = json.loads(ask("remove", "--json").out)
    assert freed["path"] == str(tree)
    assert freed["freed"] > 3000


def test_prune(ask: Callable[..., Answer], home: Path, tree: Path) -> None:
    dead = tree.parent / ".cpu.staging-1-1"
    dead.mkdir()
    (dead / "file").write_bytes(bytes(3_000_000))
    other = put(home, "2.4.0")
    (other / ".ok").unlink()
    assert [row["path"] for row in json.loads(ask("list", "--json").out) if not row["usable"]] == [str(other)]
    answer = ask("prune")
    assert (answer.code, answer.err) == (0, "")
    assert f"removed {dead}: 3 MB freed\n" in answer.out
    assert f"removed {other}: 0 MB freed\n" in answer.out
    assert json.loads(ask("prune", "--json").out) == []


def test_what_is_published(ask: Callable[..., Answer]) -> None:
    rows = [line.split("\t") for line in ask("list", "--available").out.splitlines()]
    assert ["2.5.0", "linux-x86_64", "cpu cu118 cu121 cu124"] in rows
    facts = json.loads(ask("list", "--available", "--json").out)
    assert len(facts) == len(rows)
    assert facts[0]["version"] == "2.0.0"


def test_a_download_is_written_once_it_verifies(ask: Callable[..., Answer], tree: Path, tmp_path: Path) -> None:
    answer = ask("download", str(tmp_path / "stick"))
    archive = tmp_path / f"stick/libtorch-2.5.0-{host_platform()}-cpu.zip"
    assert (answer.code, answer.out, answer.err) == (0, f"{archive}\n", "")
    stated = json.loads((tmp_path / "stick/manifest.json").read_text())
    assert (stated["version"], stated["archive"]) == ("2.5.0", archive.name)
    (tree / "lib/evil.so").write_text("!")
    assert ask("download", str(tmp_path / "other")).code == 6


def test_a_bundle_that_is_not_there(ask: Callable[..., Answer], tmp_path: Path) -> None:
    answer = ask("install", "--from", str(tmp_path))
    assert (answer.code, answer.out) == (4, "")
    assert "libtorch-ffi download" in answer.err
