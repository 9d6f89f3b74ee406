"""All figures of models against torch: programs, training and weights, one after another.

Run with the extension built against an installed torch (``LIBTORCH_SOURCE=torch pip install '.[reference,models]'``):

    python benchmarks/models.py [--rounds N]

Each benchmark is a process of its own, so that none measures in the memory that another left. Exits with 1 where a
figure is past its limit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

PARTS = ("programs.py", "training.py", "weights.py")


def main() -> int:
    """Run them, and return 1 where one did not meet its limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="samples of each measurement; by default as each benchmark has it")
    rounds = parser.parse_args().rounds
    options = [] if rounds is None else ["--rounds", str(rounds)]
    missed = []
    for part in PARTS:
        print(f"== {part}", flush=True)
        if subprocess.run([sys.executable, Path(__file__).with_name(part), *options], check=False).returncode != 0:
            missed.append(part)
    if missed:
        print(f"past a limit, or not measured: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
