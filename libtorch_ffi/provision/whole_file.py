"""A whole file from a server, on the disk.

Owns going on with what an earlier run left of the file, and beginning again where the server cannot. Never decides
whether it is the right file: it answers the sha256 to those who know.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import closing
from typing import TYPE_CHECKING

from libtorch_ffi.provision import kept
from libtorch_ffi.provision.overlap import ahead
from libtorch_ffi.provision.remote import TRIES, NoRangesError, UnreachableError, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from libtorch_ffi.provision.remote import Net

_log = logging.getLogger(__name__)


def download(net: Net, url: str, path: Path, expect: Callable[[int], None] | None = None) -> str:
    """Write a whole file to `path`, going on with what is there of it already; return its sha256.

    Parameters
    ----------
    net
        The session to ask with.
    url
        The file's address.
    path
        Where it goes.
    expect
        Told how many bytes will come, as `Net.stream` tells it; what it raises ends the download.

    Raises
    ------
    UnreachableError, AbsentError
        Where it does not come whole.
    """
    start, total = _had(net, url, path)
    for _ in range(TRIES):
        digest = _appended(net, url, path, start, total, expect)
        if digest is not None:
            return digest
        start = 0
    raise UnreachableError(f"{shown(url)} was cut off {TRIES} times, and the server cannot go on where it stopped")


def _had(net: Net, url: str, path: Path) -> tuple[int, int | None]:
    """Return how much of a file is there, and how much there will be where that is known."""
    here = path.stat().st_size if path.exists() else 0
    if not here:
        return 0, None
    try:
        total = net.size(url)
    except NoRangesError:
        return 0, None
    return (here, total) if here <= total else (0, total)


def _appended(
    net: Net, url: str, path: Path, start: int, total: int | None, expect: Callable[[int], None] | None
) -> str | None:
    """Write a file's bytes from `start` on; return the sha256 of the whole, None where it has to begin again."""
    digest = hashlib.sha256()
    if start:
        for block in kept.blocks(path, 0, start):
            digest.update(block)
    with path.open("r+b" if start else "wb") as file:
        file.truncate(start)
        file.seek(start)
        if start == total:
            return digest.hexdigest()
        try:
            with closing(ahead(net.stream(url, start, expect=expect))) as coming:
                for block in coming:
                    digest.update(block)
                    file.write(block)
        except NoRangesError:
            # The connection was cut, and the server cannot go on where it stopped.
            _log.info("%s: cut off, and the server has no ranges; beginning again", shown(url))
            return None
    return digest.hexdigest()
