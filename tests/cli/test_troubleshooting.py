"""The README's troubleshooting: what it quotes is what the program says on a machine with that trouble."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi._load as loading
from libtorch_ffi.cli import findings
from libtorch_ffi.errors import LoadError
from libtorch_ffi.provision import driver, trees

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_line import Answer

README = Path(__file__).resolve().parents[2] / "README.md"


def _quoted(beginning: str) -> list[str]:
    """Return what the entry of a beginning quotes, as patterns: an ellipsis stands for any text."""
    section = " ".join(README.read_text(encoding="utf-8").partition("## Troubleshooting")[2].split())
    entry = section.partition(f"- **{beginning}")[2].partition(" - **")[0]
    found = re.findall(r'"([^"]+)"', entry)
    assert found, beginning
    return [re.escape(quote).replace("…", ".*") for quote in found]


def test_a_download_failed(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LIBTORCH_MIRROR", "LIBTORCH_INDEX_URL"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    answer = ask("install")
    assert answer.code == 5
    assert all(re.search(quote, answer.err) for quote in _quoted("A download failed"))


def test_half_of_an_install(ask: Callable[..., Answer], tree: Path) -> None:
    half, gone = _quoted("An install was killed")
    library = next((tree / "lib").glob("libc10.*"))
    library.unlink()
    assert re.search(gone, ask("config", "--prefix").err)
    (tree / ".ok").unlink()
    assert re.search(half, ask("config", "--prefix").err)
    assert re.search(half, ask("doctor", "--offline").out)


def test_a_libtorch_of_ones_own(ask: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBTORCH", str(tmp_path))
    (quote,) = _quoted("A libtorch of your own")
    assert re.search(quote, ask("config", "--prefix").err)
    assert re.search(quote, ask("doctor", "--offline").out)


def test_a_driver_that_is_older(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBTORCH_CUDA_VERSION", "cu124")
    monkeypatch.setattr(driver, "cuda_of_driver", lambda: (11, 4))
    (quote,) = _quoted("A CUDA flavor and an older driver")
    assert re.search(quote, ask("doctor", "--offline").out)


def test_a_system_without_one(ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "SYSTEM_PREFIXES", ())
    monkeypatch.setattr(trees, "_compilers_places", lambda _: iter(()))
    monkeypatch.setenv("LIBTORCH_SKIP_DOWNLOAD", "1")
    (quote,) = _quoted("The system's libtorch, or torch's")
    assert re.search(quote, ask("install").err)
    assert re.search(quote, ask("doctor", "--offline").out)


def test_a_home_that_is_in_the_way(ask: Callable[..., Answer], home: Path) -> None:
    home.write_text("in the way")
    (quote,) = _quoted("The cache folder can't be used")
    assert re.search(quote, ask("install").err)


def test_the_extensions_libtorch_is_gone(ask: Callable[..., Answer], tmp_path: Path) -> None:
    built: Any = {"version": "2.4.0", "flavor": "cpu", "cxx11_abi": True, "origin": "cache"}
    built |= {"prefix": str(tmp_path), "library_dirs": [str(tmp_path / "lib")], "sizes": {"libc10.so": 1}}
    (quote,) = _quoted("`import libtorch_ffi` raises LoadError")
    with pytest.raises(LoadError, match=quote):
        loading._find_elsewhere(built)


def test_every_finding_stands_in_an_entry() -> None:
    source = Path(findings.__file__).read_text(encoding="utf-8")
    ids = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source))
    section = README.read_text(encoding="utf-8").partition("## Troubleshooting")[2].partition("## Figures")[0]
    told = {name for names in re.findall(r"\((`[a-z`,\s-]+`)\)", section) for name in re.findall(r"[a-z-]+", names)}
    assert told == ids
    assert len(ids) >= 18


def test_a_flavor_that_never_was(ask: Callable[..., Answer]) -> None:
    answer = ask("install", "--flavor", "cu117", "--platform", "linux-x86_64")
    assert re.search("There is no libtorch .*", answer.err)
    assert '"There is no libtorch …"' in README.read_text(encoding="utf-8")
