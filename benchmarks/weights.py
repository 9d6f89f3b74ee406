"""What it costs to load a model's weights: libtorch_ffi against torch, on the same libtorch, in one process.

Run with the extension built against an installed torch (``LIBTORCH_SOURCE=torch pip install '.[reference,models]'``):

    python benchmarks/weights.py [--rounds N] [--megabytes N] [--json FILE]

One file of each format is written to a folder for temporary files and loaded in turns, from the page cache: read into
memory, mapped, and mapped and then looked at as a whole. The peak of memory is that of a fresh process each, less what
the process has once its libraries are loaded, as a multiple of the file's size: 1 is one copy. Exits with 1 where a
figure is past its limit.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pairs
import safetensors.torch
import torch

import libtorch_ffi as lt
import libtorch_ffi.safetensors

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 1.0
"""Of the time to load, against torch's."""

MOST_MEMORY = 1.05
"""Copies of the file in memory once it is read; what is mapped counts as far as it was looked at."""

TENSORS = 100

PEAK = """
import libtorch_ffi as lt, libtorch_ffi.safetensors, safetensors, concurrent.futures.thread, numpy
lt.ones(1), lt.serialization
peak = lambda: next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
kept = {call}
print((peak() - before) * 1024)
"""
"""Linux's own count, since the peak that a process asks for begins with that of the process that started it."""


def write(folder: Path, megabytes: int) -> tuple[Path, Path]:
    """Write the two files, and return their paths."""
    weights = {f"layer.{i}.weight": torch.rand(megabytes * 1_000_000 // TENSORS // 4) for i in range(TENSORS)}
    torch.save(weights, folder / "weights.pt")
    safetensors.torch.save_file(weights, folder / "weights.safetensors")
    return folder / "weights.pt", folder / "weights.safetensors"


def looked_at(load: Callable[[], dict[str, Any]]) -> Callable[[], float]:
    """Return a function that loads, and looks at every element."""
    return lambda: sum(float(tensor.sum()) for tensor in load().values())


def timings(pt: Path, st: Path, rounds: int) -> list[pairs.Paired]:
    """Return what loading takes, by format and way."""
    cases: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        ".pt, read": (lambda: lt.load(pt), lambda: torch.load(pt)),
        ".pt, mapped": (lambda: lt.load(pt, mmap=True), lambda: torch.load(pt, mmap=True)),
        ".safetensors": (lambda: lt.safetensors.load_file(st), lambda: safetensors.torch.load_file(st)),
    }
    mapped = [".pt, mapped", ".safetensors"]
    cases |= {f"{label}, and looked at": (looked_at(cases[label][0]), looked_at(cases[label][1])) for label in mapped}
    return [
        pairs.in_process(f"load {label}", ours, theirs, rounds=rounds, limit=None if "looked" in label else LIMIT)
        for label, (ours, theirs) in cases.items()
    ]


def copies(call: str, size: int) -> float:
    """Return how many copies of the file a fresh process has in memory once it is loaded."""
    script = PEAK.format(call=call)
    grown = [
        int(
            subprocess.run(
                [sys.executable, "-c", script], check=True, capture_output=True, cwd=tempfile.gettempdir()
            ).stdout
        )
        for _ in range(3)
    ]
    return statistics.median(grown) / size


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pt, st = write(Path(folder), options.megabytes)
        results = timings(pt, st, options.rounds)
        memory = {
            "lt.load": copies(f"lt.load({str(pt)!r})", pt.stat().st_size),
            "lt.load, mapped": copies(f"lt.load({str(pt)!r}, mmap=True)", pt.stat().st_size),
            "safetensors.load_file": copies(f"lt.safetensors.load_file({str(st)!r})", st.stat().st_size),
        }
    print(pairs.table(results, ours="libtorch_ffi", theirs="torch"))
    for label, found in memory.items():
        print(f"{label}: {found:.2f} copies of the file in memory (at most {MOST_MEMORY})")
    if options.json:
        pairs.write_json(options.json, results)
    return 0 if all(result.met for result in results) and max(memory.values()) <= MOST_MEMORY else 1


if __name__ == "__main__":
    sys.exit(main())
