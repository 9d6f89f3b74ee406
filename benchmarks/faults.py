"""The fault campaign: installs that are killed, cut off, given wrong bytes, run out of disk, and meet each other.

    .venv-test/bin/python benchmarks/faults.py [scale]

A server on loopback plays PyPI, with a torch wheel cut to a few MB. After each fault one plain install must succeed,
the tree must verify by the sha256 of every file, and nothing else may be left; a reader that polls all the while must
never see a tree that counts as installed and does not verify. `scale` (1 where nothing is given) multiplies the
numbers of the campaign. Needs root for the full disk (a tmpfs) and for the second user; both are left out without it,
and the second user where the Python that runs this lies in a folder that only root may enter. Prints the counts, and
exits with 1 where one expectation did not hold.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import archives
from servers import Fault, FaultKind, Server

from libtorch_ffi.errors import IntegrityError, LibtorchFFIError, StoreError
from libtorch_ffi.provision import Settings, ensure, kept, mark, remote, remote_file, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

WHEEL = f"torch-{archives.VERSION}-cp311-cp311-manylinux1_x86_64.whl"
RUNTIME = "nvidia_cuda_runtime_cu99-99.1-py3-none-manylinux1_x86_64.whl"
BULK = 6
"""How many times the noise of the small test wheel lies in the large library, so that there is time to be killed."""

CHILD = """
import os, sys
from pathlib import Path
from libtorch_ffi.provision import Settings, ensure, kept, remote, remote_file
kept.PART_FROM = 1000
remote.BLOCK, remote_file.SEGMENT, remote_file.SEGMENTED_FROM, remote_file.MOSTLY = 50_000, 200_000, 800_000, -1.0
home, url, flavor, user = sys.argv[1:]
if user != "0":
    os.umask(0o002)
    os.setgroups([]); os.setgid(int(user)); os.setuid(int(user))
print("started", flush=True)
ensure(Settings(version="9.9.9", flavor=flavor, platform="linux-x86_64", home=Path(home), mirror=url,
                index_url=f"{url}/simple", source="pypi", environ={}))
"""

_AS_LARGE: list[tuple[ModuleType, str, float]] = [
    (kept, "PART_FROM", 1000),
    (remote, "BLOCK", 50_000),
    (remote_file, "SEGMENT", 200_000),
    (remote_file, "SEGMENTED_FROM", 800_000),
    (remote_file, "MOSTLY", -1.0),
]
"""As `CHILD` has them."""

NOBODY = 65534
LARGE_ENOUGH = "disk large enough"


@dataclass
class Campaign:
    """The server, and what came of the faults so far."""

    server: Server
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def settings(self, home: Path, flavor: str = "cpu") -> Settings:
        """Return the settings that lead to the server."""
        return Settings(
            version=archives.VERSION,
            flavor=flavor,
            platform="linux-x86_64",
            home=home,
            mirror=self.server.url,
            index_url=f"{self.server.url}/simple",
            source="pypi",
            environ={},
        )

    def child(self, home: Path, flavor: str = "cpu", user: int = 0) -> subprocess.Popen[str]:
        """Start an install in a process of its own."""
        command = [sys.executable, "-c", CHILD, str(home), self.server.url, flavor, str(user)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def expect(self, holds: object, what: str) -> None:
        """Take note of an expectation that does not hold."""
        if not holds:
            self.failures.append(what)

    def heals(self, home: Path, what: str) -> None:
        """Check that one plain install succeeds, verifies, and leaves nothing beside the tree."""
        settings = self.settings(home)
        try:
            tree = ensure(settings).prefix
        except LibtorchFFIError as error:
            self.failures.append(f"{what}: the install after it failed: {error}")
            return
        report = verify(home, settings.target, full=True)
        self.expect(report.sound, f"{what}: {report.damage[:3]}")
        self.expect([path.name for path in tree.parent.iterdir()] == ["cpu"], f"{what}: something is left")


@contextmanager
def watched(campaign: Campaign, home: Path) -> Iterator[None]:
    """Poll for a tree that counts as installed, and verify it, while the block runs."""
    stop = threading.Event()
    settings = campaign.settings(home)

    def poll() -> None:
        while not stop.wait(0.002):
            campaign.counts["polls"] += 1
            if mark.read(home, settings.target).libtorch is not None:
                report = verify(home, settings.target, full=True)
                campaign.expect(report.sound, f"a reader saw a tree that does not verify: {report.damage[:3]}")
                campaign.counts["polls that saw a tree"] += 1
                stop.wait(0.05)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def populate(server: Server) -> None:
    """Put the wheels on the server."""
    plain = archives.libraries

    def larger(**about: object) -> dict[str, bytes]:
        found = plain(**about)  # type: ignore[arg-type]
        return {**found, "libtorch_cpu.so": found["libtorch_cpu.so"] + archives.NOISE * BULK}

    archives.libraries = larger
    requires = ["nvidia-cuda-runtime-cu99==99.1"]
    torch = archives.torch_wheel("cu991", requires=requires)
    archives.libraries = plain
    library = archives.library("libcudart.so.99", ["libc.so.6"])
    runtime = archives.wheel("nvidia-cuda-runtime-cu99", "99.1", {"nvidia/lib/libcudart.so.99": library})
    for project, name, data in (("torch", WHEEL, torch), ("nvidia-cuda-runtime-cu99", RUNTIME, runtime)):
        page = archives.json_page(project, {name: data}, f"{server.url}/files")
        server.site.put(f"/simple/{project}/", page, "application/vnd.pypi.simple.v1+json")
        server.site.put(f"/files/{name}", data)


@contextmanager
def empty_home() -> Iterator[Path]:
    """Give a cache folder, and remove it."""
    with tempfile.TemporaryDirectory(prefix="libtorch-") as folder:
        yield Path(folder) / "home"


def _begun(child: subprocess.Popen[str]) -> None:
    """Wait until a child has imported what it needs."""
    if child.stdout is not None:
        child.stdout.readline()


def kills(campaign: Campaign, times: int) -> None:
    """Kill an install at random instants."""
    with empty_home() as home:
        child = campaign.child(home)
        _begun(child)
        begun = time.perf_counter()
        child.communicate()
        lasts = time.perf_counter() - begun
    for number in range(times):
        with empty_home() as home, watched(campaign, home), campaign.child(home) as child:
            _begun(child)
            time.sleep(random.uniform(0, lasts))  # noqa: S311 (an instant, not a secret)
            child.kill()
            child.wait()
            before = campaign.server.site.sent
            campaign.counts["killed while at it"] += mark.read(home, campaign.settings(home).target).libtorch is None
            campaign.heals(home, f"kill {number}")
            campaign.counts["bytes after a kill"] += campaign.server.site.sent - before
    campaign.counts["kills"] += times


def cuts(campaign: Campaign, times: int) -> None:
    """Drop, stall, corrupt and truncate answers at random offsets of the wheel."""
    offsets = _asked_for(campaign)
    for number in range(times):
        kind: FaultKind = get_args(FaultKind)[number % 4]
        with empty_home() as home, watched(campaign, home):
            fault = Fault(kind, f"/files/{WHEEL}", random.choice(offsets))  # noqa: S311 (no secret)
            campaign.server.site.faults = [fault]
            try:
                ensure(campaign.settings(home))
                outcome = "survived"
            except IntegrityError:
                outcome = "refused"
            except LibtorchFFIError as error:
                outcome = type(error).__name__
            met = not campaign.server.site.faults
            campaign.server.site.faults = []
            campaign.counts[f"{kind}: {outcome if met else 'in a byte that nobody asked for'}"] += 1
            campaign.expect(kind == "corrupt" or outcome == "survived", f"{fault} was not survived: {outcome}")
            campaign.heals(home, str(fault))


def _asked_for(campaign: Campaign) -> list[int]:
    """Return the offsets of the wheel that an install asks for, one in a hundred."""
    campaign.server.site.requests.clear()
    with empty_home() as home:
        ensure(campaign.settings(home))
    spans = [
        (request.range or "").removeprefix("bytes=").split("-")
        for request in campaign.server.site.asked_for(f"/files/{WHEEL}")
    ]
    return [offset for first, last in spans for offset in range(int(first), int(last) + 1, 100)]


def full_disks(campaign: Campaign, sizes: int) -> None:
    """Install onto disks that are too small, then onto the same disk made larger."""
    for number in range(sizes):
        room = 64 * 1024 + number * 5 * 1024 * 1024 // sizes
        with empty_home() as home:
            home.mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "libtorch-faults", home], check=True)
            try:
                outcome = _onto(campaign, home)
                campaign.counts[outcome] += 1
                left = [path for path in home.rglob("*") if path.is_file() and path.parent.name != ".locks"]
                campaign.expect(not left or outcome == LARGE_ENOUGH, f"a disk of {room} bytes: {left[:3]} are left")
                subprocess.run(["mount", "-o", "remount,size=64m", home], check=True)
                campaign.heals(home, f"a disk of {room} bytes")
            finally:
                subprocess.run(["umount", home], check=True)


def _onto(campaign: Campaign, home: Path) -> str:
    usage = shutil.disk_usage
    # Half of the disks claim to have room, so that they are full in the middle and not before.
    lying = random.random() < 0.5  # noqa: PLR2004, S311 (likewise; half of them)
    if lying:
        shutil.disk_usage = lambda path: usage(path)._replace(free=1 << 40)
    try:
        ensure(campaign.settings(home))
    except StoreError:
        return f"disk full {'in the middle' if lying else 'before the download'}: told"
    finally:
        shutil.disk_usage = usage
    return LARGE_ENOUGH


def together(campaign: Campaign, processes: int) -> None:
    """Start many installs at once: they receive what one does."""
    with empty_home() as home:
        before = campaign.server.site.sent
        ensure(campaign.settings(home))
        one = campaign.server.site.sent - before
    with empty_home() as home, watched(campaign, home):
        before = campaign.server.site.sent
        children = [campaign.child(home) for _ in range(processes)]
        for child in children:
            child.communicate()
        codes = [child.returncode for child in children]
        many = campaign.server.site.sent - before
        campaign.expect(codes == [0] * processes, f"{processes} at once: {codes}")
        campaign.expect(many == one, f"{processes} at once received {many} bytes, one {one}")
        campaign.heals(home, f"{processes} at once")
    campaign.counts[f"{processes} at once: bytes received / those of one"] = many // one


def second_user(campaign: Campaign) -> None:
    """Share a cache with another user: it uses what is there, and installs another flavor beside it."""
    with empty_home() as home:
        home.mkdir()
        home.parent.chmod(0o755)
        os.chown(home, -1, NOBODY)
        home.chmod(0o2775)
        before = os.umask(0o002)
        try:
            ensure(campaign.settings(home))
            sent = campaign.server.site.sent
            for flavor in ("cpu", "cu991"):
                with campaign.child(home, flavor, NOBODY) as child:
                    campaign.expect(child.wait() == 0, f"the second user's install of {flavor} failed")
                campaign.counts["installs of a second user"] += 1
            campaign.expect(campaign.server.site.sent > sent, "the second user installed nothing")
            target = replace(campaign.settings(home).target, flavor="cu991")
            campaign.expect(verify(home, target, full=True).sound, "the second user's tree does not verify")
        finally:
            os.umask(before)


def has_second_user() -> bool:
    """Tell whether another user can be played: by root, with a Python and a package that everybody may read."""
    places = (Path(sys.base_prefix), Path(sys.prefix), Path(remote.__file__).parent)
    folders = {folder for place in places for folder in (place, *place.parents)}
    return os.geteuid() == 0 and all(folder.stat().st_mode & 0o001 for folder in folders)


def run(scale: float, *, disks: bool = True) -> Campaign:
    """Run the campaign and return what came of it."""
    log = logging.getLogger("libtorch_ffi")
    level = log.level
    log.setLevel(logging.CRITICAL)  # each fault is told, and expected
    try:
        with _hurried(), Server() as server:
            campaign = Campaign(server)
            populate(server)
            kills(campaign, round(200 * scale))
            cuts(campaign, round(100 * scale))
            together(campaign, max(2, round(16 * min(scale, 1))))
            if disks and os.geteuid() == 0:
                full_disks(campaign, round(20 * scale))
            if disks and has_second_user():
                second_user(campaign)
    finally:
        log.setLevel(level)
    return campaign


@contextmanager
def _hurried() -> Iterator[None]:
    """Wait for little, and treat a wheel of a few MB as one of hundreds: in parts, over several connections."""
    changed = [(remote, "READ_TIMEOUT", 0.5), (remote, "PAUSE", 0.01), *_AS_LARGE]
    before = [(module, name, getattr(module, name)) for module, name, _ in changed]
    try:
        for module, name, value in changed:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def main() -> int:
    """Run the campaign, print the counts, and judge."""
    campaign = run(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    for name, count in sorted(campaign.counts.items()):
        print(f"{name:<56} {count:>12,}")
    print(f"{'expectations that did not hold':<56} {len(campaign.failures):>12,}")
    print("\n".join(campaign.failures[:20]))
    return 1 if campaign.failures else 0


if __name__ == "__main__":
    sys.exit(main())
