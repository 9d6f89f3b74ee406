"""Long ranges of a file on a server: over one connection, or over a few where one is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import archives
import pytest

from libtorch_ffi.provision import remote, remote_file
from libtorch_ffi.provision.remote import Net, UnreachableError
from libtorch_ffi.provision.remote_file import RemoteFile

if TYPE_CHECKING:
    from collections.abc import Generator

    from servers import Mode, Server

DATA = archives.NOISE


@pytest.fixture
def segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ranges of the test's file long ones, for which any wait is too long."""
    monkeypatch.setattr(remote, "BLOCK", 20_000)
    monkeypatch.setattr(remote_file, "SEGMENT", 100_000)
    monkeypatch.setattr(remote_file, "SEGMENTED_FROM", 400_000)
    monkeypatch.setattr(remote_file, "MOSTLY", -1.0)


def _ranges(server: Server) -> list[tuple[int, int]]:
    asked = [(request.range or "").removeprefix("bytes=").split("-") for request in server.site.requests]
    return sorted((int(first), int(last) + 1) for first, last in asked)


@pytest.mark.usefixtures("segments")
@pytest.mark.parametrize("mode", ["ok", "truncated", "503", "no length"])
def test_a_long_range_that_is_waited_for_comes_over_more_connections(
    mode: Mode, server: Server, net: Net, url: str
) -> None:
    file = RemoteFile(net, url, len(DATA))
    server.site.misbehave("/file", mode, times=1)
    assert b"".join(file._stream(1, len(DATA))) == DATA[1:]
    alone = [asked for asked in _ranges(server) if asked[1] == len(DATA)]
    others = [asked for asked in _ranges(server) if asked[1] != len(DATA)]
    assert alone[0][0] == 1
    assert {stop - start for start, stop in others} >= {100_000}


def test_a_long_range_that_nobody_waits_for_comes_over_one_connection(
    server: Server, net: Net, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_file, "SEGMENT", 100_000)
    monkeypatch.setattr(remote_file, "SEGMENTED_FROM", 400_000)
    monkeypatch.setattr(remote_file, "MOSTLY", 1.0)
    assert b"".join(RemoteFile(net, url, len(DATA))._stream(0, len(DATA))) == DATA
    assert _ranges(server) == [(0, len(DATA))]


@pytest.mark.usefixtures("segments")
def test_a_server_that_bears_one_connection_alone_is_asked_over_one(
    server: Server, net: Net, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = RemoteFile(net, url, len(DATA))
    stream = net.stream

    def refusing(url: str, start: int, stop: int) -> Generator[bytes, None, None]:
        if stop - start == remote_file.SEGMENT and start > 250_000:
            raise UnreachableError("one connection is enough")
        yield from stream(url, start, stop)

    monkeypatch.setattr(net, "stream", refusing)
    assert b"".join(file._stream(0, len(DATA))) == DATA
