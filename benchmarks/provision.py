"""What provisioning costs: bytes, time and memory of an install into an empty cache, and the time of a cache hit.

    .venv-test/bin/python benchmarks/provision.py [--cuda] [version [flavor]]

The install really downloads, in a child process, into a temporary folder. The bytes are what `.ok` states: the pages
and archives that arrived, without what HTTP and TLS put around them. Then the same libtorch is served on loopback, as a
wheel and as a zip, with ranges and without, for the memory that each source needs, and for 16 installs at once. With
`--cuda`, libtorch 2.5.0 for CUDA 12.4 is downloaded with all of its NVIDIA libraries: 3 GB, which need 8 GB of disk.
Exits with 1 where a figure is past its limit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopback import served

from libtorch_ffi.provision import mark
from libtorch_ffi.provision.kept import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTALL = """
import json, resource, sys, time
from libtorch_ffi.provision import ensure
start = time.perf_counter()
libtorch = ensure()
seconds = time.perf_counter() - start
receipt = json.loads((libtorch.prefix / ".ok").read_text())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
facts = {"seconds": seconds, "peak": peak * (1 if sys.platform == "darwin" else 1024), "origin": libtorch.origin}
print(json.dumps({**receipt, **facts}))
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

MOST_MEMORY = 100.0
"""MB of resident memory that an install may take, whatever its source and its size."""

AT_ONCE = 16


@dataclass(frozen=True)
class Figure:
    """One measured figure, in its unit, and what it may be at most."""

    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is within its limit."""
        return self.limit is None or self.value <= self.limit

    def row(self) -> str:
        """Return it as a line of the table."""
        limit = "" if self.limit is None else f"{self.limit:g} {self.unit}"
        return (
            f"{self.name:<58} {self.value:>10.2f} {self.unit:<3} {limit:>10}  {'' if self.met else 'MISSED'}".rstrip()
        )


def main() -> int:
    """Install from everywhere, ask again, print the table, and judge."""
    words = [word for word in sys.argv[1:] if word != "--cuda"]
    asked = dict(zip(("LIBTORCH_VERSION", "LIBTORCH_CUDA_VERSION"), words, strict=False))
    met = True
    with tempfile.TemporaryDirectory(prefix="libtorch-") as name:
        folder = Path(name)
        for figure in _figures(folder, asked, cuda="--cuda" in sys.argv):
            print(figure.row(), flush=True)
            met &= figure.met
    return 0 if met else 1


def _figures(folder: Path, asked: dict[str, str], *, cuda: bool) -> Iterator[Figure]:
    install = _child(INSTALL, folder, asked)
    print(f"libtorch {install['version']} {install['flavor']} for {install['platform']}")
    print(f"from {install['source']}: {len(install['archives'])} archives, {install['files']} files\n")
    yield Figure("bytes received, empty cache", install["received"] / 1e6, "MB", None if asked else 150)
    yield Figure("time of the install", install["seconds"], "s")
    yield Figure("on the disk", install["size"] / 1e6, "MB")
    hit = _child(HIT, folder, asked)
    yield Figure("cache hit, in process", hit["hit"] * 1e3, "ms", 2)
    yield Figure("cache hit, first call with its imports", hit["first"] * 1e3, "ms")
    yield _peak(f"{install['source']}, a wheel by ranges", install)
    if not asked:
        yield from _on_loopback(folder)
    if cuda:
        whole = _child(INSTALL, folder, {"LIBTORCH_CUDA_VERSION": "cu124"})
        yield _peak(f"cu124, {len(whole['archives'])} wheels of {whole['received'] / 1e6:,.0f} MB", whole)


def _on_loopback(folder: Path) -> Iterator[Figure]:
    """Install the same libtorch from a wheel and from a zip, with ranges and without, and many times at once."""
    wheel, packed = _pack(next(folder.glob("home/*/*/*")), folder / "served")
    with served(wheel.parent) as server:
        forced = {"LIBTORCH_INDEX_URL": f"{server.url}/simple", "LIBTORCH_SOURCE": "pypi"}
        sha256 = {"LIBTORCH_SHA256": sha256_of(packed)}
        before = server.sent()
        yield _peak("the same wheel from loopback, by ranges", _child(INSTALL, folder, forced, "other"))
        alone = server.sent() - before
        for label, asked in (
            ("a wheel, from a server without ranges", {"LIBTORCH_SOURCE": f"{server.url}/whole/{wheel.name}"}),
            ("a zip from a server", {**sha256, "LIBTORCH_SOURCE": f"{server.url}/{packed.name}"}),
            ("a zip from a server without ranges", {**sha256, "LIBTORCH_SOURCE": f"{server.url}/whole/{packed.name}"}),
            ("a zip on the disk", {"LIBTORCH_SOURCE": str(packed)}),
        ):
            shutil.rmtree(folder / "other")
            yield _peak(label, _child(INSTALL, folder, asked, "other"))
        shutil.rmtree(folder / "other")
        before = server.sent()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda _: _child(INSTALL, folder, forced, "other"), range(AT_ONCE)))
        yield Figure(
            f"{AT_ONCE} installs at once: bytes received, against one", (server.sent() - before) / alone, "x", 1
        )


def _pack(tree: Path, folder: Path) -> tuple[Path, Path]:
    """Pack an installed tree as a torch wheel, with a build number so that it is not the pinned one, and as a zip."""
    folder.mkdir()
    wheel, packed = folder / "torch-2.5.0-1-cp311-cp311-manylinux1_x86_64.whl", folder / "libtorch.zip"
    receipt = json.loads((tree / mark.NAME).read_text())
    with (
        zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as as_wheel,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as as_zip,
    ):
        record, info = "", f"torch-{receipt['version']}.dist-info"
        others = {
            "torch/version.py": "cuda = None\nhip = None\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {receipt['version']}\n",
        }
        for name, size, sha256 in mark.listed(tree / mark.FILES_NAME):
            as_wheel.write(tree / name, f"torch/{name}")
            as_zip.write(tree / name, f"libtorch/{name}")
            record += _stated(f"torch/{name}", bytes.fromhex(sha256), size)
        for name, text in others.items():
            as_wheel.writestr(name, text)
            record += _stated(name, hashlib.sha256(text.encode()).digest(), len(text))
        as_wheel.writestr(f"{info}/RECORD", record)
    return wheel, packed


def _stated(name: str, sha256: bytes, size: int) -> str:
    """Return a line of RECORD."""
    return f"{name},sha256={urlsafe_b64encode(sha256).rstrip(b'=').decode()},{size}\n"


def _peak(source: str, install: dict[str, Any]) -> Figure:
    return Figure(f"peak memory: {source}", install["peak"] / 1e6, "MB", MOST_MEMORY)


def _child(code: str, folder: Path, asked: dict[str, str], home: str = "home") -> dict[str, Any]:
    """Run code in a new process and return what it printed."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("LIBTORCH")}
    environ = {**others, **asked, "LIBTORCH_HOME": str(folder / home)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    sys.exit(main())
