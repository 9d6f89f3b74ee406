"""The time of an install against the tools that people use: `curl -O && unzip`, and `pip download`.

    .venv-test/bin/python benchmarks/transfer.py [--pypi] [rounds]

The first comparison is of one real libtorch zip on a server of this machine: ours downloads it, checks its sha256,
unpacks and hashes every file, checks the libraries and puts the tree in place. With `--pypi` the second one is made
too, which moves 1 GB a round. Needs curl and unzip. Exits with 1 where a figure is past its limit.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from pairs import Paired, run, table
from servers import Server

from libtorch_ffi.provision import Settings, bundle, ensure

OURS = """
import sys, tempfile
from pathlib import Path
from libtorch_ffi.provision import Settings, ensure
archive, sha256 = (sys.argv[1:] + [None, None])[:2]
with tempfile.TemporaryDirectory() as home:
    ensure(Settings(version="2.5.0", flavor="cpu", home=Path(home), archive=archive, sha256=sha256, environ={}))
"""
UNZIP = "cd $(mktemp -d) && curl -sO {} && unzip -q *.zip && rm -r $PWD"
PIP = "cd $(mktemp -d) && {} -m pip download -q --no-cache-dir --no-deps torch==2.5.0 && rm -r $PWD"
ZIP_LIMIT, PIP_LIMIT = 0.7, 0.4


def main() -> int:
    """Measure, print the table, and judge."""
    words = sys.argv[1:]
    rounds = int(next((word for word in words if word.isdigit()), 5))
    with tempfile.TemporaryDirectory(prefix="libtorch-") as folder, Server() as server:
        settings = Settings(version="2.5.0", flavor="cpu", home=Path(folder) / "home", environ={})
        ensure(settings)
        packed = bundle.write(settings.home, settings.target, Path(folder) / "bundle")
        server.site.put("/libtorch.zip", packed.archive.read_bytes())
        url = f"{server.url}/libtorch.zip"
        results = [_compared("zip on loopback", [url, packed.sha256], UNZIP.format(url), rounds, ZIP_LIMIT)]
    if "--pypi" in words:
        results.append(_compared("cpu 2.5.0 from PyPI", [], PIP.format(sys.executable), 1, PIP_LIMIT))
    print(table(results, theirs="curl/unzip, pip"))
    return 0 if all(result.met for result in results) else 1


def _compared(label: str, arguments: list[str], theirs: str, rounds: int, limit: float) -> Paired:
    """Time both in turns; one run of each goes before, unmeasured, where there are several rounds."""
    commands = ([sys.executable, "-c", OURS, *arguments], ["sh", "-c", theirs])
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(-1 if rounds > 1 else 0, rounds):
        for side, command in enumerate(commands):
            seconds = run(command).seconds
            if number >= 0:
                times[side].append(seconds)
    return Paired(label, tuple(times[0]), tuple(times[1]), limit=limit)


if __name__ == "__main__":
    sys.exit(main())
