"""Every public operator answers what torch's answers, and raises what torch's raises.

The calls are drawn from the schemas, by `differential`; `differential_worker` makes them in torch and here, in
processes of their own, and says which of torch's forms are left out and why.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from schemas import all_schemas, crashing
from workers import run

if TYPE_CHECKING:
    from types import ModuleType

    from schemas import Schema
    from workers import Report


def _is_public(schema: Schema) -> bool:
    """Tell whether people call it: no helper of a backend, of autograd or of another operator."""
    internal = schema.name.startswith("_") and not schema.name.startswith("_foreach_")
    backend = schema.name.startswith(("mkldnn", "native_"))
    reads_files = schema.name == "from_file"
    return schema.namespace == "aten" and not (internal or backend or reads_files or "backward" in schema.name)


def _compare(attempts: int, answers: int) -> tuple[Report, Counter[str]]:
    """Compare every public operator: so many attempts each, or so many that torch answers."""
    names = [s.full_name for s in all_schemas() if _is_public(s) and s.full_name not in crashing()]
    options = {"DIFFERENTIAL_ATTEMPTS": str(attempts), "DIFFERENTIAL_SUCCESSES": str(answers)}
    report = run("differential_worker.py", names, batch=len(names) // 4 + 1, options=options)
    counts: Counter[str] = Counter()
    for one, _ in report.done.values():
        counts.update(one)
        counts["overloads"] += 1
        counts["answered"] += any(key.endswith(": answered") for key in one)
    return report, counts


def _check(report: Report, counts: Counter[str], figures: list[str], calls: int) -> None:
    operators = {name.partition(".")[0] for name in report.done}
    made = sum(number for key, number in counts.items() if key.endswith((": answered", ": raised")))
    figures.append(
        f"differential: {len(operators)} operators, {counts['overloads']} overloads ({counts['answered']} of them "
        f"answered), {made} calls and {counts['gradient']} gradients compared with torch"
    )
    assert report.crashes == {}
    assert {name: found for name, (_, found) in report.done.items() if found} == {}
    assert len(operators) > 1000
    assert counts["answered"] > 1700
    assert made > calls
    assert min(counts[f"{face}: answered"] for face in ("exact", "function", "method")) > calls // 20
    assert counts["gradient"] > 800


@pytest.mark.slow
def test_operators_do_what_torchs_do(torch: ModuleType, figures: list[str]) -> None:
    """Results bit for bit, changed arguments, types of errors, gradients: by exact name, function and method."""
    report, counts = _compare(attempts=12, answers=2)
    _check(report, counts, figures, calls=50_000)


@pytest.mark.campaign
def test_operators_do_what_torchs_do_at_length(torch: ModuleType, figures: list[str]) -> None:
    """The same with more calls of each."""
    report, counts = _compare(attempts=40, answers=5)
    _check(report, counts, figures, calls=150_000)
