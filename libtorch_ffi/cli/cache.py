"""`libtorch-ffi install`, `list` and `remove`: what the cache holds.

Owns what is printed about it. The cache itself is `libtorch_ffi.provision.store`'s, and what fills it is
`libtorch_ffi.provision.ensure`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from typing import TYPE_CHECKING

from libtorch_ffi.cli import choices
from libtorch_ffi.errors import NotFoundError
from libtorch_ffi.provision import ensure, store
from libtorch_ffi.terminal import Bar, LogLines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from libtorch_ffi.provision.store import Installed


def install(options: argparse.Namespace) -> int:
    """Make sure that the libtorch is there, and print its folder."""
    with _progress(verbose=options.verbose) as bar:
        libtorch = ensure(choices.settings(options), progress=bar)
    sys.stdout.write(f"{libtorch.prefix}\n")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print a line, or an object of a JSON array, for each libtorch in the cache."""
    found = store.installed(choices.settings(options).home)
    if options.json:
        sys.stdout.write(json.dumps([_facts(tree) for tree in found], indent=2) + "\n")
        return 0
    for tree in found:
        target = tree.target
        size = f"{tree.size / 1e6:.0f} MB"
        note = "" if tree.usable else f"\tnot usable: {tree.verdict}"
        sys.stdout.write(f"{target.version}\t{target.flavor}\t{target.platform}\t{size}\t{tree.path}{note}\n")
    return 0


def remove(options: argparse.Namespace) -> int:
    """Delete a libtorch from the cache, and print what that freed.

    Raises
    ------
    NotFoundError
        If it is not there; the message lists what is.
    """
    settings = choices.settings(options)
    target, home = settings.target, settings.home
    there = [str(tree.target) for tree in store.installed(home)]
    if str(target) not in there:
        others = f"It holds {', '.join(there)}; name one" if there else "It holds none. Name another folder"
        raise NotFoundError(
            f"There is no {target} in the cache folder {home}, so nothing was removed. {others} with --version, "
            "--flavor, --platform and --home."
        )
    freed = store.remove(home, target)
    sys.stdout.write(f"removed {target} from {home}: {freed / 1e6:.0f} MB freed\n")
    return 0


@contextlib.contextmanager
def _progress(*, verbose: bool) -> Iterator[Bar]:
    """Show progress and the library's log on stderr while the block runs."""
    bar = Bar(sys.stderr)
    log = logging.getLogger("libtorch_ffi")
    lines = LogLines(bar, logging.INFO if verbose else logging.WARNING)
    level, propagate = log.level, log.propagate
    log.addHandler(lines)
    log.setLevel(lines.level)
    log.propagate = False  # a root handler would write the same lines again, across the bar
    try:
        yield bar
    finally:
        bar.abandon()
        log.removeHandler(lines)
        log.setLevel(level)
        log.propagate = propagate


def _facts(tree: Installed) -> dict[str, object]:
    """Return what `list --json` says of a libtorch."""
    return {
        "version": tree.target.version,
        "flavor": tree.target.flavor,
        "platform": tree.target.platform,
        "size": tree.size,
        "path": str(tree.path),
        "usable": tree.usable,
        "verdict": tree.verdict,
        "source": tree.source,
    }
