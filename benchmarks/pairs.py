"""Paired timings: two things measured in turns, round by round, so that a busy machine slows both alike.

Owns the measuring (`in_process`, `processes`), the result (`Paired`) and the table that the benchmarks print. Never
decides what is measured, and imports nothing but the standard library: the measuring process stays small, because Linux
counts the memory of a forked parent into the peak of its child.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    Statement = str | Callable[[], Any]

SAMPLE_SECONDS = 0.005
"""How long one in-process sample lasts at least: long against the clock's cost, short against a scheduler's slice."""

QUARTILES_FROM = 4
"""How many rounds it takes for quartiles to say something."""


def options(doc: str) -> argparse.Namespace:
    """Read the command line of a benchmark within one process: ``--rounds`` and ``--json``.

    Parameters
    ----------
    doc
        The benchmark's docstring, whose first line says what it measures.
    """
    import argparse  # here: a benchmark of processes needs none of it, and stays small

    parser = argparse.ArgumentParser(description=doc.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


@dataclass(frozen=True)
class Paired:
    """What the rounds of one comparison gave.

    Parameters
    ----------
    label
        What was compared.
    ours, theirs
        One figure a round, in the order in which they were taken; the figures of one round belong together.
    unit
        The unit of the figures: ``s``, ``bytes``, …
    limit
        The largest ratio that the project allows itself, or None where there is none.
    """

    label: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    unit: str = "s"
    limit: float | None = field(default=None)

    @property
    def our_median(self) -> float:
        """The median of our figures."""
        return statistics.median(self.ours)

    @property
    def their_median(self) -> float:
        """The median of their figures."""
        return statistics.median(self.theirs)

    @property
    def ratio(self) -> float:
        """The median over the rounds of ours / theirs: a slow round is slow for both, and cancels."""
        return statistics.median(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the ratio over the rounds, or the ratio twice where the rounds are too few to tell."""
        ratios = [a / b for a, b in zip(self.ours, self.theirs, strict=True)]
        if len(ratios) < QUARTILES_FROM:
            return self.ratio, self.ratio
        low, _, high = statistics.quantiles(ratios, n=4)
        return low, high

    @property
    def met(self) -> bool:
        """Whether the ratio is within the limit; True where there is none."""
        return self.limit is None or self.ratio <= self.limit


def in_process(
    label: str,
    ours: Statement,
    theirs: Statement,
    *,
    names: Mapping[str, Any] | None = None,
    rounds: int = 41,
    limit: float | None = None,
) -> Paired:
    """Time two statements, or callables of no arguments, in this process.

    A statement (text, run with ``names`` as its globals) is timed without the cost of a Python call around it, a
    callable with it. The garbage collector is off while a sample runs, as in `timeit`. The figures are seconds a call.
    """
    timers = [timeit.Timer(statement, globals=dict(names or {})) for statement in (ours, theirs)]
    loops = [_loops(timer) for timer in timers]
    samples: tuple[list[float], list[float]] = ([], [])
    for round_number in range(rounds):
        for which in _turns(round_number):
            samples[which].append(timers[which].timeit(loops[which]) / loops[which])
    return Paired(label, tuple(samples[0]), tuple(samples[1]), limit=limit)


@dataclass(frozen=True)
class Run:
    """One finished process: wall-clock seconds, and its peak of resident memory in bytes."""

    seconds: float
    peak: int


def run(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end, its output thrown away, and measure it.

    It runs in a folder for temporary files: a Python started in a checkout would import that in place of the package.

    Raises
    ------
    subprocess.CalledProcessError
        If it does not exit with 0; what it wrote to stderr is in the message's ``stderr``, and is repeated on ours.
    """
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, cwd=tempfile.gettempdir()
    ) as process:
        errors = process.stderr.read() if process.stderr is not None else b""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.stderr.buffer.write(errors)
        raise subprocess.CalledProcessError(process.returncode, list(command), stderr=errors)
    kilobytes = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB on Linux
    return Run(seconds, usage.ru_maxrss * kilobytes)


def processes(
    label: str,
    ours: Sequence[str | Path],
    theirs: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    rounds: int = 21,
    limits: tuple[float | None, float | None] = (None, None),
) -> tuple[Paired, Paired]:
    """Compare two commands, each round in fresh processes; returns the time and the peak of resident memory.

    ``limits`` are the largest ratios of the two. One run of each command goes before, unmeasured: it fills the page
    cache and writes the byte code. A peak below that of this process (some 15 MB) cannot be seen, see above.
    """
    commands = (ours, theirs)
    for command in commands:
        run(command, environment=environment)
    runs: tuple[list[Run], list[Run]] = ([], [])
    for round_number in range(rounds):
        for which in _turns(round_number):
            runs[which].append(run(commands[which], environment=environment))
    seconds = [tuple(one.seconds for one in side) for side in runs]
    peaks = [tuple(float(one.peak) for one in side) for side in runs]
    return (
        Paired(f"{label}: time", seconds[0], seconds[1], limit=limits[0]),
        Paired(f"{label}: peak memory", peaks[0], peaks[1], unit="bytes", limit=limits[1]),
    )


def geometric_mean(results: Sequence[Paired]) -> float:
    """Return the geometric mean of the ratios."""
    return statistics.geometric_mean(result.ratio for result in results)


def table(results: Sequence[Paired], *, ours: str = "ours", theirs: str = "theirs") -> str:
    """Lay the results out as a Markdown table, one row each, with the quartiles of the ratio and the limit."""
    rows: list[tuple[str, ...]] = [("", ours, theirs, "ratio", "quartiles", "at most")]
    for result in results:
        low, high = result.spread
        limit = "" if result.limit is None else f"{result.limit:.2f}" + ("" if result.met else " MISSED")
        medians = [quantity(value, result.unit) for value in (result.our_median, result.their_median)]
        rows.append((result.label, *medians, f"{result.ratio:.2f}", f"{low:.2f} to {high:.2f}", limit))
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows of text out as a Markdown table; the first is its head, the first column is flush left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |" for row in rows]
    rule = "| " + " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def quantity(value: float, unit: str) -> str:
    """Write a figure with a unit that a reader can take in: ns to s for seconds, MB (1e6) for bytes."""
    if unit == "bytes":
        return f"{value / 1e6:.1f} MB"
    if unit != "s":
        return f"{value:g} {unit}"
    for scale, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= scale:
            return f"{value / scale:.3g} {name}"
    return f"{value * 1e9:.0f} ns"


def write_json(path: Path, results: Sequence[Paired]) -> None:
    """Write label, unit, medians, ratio, quartiles and limit of each result to a JSON file."""
    document = [
        {
            "label": result.label,
            "unit": result.unit,
            "ours": result.our_median,
            "theirs": result.their_median,
            "ratio": result.ratio,
            "quartiles": result.spread,
            "rounds": len(result.ours),
            "limit": result.limit,
        }
        for result in results
    ]
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _turns(round_number: int) -> tuple[int, int]:
    """Say who goes first: they take turns at it, so that neither always runs on a cache that the other warmed."""
    return (0, 1) if round_number % 2 == 0 else (1, 0)


def _loops(timer: timeit.Timer) -> int:
    """Return how many calls fill one sample; the calls made to find it out are the warm-up."""
    loops = 1
    while (took := timer.timeit(loops)) < SAMPLE_SECONDS:
        loops = max(loops * 2, int(loops * SAMPLE_SECONDS / max(took, 1e-9)))
    return loops
