"""What provisioning costs: bytes, time and memory of an install into an empty cache, and the time of a cache hit.

    .venv-test/bin/python benchmarks/provision.py [version [flavor]]

The install really downloads, in a child process, into a temporary folder. The bytes are what `.ok` states: the pages
and archives that arrived, without what HTTP and TLS put around them. Exits with 1 where a figure is past its limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

INSTALL = """
import json, resource, sys, time
from libtorch_ffi.provision import ensure
start = time.perf_counter()
libtorch = ensure()
seconds = time.perf_counter() - start
receipt = json.loads((libtorch.prefix / ".ok").read_text())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "peak": peak * (1 if sys.platform == "darwin" else 1024), **receipt}))
"""

HIT = """
import json, statistics, time
start = time.perf_counter()
from libtorch_ffi.provision import ensure
ensure()
first = time.perf_counter() - start
times = []
for _ in range(500):
    start = time.perf_counter()
    ensure()
    times.append(time.perf_counter() - start)
print(json.dumps({"first": first, "hit": statistics.median(times)}))
"""


@dataclass(frozen=True)
class Figure:
    """One measured figure, in its unit, and what it may be at most."""

    name: str
    value: float
    unit: str
    limit: float | None

    @property
    def met(self) -> bool:
        """Whether it is within its limit."""
        return self.limit is None or self.value <= self.limit

    def row(self) -> str:
        """Return it as a line of the table."""
        limit = "" if self.limit is None else f"{self.limit:g} {self.unit}"
        return (
            f"{self.name:<44} {self.value:>10.2f} {self.unit:<3} {limit:>10}  {'' if self.met else 'MISSED'}".rstrip()
        )


def main() -> int:
    """Install, ask again, print the table, and judge."""
    with tempfile.TemporaryDirectory(prefix="libtorch-") as home:
        asked = dict(zip(("LIBTORCH_VERSION", "LIBTORCH_CUDA_VERSION"), sys.argv[1:], strict=False))
        others = {name: value for name, value in os.environ.items() if not name.startswith("LIBTORCH")}
        environ = {**others, **asked, "LIBTORCH_HOME": home}
        install = _child(INSTALL, environ)
        hit = _child(HIT, environ)
    figures = (
        Figure("bytes received, empty cache", install["received"] / 1e6, "MB", 150 if not asked else None),
        Figure("time of the install", install["seconds"], "s", None),
        Figure("peak memory of the process", install["peak"] / 1e6, "MB", 120),
        Figure("on the disk", install["size"] / 1e6, "MB", None),
        Figure("cache hit, in process", hit["hit"] * 1e3, "ms", 2),
        Figure("cache hit, first call with its imports", hit["first"] * 1e3, "ms", None),
    )
    archives = len(install["archives"])
    print(f"libtorch {install['version']} {install['flavor']} for {install['platform']}")
    print(f"from {install['source']}: {archives} archives, {install['files']} files\n")
    print("\n".join(figure.row() for figure in figures))
    return 0 if all(figure.met for figure in figures) else 1


def _child(code: str, environ: dict[str, str]) -> dict[str, Any]:
    """Run code in a new process and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    sys.exit(main())
