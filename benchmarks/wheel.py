"""What it costs to make our wheel out of the sdist, with libtorch in the cache.

    python benchmarks/wheel.py [rounds]

pip makes it, without build isolation, so that no index is part of the figure: needs the build requirements of
pyproject.toml. Exits with 1 where the median is past its limit.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compile import CHECKOUT, PARTS

LIMIT = 120.0
"""Seconds, on two processors."""
MADE = ("*.so", "__pycache__", "_built.json", "_ops.pyi", "ops.pyi", "__init__.pyi")
"""What earlier builds left in a checkout."""


def make_sdist(folder: Path) -> Path:
    """Make an sdist of a copy of the checkout."""
    for part in PARTS:
        source = CHECKOUT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns(*MADE))
        else:
            shutil.copyfile(source, folder / part)
    command = [sys.executable, "-c", "from libtorch_ffi.build import backend; backend.build_sdist('dist')"]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    [sdist] = (folder / "dist").glob("*.tar.gz")
    return sdist


def build_once() -> float:
    """Make the wheel, and return how many seconds that took, without the sdist."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sdist = make_sdist(folder)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        started = time.perf_counter()
        subprocess.run([*command, "--wheel-dir", folder / "wheels", sdist], check=True, cwd=folder)
        return time.perf_counter() - started


def main() -> int:
    """Measure, print, and judge."""
    seconds = [build_once() for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3)]
    median = statistics.median(seconds)
    print(f"the wheel: {median:.0f} s (at most {LIMIT:.0f} s), of {', '.join(f'{s:.0f}' for s in seconds)}")
    return 0 if median <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
