"""A file on a server that is read by ranges.

Owns what a long range needs: bytes arrive while earlier ones are used, are written down for a later run, and come over
a few connections where one is slower than what is done with them. Never asks a server itself, and never knows what the
file holds.
"""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import closing
from typing import TYPE_CHECKING

from libtorch_ffi.provision import kept
from libtorch_ffi.provision.overlap import ahead, in_turn
from libtorch_ffi.provision.remote import BLOCK, UnreachableError, shown

if TYPE_CHECKING:
    from collections.abc import Generator

    from libtorch_ffi.provision.kept import Parts
    from libtorch_ffi.provision.remote import Net

_log = logging.getLogger(__name__)

MOSTLY = 0.75
"""The share of the time, spent waiting for bytes, from which on more connections are made."""

CONNECTIONS = 3
"""How many they are for one file; the small files beside it have one more."""

SEGMENT = 1 << 22
"""Bytes of a long range that one request asks for. Each connection has up to as many waiting in memory."""

SEGMENTED_FROM = 4 * SEGMENT
"""Shorter ranges come over one connection."""


class RemoteFile:
    """A file on a server as `Ranges`.

    Parameters
    ----------
    net
        The session to ask with.
    url
        The file's address.
    size
        Its size, asked for where it is not known.
    parts
        Where to write down what arrives, and to look for what had arrived.
    sha256
        Its published digest, so that the parts of another file at the same address are not taken for its.
    """

    def __init__(
        self, net: Net, url: str, size: int | None = None, parts: Parts | None = None, sha256: str | None = None
    ) -> None:
        self._net = net
        self._url = url
        self.name = shown(url)
        self.size = size if size is not None else net.size(url)
        self._parts = parts
        self._key = hashlib.sha256(f"{self.name} {self.size} {sha256}".encode()).hexdigest()[:24]

    def blocks(self, start: int, stop: int) -> Generator[bytes, None, None]:
        """Yield the bytes from `start` to `stop`; of a long range, while the next ones arrive."""
        if stop - start < kept.PART_FROM:
            return self._stream(start, stop)
        if self._parts is None:
            return ahead(self._stream(start, stop))
        return ahead(self._parts.through(self._key, start, stop, self._stream))

    def _stream(self, start: int, stop: int) -> Generator[bytes, None, None]:
        """Yield a range; a long one over a few connections, if one turns out to be what the install waits for."""
        if stop - start >= SEGMENTED_FROM:
            start = yield from self._until_slow(start, stop)
            start = yield from self._segmented(start, stop)
        yield from self._net.stream(self._url, start, stop)

    def _until_slow(self, start: int, stop: int) -> Generator[bytes, None, int]:
        """Yield a range; end where most of the time since the last segment's length went by waiting. Return where."""
        with closing(self._net.stream(self._url, start, stop)) as coming:
            for block in coming:
                start += len(block)
                yield block
                break  # how long an answer takes to begin says nothing of the bytes
            looked = start
            waited, began = 0.0, time.monotonic()
            asked = began
            for block in coming:
                waited += time.monotonic() - asked
                start += len(block)
                yield block
                asked = time.monotonic()
                if start - looked >= SEGMENT:
                    if waited > MOSTLY * (asked - began):
                        break
                    looked, waited, began = start, 0.0, asked
        return start

    def _segmented(self, start: int, stop: int) -> Generator[bytes, None, int]:
        """Yield a range in segments over a few connections; end where the server does not bear it. Return where."""
        parts = (self._net.stream(self._url, at, min(at + SEGMENT, stop)) for at in range(start, stop, SEGMENT))
        try:
            with closing(in_turn(parts, CONNECTIONS, -(-SEGMENT // BLOCK))) as coming:
                for block in coming:
                    start += len(block)
                    yield block
        except UnreachableError as error:
            _log.info("%s; going on over one connection", error)
        return start
