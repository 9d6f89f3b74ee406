"""`libtorch-ffi install`, `list`, `which`, `verify`, `remove`, `prune` and `download`: what the cache holds.

Owns what is printed about it. The cache itself is `libtorch_ffi.provision.store`'s, and what fills it is
`libtorch_ffi.provision.ensure`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libtorch_ffi.cli import choices
from libtorch_ffi.errors import IntegrityError, NotFoundError
from libtorch_ffi.provision import bundle, catalogue, ensure, locate, repair, store, verification
from libtorch_ffi.terminal import Bar, LogLines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from libtorch_ffi.provision import Libtorch, Report
    from libtorch_ffi.provision.store import Installed


_MENDED = "repaired\n"


def install(options: argparse.Namespace) -> int:
    """Make sure that the libtorch is there, and print its folder."""
    settings = choices.settings(options)
    if options.bundle is not None:
        settings = bundle.settings_from(settings, Path(options.bundle))
    with _progress(verbose=options.verbose) as bar:
        libtorch = ensure(settings, progress=bar)
    _answer(options, _described(libtorch), f"{libtorch.prefix}\n")
    return 0


def which(options: argparse.Namespace) -> int:
    """Print the folder of the libtorch that would be used."""
    libtorch = locate(choices.settings(options))
    _answer(options, _described(libtorch), f"{libtorch.prefix}\n")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print a line, or an object of a JSON array, for each libtorch in the cache, or for each that is published."""
    if options.available:
        return _show_available(options)
    found = store.installed(choices.settings(options).home)
    _answer(options, [_facts(tree) for tree in found], "".join(map(_line, found)))
    return 0


def verify(options: argparse.Namespace) -> int:
    """Print what is wrong with an installed libtorch, having mended it where that was asked for.

    Raises
    ------
    IntegrityError
        If something is wrong and stays so.
    """
    settings = choices.settings(options)
    report = verification.verify(settings.home, settings.target, full=options.full)
    mended = options.repair and not report.sound
    if mended:
        with _progress(verbose=options.verbose) as bar:
            repair(settings, progress=bar)
    _answer(options, {**_findings(report), "repaired": mended}, _told(report) + (_MENDED if mended else ""))
    if report.sound or mended:
        return 0
    raise IntegrityError(
        f"{report.path} is not as it was installed: {len(report.damage)} of its files are damaged, listed on stdout. "
        "Nothing was changed. Run `libtorch-ffi verify --repair` with the same options to fetch those anew."
    )


def _findings(report: Report) -> dict[str, object]:
    return {
        "path": str(report.path),
        "files": report.files,
        "hashed": report.hashed,
        "damage": [{"name": each.name, "problem": each.problem} for each in report.damage],
    }


def _told(report: Report) -> str:
    if report.sound:
        return f"{report.path}: {report.files} files are as installed, {report.hashed} of them hashed\n"
    return "".join(f"{each.name}: {each.problem}\n" for each in report.damage)


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
    facts = {"path": str(target.folder(home)), "freed": freed}
    _answer(options, facts, f"removed {target} from {home}: {freed / 1e6:.0f} MB freed\n")
    return 0


def prune(options: argparse.Namespace) -> int:
    """Delete what killed installs left, and print what that freed."""
    found = store.prune(choices.settings(options).home)
    lines = [f"removed {path}: {freed / 1e6:.0f} MB freed\n" for path, freed in found]
    _answer(options, [{"path": str(path), "freed": freed} for path, freed in found], "".join(lines))
    return 0


def download(options: argparse.Namespace) -> int:
    """Write a bundle of a libtorch, installed before where it is not in the cache, and print its archive's path."""
    settings = choices.settings(options)
    with _progress(verbose=options.verbose) as bar:
        ensure(settings, progress=bar)
    written = bundle.write(settings.home, settings.target, Path(options.folder))
    _answer(options, {"archive": str(written.archive), "sha256": written.sha256}, f"{written.archive}\n")
    return 0


def _answer(options: argparse.Namespace, facts: object, text: str) -> None:
    """Print an answer in the form that was asked for."""
    sys.stdout.write(json.dumps(facts, indent=2) + "\n" if options.json else text)


def _show_available(options: argparse.Namespace) -> int:
    """Print the published flavors of each release, a line for each platform."""
    rows: list[dict[str, Any]] = [
        {"version": version, "platform": platform, "flavors": list(names), "complete": release.complete}
        for version, release in catalogue.releases().items()
        for platform, names in release.flavors.items()
    ]
    _answer(options, rows, "".join(f"{row['version']}\t{row['platform']}\t{_names(row)}\n" for row in rows))
    return 0


def _names(row: dict[str, Any]) -> str:
    return " ".join([*row["flavors"], *([] if row["complete"] else ["?"])])


def _line(tree: Installed) -> str:
    target = tree.target
    note = "" if tree.usable else f"\tnot usable: {tree.verdict}"
    size = f"{tree.size / 1e6:.0f} MB"
    return f"{target.version}\t{target.flavor}\t{target.platform}\t{size}\t{tree.path}{note}\n"


def _described(libtorch: Libtorch) -> dict[str, object]:
    return {
        "version": libtorch.version,
        "flavor": libtorch.flavor,
        "platform": libtorch.platform,
        "path": str(libtorch.prefix),
        "origin": libtorch.origin,
    }


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
