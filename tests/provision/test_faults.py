"""A short fault campaign; `benchmarks/faults.py` runs the long one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

    from servers import Server

BENCHMARK = Path(__file__).parents[2] / "benchmarks/faults.py"


@pytest.fixture
def faults() -> ModuleType:
    spec = importlib.util.spec_from_file_location("faults", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["faults"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_second_user_shares_a_cache_of_a_group(faults: ModuleType, server: Server) -> None:
    if not faults.has_second_user():
        pytest.skip("only root can play another user, who must be able to read this Python and the package")
    campaign = faults.Campaign(server)
    faults.populate(server)
    faults.second_user(campaign)
    assert campaign.failures == []
    assert campaign.counts["installs of a second user"] == 2


def test_installs_survive_kills_cuts_and_each_other(faults: ModuleType) -> None:
    campaign = faults.run(0.02, disks=False)
    assert campaign.failures == []
    assert campaign.counts["kills"] == 4
    assert campaign.counts["polls"] > 0
