"""What a build system waits for: `python -m libtorch_ffi config --prefix` against `python -c pass`, in new processes.

    .venv-test/bin/python benchmarks/cli.py [rounds]

A libtorch has to be in the cache. Exits with 1 where the ratio is past its limit. The other questions, and `list`, are
shown beside it without a limit.
"""

from __future__ import annotations

import sys

import pairs

LIMIT = 4.0
QUESTIONS = ("--prefix", "--cxxflags", "--ldflags", "--json")


def main() -> int:
    """Measure, print the table, and judge."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 41
    nothing = [sys.executable, "-c", "pass"]
    results = []
    for arguments in (*(("config", question) for question in QUESTIONS), ("list",)):
        command = [sys.executable, "-m", "libtorch_ffi", *arguments]
        limit = LIMIT if arguments == ("config", "--prefix") else None
        seconds, _ = pairs.processes(" ".join(arguments), command, nothing, rounds=rounds, limits=(limit, None))
        results.append(seconds)
    print(pairs.table(results, ours="libtorch-ffi", theirs="python -c pass"))
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
