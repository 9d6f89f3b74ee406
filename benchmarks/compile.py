"""What it costs to compile the extension, from nothing, with libtorch in the cache.

    python benchmarks/compile.py [rounds]

Copies the checkout and runs setuptools' ``build_ext`` on the copy, as an installation does: with as many compilers at
once as there are processors, and nothing to reuse. Needs the build requirements of pyproject.toml. Exits with 1 where
the median is past its limit.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PARTS = ("libtorch_ffi", "pyproject.toml", "README.md", "LICENSE")
LIMIT = 60.0
"""Seconds, on two processors."""


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


def main() -> int:
    """Measure, print, and judge."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seconds = [compile_once() for _ in range(rounds)]
    median = statistics.median(seconds)
    print(
        f"compiling the extension: {median:.0f} s (at most {LIMIT:.0f} s), of {', '.join(f'{s:.0f}' for s in seconds)}"
    )
    return 0 if median <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
