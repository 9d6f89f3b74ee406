"""Bad input as a person gives it: each ends in one paragraph that says what to do, on stderr, and a code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from command_line import put

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Answer


def assert_paragraph(answer: Answer, code: int, *parts: str) -> None:
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith("libtorch-ffi: ")
    assert answer.err.count("\n") == 1
    for part in parts:
        assert part in answer.err


@pytest.mark.parametrize(
    ("variable", "value", "meant"),
    [
        ("LIBTORCH_VERSION", "2.5", "2.5.1"),
        ("LIBTORCH_VERSION", "v2.5.0", "LIBTORCH_VERSION=2.5.0"),
        ("LIBTORCH_VERSION", "latest", "2.5.0"),
        ("LIBTORCH_CUDA_VERSION", "cuda118", "LIBTORCH_CUDA_VERSION=cu118"),
        ("LIBTORCH_CUDA_VERSION", "11.8", "LIBTORCH_CUDA_VERSION=cu118"),
        ("LIBTORCH_CUDA_VERSION", "gpu", "cpu"),
        ("LIBTORCH_SOURCE", "pipy", "pypi"),
        ("LIBTORCH_MIRROR", "mirror.example", "https://mirror.example"),
        ("LIBTORCH_INDEX_URL", "ftp://mirror.example", "https://"),
    ],
)
@pytest.mark.parametrize("command", [("install",), ("config", "--prefix"), ("doctor", "--offline")])
def test_typo_in_a_variable(
    ask: Callable[..., Answer],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    meant: str,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setenv(variable, value)
    answer = ask(*command)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    for part in (variable, repr(value), meant):
        assert part in answer.err


@pytest.mark.parametrize(
    ("option", "value", "meant"),
    [
        ("--version", "2.5", "2.5.1"),
        ("--flavor", "cuda118", "--flavor cu118"),
        ("--platform", "linux-x86-64", "linux-x86_64"),
    ],
)
@pytest.mark.parametrize("command", ["install", "remove"])
def test_typo_in_an_option_is_told_in_its_name(
    ask: Callable[..., Answer], option: str, value: str, meant: str, command: str
) -> None:
    answer = ask(command, option, value)
    assert_paragraph(answer, 2, repr(value), meant, option.strip("-"))
    assert "LIBTORCH_" not in answer.err


def test_flavor_that_ended_before_the_version(ask: Callable[..., Answer], home: Path) -> None:
    answer = ask("install", "--flavor", "cu117", "--platform", "linux-x86_64")
    assert_paragraph(answer, 3, "cu117", "2.0.1", "cu118")
    assert not home.exists()


def test_cuda_on_macos(ask: Callable[..., Answer], home: Path) -> None:
    answer = ask("install", "--flavor", "cu118", "--platform", "macos-arm64")
    assert_paragraph(answer, 3, "macOS", "cpu")
    assert not home.exists()


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_file_where_a_folder_should_be(
    ask: Callable[..., Answer], home: Path, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBTORCH_SKIP_DOWNLOAD", "")
    monkeypatch.setenv("PATH", "")
    folder = home / "2.5.0" / "linux-x86_64" / "cpu"
    file = (folder, *folder.parents)[3 - depth]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("in the way")
    answer = ask("config", "--prefix")
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert answer.code == 4


def test_half_removed_tree_is_not_used(ask: Callable[..., Answer], tree: Path) -> None:
    (tree / ".ok").unlink()
    assert_paragraph(ask("config", "--prefix"), 4, str(tree), "libtorch-ffi install")


def test_tree_whose_library_was_cut_off_is_not_used(ask: Callable[..., Answer], tree: Path) -> None:
    library = next((tree / "lib").glob("libc10.*"))
    library.write_bytes(b"x")
    assert_paragraph(ask("config", "--prefix"), 4, library.name, "libtorch-ffi install")


@pytest.mark.parametrize("value", ["", "1", "0"])
def test_skip_download_never_downloads(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, home: Path, value: str
) -> None:
    put(home, "2.4.0")
    monkeypatch.setenv("LIBTORCH_SKIP_DOWNLOAD", value)
    assert_paragraph(ask("install"), 4, "LIBTORCH_SKIP_DOWNLOAD", "LIBTORCH")


def test_given_folder_that_is_no_libtorch(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIBTORCH", str(tmp_path))
    assert_paragraph(ask("config", "--prefix"), 4, "LIBTORCH", str(tmp_path))
