"""From nothing to the first operator: `import libtorch_ffi` and one call, against `import torch`, in fresh processes.

    .venv-reference/bin/python benchmarks/startup.py [rounds]

Both must use one libtorch, so libtorch_ffi has to be built against the installed torch's (``LIBTORCH_SOURCE=torch pip
install .``). Exits with 1 where a ratio is past its limit.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pairs

OURS = "import libtorch_ffi as lt; a = lt.zeros([2]); lt.ops.aten.add.Tensor(a, a)"
THEIRS = "import torch"
LIMITS = (0.25, 0.6)

MAPPED = "import os; print(*sorted({line.split()[-1] for line in open('/proc/self/maps') if 'libtorch_cpu' in line}))"
"""Prints which libtorch_cpu a process has mapped: the comparison says nothing where the two differ."""


def library(code: str) -> str:
    """Return the path of the libtorch that the code loads."""
    command = [sys.executable, "-c", f"{code}\n{MAPPED}"]
    folder = tempfile.gettempdir()  # not the checkout, which has no extension
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout.strip()


def main() -> int:
    """Measure, print the table, and judge."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    if sys.platform == "linux" and (ours := library(OURS)) != (theirs := library(THEIRS)):
        sys.stderr.write(
            f"Not one libtorch: libtorch_ffi has {ours}, torch has {theirs}; build with LIBTORCH_SOURCE=torch\n"
        )
        return 2
    commands = ([sys.executable, "-c", OURS], [sys.executable, "-c", THEIRS])
    results = pairs.processes("import and one call", *commands, rounds=rounds, limits=LIMITS)
    print(pairs.table(results, ours="libtorch_ffi", theirs="torch"))
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
