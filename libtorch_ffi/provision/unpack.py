"""A libtorch out of wheels that are on the disk already; how Nix makes its tree.

    python -m libtorch_ffi.provision.unpack 2.5.0 cu118 linux-x86_64 --output DIR TORCH_WHEEL [WHEEL ...]

Owns the way from given files to a tree outside the cache folder. What is taken from a wheel, and how it is checked, is
`closure`'s and `wheel`'s, so that this tree is the one that an install makes. Never opens a socket and never looks for
a wheel: whoever calls it has fetched and checked them.
"""

from __future__ import annotations

import logging
import sys
from argparse import ArgumentParser
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.errors import IntegrityError, LibtorchFFIError
from libtorch_ffi.provision import closure
from libtorch_ffi.provision.archive import Archive, LocalFile
from libtorch_ffi.provision.complete import complete
from libtorch_ffi.provision.describe import describe
from libtorch_ffi.provision.kept import Pool
from libtorch_ffi.provision.settings import check_platform
from libtorch_ffi.provision.stage import Stage
from libtorch_ffi.provision.targets import Target
from libtorch_ffi.provision.wheel import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from libtorch_ffi.provision.libtorch import Libtorch

_log = logging.getLogger(__name__)


class Given:
    """Wheels that may have a library, as `closure.Holder`: those that were given and no others."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._wheels = [Wheel(Archive(LocalFile(path))) for path in paths]

    def holding(self, file: str) -> Wheel | None:
        """Return the first wheel that has a library."""
        return next((wheel for wheel in self._wheels if file in wheel.libraries()), None)

    def looked_in(self) -> list[str]:
        """Return the names of the wheels."""
        return [wheel.archive.ranges.name.rpartition("/")[2] for wheel in self._wheels]

    def open_ahead(self, files: Iterable[str]) -> None:
        """Do nothing: they are open."""


class Untold:
    """A `closure.Listener` that nobody listens through: what is on the disk needs no progress bar."""

    @contextmanager
    def told(self, label: str, total: int | None) -> Iterator[None]:
        """Run the block."""
        _log.debug("%s: %s bytes", label, total)
        yield


def unpack(target: Target, torch: Path, others: Iterable[Path], output: Path) -> Libtorch:
    """Make the tree of a target in a folder.

    Parameters
    ----------
    target
        What the wheels should hold.
    torch
        The torch wheel.
    others
        The wheels that have what it needs besides.
    output
        The folder: ``lib``, ``include`` and ``share`` are made in it, and a ``build-version`` that states the flavor,
        as PyTorch's own zips have it.

    Raises
    ------
    IntegrityError
        Where a wheel is not what it says, or holds another libtorch.
    DownloadError
        Where a library is needed that none of the wheels has.
    """
    output.mkdir(parents=True, exist_ok=True)
    stage = Stage(output, Pool(output, []))
    wheel = Wheel(Archive(LocalFile(torch)))
    built_for = wheel.flavor()
    if target.flavor not in (built_for, "cpu"):
        raise IntegrityError(
            f"{torch.name} is built for {built_for}, where {target} was asked for. Give the wheel of that flavor."
        )
    take = closure.take_whole if built_for == target.flavor else closure.take_cpu
    take(stage, wheel, target, Given(others), Untold())
    found = describe(output / "include", output / "lib", prefix=output, origin="given", flavor=target.flavor)
    if (found.version, found.platform) != (target.version, target.platform):
        raise IntegrityError(
            f"{torch.name} holds libtorch {found.version} for {found.platform}, where {target} was asked for. Correct "
            "the pin in the catalogue."
        )
    complete(stage, found)
    return found


def main(arguments: Sequence[str]) -> int:
    """Unpack what the arguments name."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = ArgumentParser(prog="python -m libtorch_ffi.provision.unpack", allow_abbrev=False)
    parser.add_argument("version")
    parser.add_argument("flavor")
    parser.add_argument("platform", type=check_platform)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("wheels", type=Path, nargs="+", metavar="WHEEL")
    asked = parser.parse_args(arguments)
    torch, *others = asked.wheels
    try:
        made = unpack(Target(asked.version, asked.flavor, asked.platform), torch, others, asked.output)
    except LibtorchFFIError as error:
        _log.error("%s", error)
        return 1
    _log.info("libtorch %s %s for %s in %s", made.version, made.flavor, made.platform, made.prefix)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
