"""The time of an install against the tools that people use: `curl -O && unzip`, and `pip download`.

    .venv-test/bin/python benchmarks/transfer.py [--pypi] [rounds]

The first comparison is of one real libtorch zip on a server of this machine: ours downloads it, checks its sha256,
unpacks and hashes every file, checks the libraries and puts the tree in place. With `--pypi` the second one is made
too, in three rounds at most, which moves 1 GB a round. Needs curl and unzip. Exits with 1 where a figure is past its
limit.

Both write to memory (/dev/shm) where there is such a folder: ext4 takes up to 0.3 ms to make a file where thousands
were deleted a minute ago, as each round does, and that would be measured in place of the two. What was written is
removed after the clock has stopped.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from loopback import served
from pairs import Paired, run, table

from libtorch_ffi.provision import Settings, ensure, mark
from libtorch_ffi.provision.kept import sha256_of

OURS = """
import sys
from pathlib import Path
from libtorch_ffi.provision import Settings, ensure
home, archive, sha256 = (sys.argv[1:] + [None, None])[:3]
ensure(Settings(version="2.5.0", flavor="cpu", platform="linux-x86_64", home=Path(home), archive=archive, sha256=sha256,
                source=None if archive else "pypi"))
"""
UNZIP = "cd {folder} && curl -sO {url} && unzip -q *.zip"
PIP = "cd {folder} && {python} -m pip download -q --no-cache-dir --no-deps torch==2.5.0"
ZIP_LIMIT, PIP_LIMIT, MOST_PIP_ROUNDS = 0.7, 0.4, 3
MEMORY = Path("/dev/shm")  # noqa: S108 (a folder in memory is what is wanted)


def main() -> int:
    """Measure, print the table, and judge."""
    words = sys.argv[1:]
    rounds = int(next((word for word in words if word.isdigit()), 5))
    with tempfile.TemporaryDirectory(prefix="libtorch-", dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        archive = make_zip(folder)
        with served(archive.parent) as server:
            address = f"{server.url}/{archive.name}"
            ours = [address, sha256_of(archive)]
            results = [compared("zip on loopback", ours, UNZIP, folder, rounds, limit=ZIP_LIMIT, url=address)]
        if "--pypi" in words:
            pairs = min(rounds, MOST_PIP_ROUNDS)
            python = sys.executable
            results.append(compared("2.5.0 from PyPI", [], PIP, folder, pairs, limit=PIP_LIMIT, python=python))
    print(table(results, theirs="curl/unzip, pip"))
    return 0 if all(result.met for result in results) else 1


def make_zip(folder: Path) -> Path:
    """Install the default release and pack it as PyTorch packs its zips: deflated, at the usual level."""
    settings = Settings(version="2.5.0", flavor="cpu", platform="linux-x86_64", home=folder / "home", source="pypi")
    tree = ensure(settings).prefix
    archive = folder / "served/libtorch.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file, _, _ in mark.listed(tree / mark.FILES_NAME):
            packed.write(tree / file, f"libtorch/{file}")
    shutil.rmtree(settings.home)
    return archive


def compared(
    label: str, ours: list[str], theirs: str, folder: Path, rounds: int, *, limit: float, **words: str
) -> Paired:
    """Time both in turns; one run of each goes before, unmeasured, where there are several rounds."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(-1 if rounds > 1 else 0, rounds):
        for side in (0, 1) if number % 2 else (1, 0):
            place = Path(tempfile.mkdtemp(dir=folder))
            shell = ["sh", "-c", theirs.format(folder=place, **words)]
            seconds = run([sys.executable, "-c", OURS, str(place / "home"), *ours] if side == 0 else shell).seconds
            shutil.rmtree(place)
            if number >= 0:
                times[side].append(seconds)
    return Paired(label, tuple(times[0]), tuple(times[1]), limit=limit)


if __name__ == "__main__":
    sys.exit(main())
