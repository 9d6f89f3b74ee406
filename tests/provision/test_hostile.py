"""Archives that lie: each is refused for its own reason, nothing is written outside of the cache, nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import archives
import hostile
import pytest
from world import assert_nothing_left, assert_verifies

from libtorch_ffi.errors import IntegrityError
from libtorch_ffi.provision import ensure

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

ZIP = "/libtorch/cpu/libtorch-shared-with-deps-9.9.9+cpu.zip"


def _take(world: World, data: bytes) -> Path:
    """Install an archive whose digest is the one that was asked for: only what it holds can be wrong."""
    world.site.put(ZIP, data)
    return ensure(world.with_(source="official-zip", sha256=archives.sha256(data))).prefix


def test_the_archive_without_a_lie_is_taken(world: World) -> None:
    assert_verifies(_take(world, hostile.packed(list(hostile.whole()))))


def test_there_are_many_lies() -> None:
    assert len(hostile.LIES) >= 60
    assert len({data for data, _ in hostile.LIES.values()}) == len(hostile.LIES)


@pytest.mark.parametrize("lie", hostile.LIES)
def test_a_lie_is_refused_for_its_own_reason(lie: str, world: World, tmp_path: Path) -> None:
    data, reason = hostile.LIES[lie]
    before = {*tmp_path.iterdir(), *tmp_path.parent.iterdir()} - {world.settings.home}
    with pytest.raises(IntegrityError, match=reason) as caught:
        _take(world, data)
    assert "\n" not in str(caught.value)
    assert "Nothing was kept" in str(caught.value)
    after = {*tmp_path.iterdir(), *tmp_path.parent.iterdir()} - {world.settings.home}
    assert after == before
    assert_nothing_left(world.settings.home)
