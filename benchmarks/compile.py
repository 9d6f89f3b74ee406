"""What it costs to compile the extension, from nothing, with libtorch in the cache; and to write the stubs.

    python benchmarks/compile.py [rounds]

Copies the checkout and runs setuptools' ``build_ext`` on the copy, as an installation does: with as many compilers at
once as there are processors, and nothing to reuse. Needs the build requirements of pyproject.toml. The stubs are those
of the package that is installed, written by a process of their own, as the build does it. Exits with 1 where a median
is past its limit.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT = Path(__file__).resolve().parents[1]
PARTS = ("libtorch_ffi", "pyproject.toml", "README.md", "LICENSE")
LIMIT = 60.0
"""Seconds, on two processors."""
STUBS_LIMIT = 5.0
"""Seconds."""


def compile_once() -> float:
    """Compile a copy of the checkout, and return how many seconds that took."""
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            source = CHECKOUT / part
            if source.is_dir():
                made = shutil.ignore_patterns("*.so", "__pycache__", "_built.json", "_ops.pyi")
                shutil.copytree(source, Path(folder, part), ignore=made)
            else:
                shutil.copyfile(source, Path(folder, part))
        command = [sys.executable, "-c", "import setuptools; setuptools.setup()", "--quiet", "build_ext"]
        started = time.perf_counter()
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started


def write_stubs_once() -> float:
    """Write the stubs of the installed package, and return how many seconds that took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "libtorch_ffi.stubs", "--output", folder]
        started = time.perf_counter()
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started


def judge(what: str, once: Callable[[], float], limit: float, rounds: int) -> bool:
    """Measure, print, and tell whether the median is within its limit."""
    seconds = [once() for _ in range(rounds)]
    median = statistics.median(seconds)
    print(f"{what}: {median:.1f} s (at most {limit:.0f} s), of {', '.join(f'{s:.1f}' for s in seconds)}", flush=True)
    return median <= limit


def main() -> int:
    """Measure both."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    within = [
        judge("writing the stubs", write_stubs_once, STUBS_LIMIT, rounds),
        judge("compiling the extension", compile_once, LIMIT, rounds),
    ]
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
