"""The version matrix: releases really downloaded, each installed into an empty cache and verified file by file.

    .venv-test/bin/python benchmarks/matrix.py [version[:flavor[:platform]] ...]

Where no target is named: 2.0.1, 2.1.2, 2.5.0, 2.9.1 and the newest release of the catalogue for the CPU of
linux-x86_64, and 2.5.0 for linux-aarch64 and macos-arm64. Prints a line each, and exits with 1 where one does
not install or verify.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

from libtorch_ffi.errors import LibtorchFFIError
from libtorch_ffi.provision import Settings, catalogue, ensure, mark, verify
from libtorch_ffi.provision.settings import check_platform
from libtorch_ffi.provision.targets import Target, release_numbers

RELEASES = ("2.0.1", "2.1.2", "2.5.0", "2.9.1")
CROSSED = ("linux-aarch64", "macos-arm64")


def main() -> int:
    """Install and verify each target, print a line each, and judge."""
    logging.getLogger("libtorch_ffi").setLevel(logging.ERROR)
    targets = [_target(text) for text in sys.argv[1:]] or _usual()
    failed = [target for target in targets if not _installs(target)]
    return 1 if failed else 0


def _usual() -> list[Target]:
    newest = max(catalogue.releases(), key=release_numbers)
    releases = dict.fromkeys((*RELEASES, newest))
    here = [Target(version, "cpu", "linux-x86_64") for version in releases]
    return here + [Target("2.5.0", "cpu", check_platform(platform)) for platform in CROSSED]


def _target(text: str) -> Target:
    version, flavor, platform = (*text.split(":"), *("", "cpu", "linux-x86_64")[text.count(":") + 1 :])
    return Target(version, flavor, check_platform(platform))


def _installs(target: Target) -> bool:
    with tempfile.TemporaryDirectory(prefix="libtorch-") as folder:
        home = Path(folder)
        begun = time.perf_counter()
        try:
            ensure(Settings(version=target.version, flavor=target.flavor, platform=target.platform, home=home))
            seconds = time.perf_counter() - begun
            report = verify(home, target, full=True)
        except LibtorchFFIError as error:
            print(f"{target}: {error}", flush=True)
            return False
        received = mark.read(home, target).receipt["received"]
        verdict = "verifies" if report.sound else f"damaged: {report.damage[0].name} {report.damage[0].problem}"
        print(
            f"{target!s:<36} {received / 1e6:>8,.0f} MB in {seconds:>5.1f} s, {report.files:>6,} files: {verdict}",
            flush=True,
        )
        return report.sound


if __name__ == "__main__":
    sys.exit(main())
