"""A short fault campaign; `benchmarks/faults.py` runs the long one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks/faults.py"


def test_installs_survive_kills_cuts_and_each_other() -> None:
    spec = importlib.util.spec_from_file_location("faults", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    faults = sys.modules["faults"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(faults)
    campaign = faults.run(0.02, disks=False)
    assert campaign.failures == []
    assert campaign.counts["kills"] == 4
    assert campaign.counts["polls"] > 0
