"""Whatever is thrown at an overload, the process lives.

`fuzz_worker` draws the calls and makes them in processes of their own. What brings libtorch itself down is in
``tests/crashes.txt``; what of that has a check here is called like all else.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from schemas import all_schemas, crashing, refused
from workers import run

if TYPE_CHECKING:
    from types import ModuleType

    from workers import Report


def _fuzz(examples: int, names: list[str], library: str = "libtorch_ffi", batch: int = 900) -> Report:
    options = {"FUZZ_EXAMPLES": str(examples), "FUZZ_LIBRARY": library}
    return run("fuzz_worker.py", names, batch=batch, options=options)


def _of_libtorch() -> set[str]:
    """Return what a process has that has registered nothing: other tests register operators, and so does torch."""
    program = "from libtorch_ffi._binding import core; print(*core.operators())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def _check(examples: int, figures: list[str], calls: int) -> None:
    present = _of_libtorch()
    names = [schema.full_name for schema in all_schemas() if schema.full_name.removesuffix(".default") in present]
    names = [name for name in names if name not in crashing() or name in refused()]
    report = _fuzz(examples, names)
    made, answered = (sum(counts[i] for counts in report.done.values()) for i in (0, 1))
    figures.append(f"fuzzer: {len(report.done)} overloads, {made} calls, {answered} of them answered")
    assert report.crashes == {}
    assert len(report.done) == len(names) > 3300
    assert made >= calls
    assert answered > calls // 10


@pytest.mark.slow
def test_no_overload_crashes(figures: list[str]) -> None:
    """Some calls of every overload that libtorch has."""
    _check(2, figures, calls=70_000)


@pytest.mark.campaign
def test_no_overload_crashes_at_length(figures: list[str]) -> None:
    """More of them."""
    _check(12, figures, calls=400_000)


@pytest.mark.campaign
def test_what_crashes_here_crashes_torch_too(torch: ModuleType, figures: list[str]) -> None:
    """The list holds nothing that torch survives: the same calls, a process for each overload."""
    names = [name for name in crashing() if name.startswith(("aten::", "mkldnn::"))]
    ours, theirs = (_fuzz(40, names, library, batch=1) for library in ("libtorch_ffi", "torch"))
    figures.append(f"crashes: {len(ours.crashes)} here, {len(theirs.crashes)} in torch")
    assert sorted(set(ours.crashes) - set(theirs.crashes)) == []
