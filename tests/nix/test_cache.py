"""Past one machine: what one store built, another takes from a signed cache, and builds nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flakes import Built, Flake

pytestmark = [pytest.mark.slow]


@dataclass(frozen=True)
class Cache:
    """A binary cache in a folder, and the key that its users are to trust."""

    url: str
    public_key: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder for a cache and for stores, whose files nobody may write to."""
    made = tmp_path_factory.mktemp("scaling")
    yield made
    subprocess.run(["chmod", "-R", "u+w", str(made)], check=True)
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def cache(real: Flake, built: Built, folder: Path) -> Cache:
    """Sign what was built, and put it into a cache with all that it needs."""
    secret, public = folder / "secret", folder / "public"
    subprocess.run(["nix-store", "--generate-binary-cache-key", "tests-1", secret, public], check=True)
    url = f"file://{folder}/cache?compression=none"
    for words in (["store", "sign", "--key-file", str(secret), "--recursive"], ["copy", "--to", url]):
        answer = real.nix(*words, str(built.out))
        assert answer.returncode == 0, answer.stderr
    return Cache(url, public.read_text().strip())


def _build_elsewhere(real: Flake, cache: Cache, store: Path, key: str) -> subprocess.CompletedProcess[str]:
    """Build in a store of its own, in which no builder may start."""
    settings = {"substituters": cache.url, "trusted-public-keys": key, "max-jobs": "0"}
    options = [word for name, value in settings.items() for word in ("--option", name, value)]
    return real.on("build", "--json", "--no-link", "--store", str(store), *options, output="libtorch-ffi-cpu")


def test_a_second_store_downloads_and_compiles_nothing(real: Flake, built: Built, cache: Cache, folder: Path) -> None:
    answer = _build_elsewhere(real, cache, folder / "second", cache.public_key)
    assert answer.returncode == 0, answer.stderr[-3000:]
    [made] = json.loads(answer.stdout)
    assert made["outputs"]["out"] == str(built.out)
    [extension] = built.out.glob("lib/python*/site-packages/libtorch_ffi/_C.*.so")
    copied = folder / "second" / extension.relative_to("/")
    assert copied.read_bytes() == extension.read_bytes()


def test_a_cache_that_nobody_vouches_for_is_not_used(real: Flake, cache: Cache, folder: Path) -> None:
    answer = _build_elsewhere(real, cache, folder / "third", "")
    assert answer.returncode != 0
    assert "lacks a valid signature" in answer.stderr or "unable to start any build" in answer.stderr
    assert list((folder / "third/nix/store").glob("*-libtorch-ffi-*[0-9]")) == []
