"""Servers that misbehave: what is tried again, what goes on where it stopped, and what is an error at once."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING

import archives
import pytest

from libtorch_ffi.provision import remote
from libtorch_ffi.provision.remote import AbsentError, Net, NoRangesError, UnreachableError
from libtorch_ffi.provision.whole_file import download

if TYPE_CHECKING:
    from servers import Mode, Server

DATA = archives.NOISE


def _read(net: Net, url: str, start: int, stop: int) -> bytes:
    return b"".join(net.stream(url, start, stop))


@pytest.mark.parametrize(
    "mode", ["ok", "truncated", "stalled", "503", "429", "redirect", "no length", "chunked", "cut chunk"]
)
def test_a_range_comes_whole_from_a_server_that_fails_once(mode: Mode, server: Server, net: Net, url: str) -> None:
    assert net.size(url) == len(DATA)
    server.site.misbehave("/file", mode, times=1)
    assert _read(net, url, 1000, 600_000) == DATA[1000:600_000]


def test_a_range_that_was_cut_goes_on_where_it_stopped(server: Server, net: Net, url: str) -> None:
    server.site.misbehave("/file", "truncated", times=2)
    assert _read(net, url, 0, 400_000) == DATA[:400_000]
    starts = [int((request.range or "").removeprefix("bytes=").partition("-")[0]) for request in server.site.requests]
    assert starts == [0, 200_000, 300_000]
    assert net.received == 400_000


@pytest.mark.parametrize(("mode", "times"), [("503", 4), ("429", 4)])
def test_a_server_that_goes_on_failing_is_given_up(mode: Mode, times: int, server: Server, net: Net, url: str) -> None:
    server.site.misbehave("/file", mode)
    with pytest.raises(UnreachableError, match="tried 4 times") as caught:
        _read(net, url, 0, 10)
    assert len(server.site.requests) == times
    assert mode in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("403", UnreachableError),
        ("404", AbsentError),
        ("no ranges", NoRangesError),
        ("shifted", UnreachableError),
        ("too much", UnreachableError),
    ],
)
def test_what_cannot_pass_is_not_tried_again(
    mode: Mode, error: type[Exception], server: Server, net: Net, url: str
) -> None:
    server.site.misbehave("/file", mode)
    with pytest.raises(error):
        _read(net, url, 0, 10)
    assert len(server.site.requests) == 1


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(server: Server, net: Net, url: str) -> None:
    server.site.misbehave("/file", "dripping")
    with pytest.raises(UnreachableError, match=r"it sent \d+ bytes in 1 s"):
        b"".join(net.stream(url, 0, 5000))


def test_a_connection_that_was_reset_is_made_again(server: Server, net: Net, url: str) -> None:
    assert net.size(url) == len(DATA)
    server.site.misbehave("/file", "reset", times=1)
    assert _read(net, url, 5, 10) == DATA[5:10]


def test_a_server_that_is_not_there_is_asked_once(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waited"))
    with pytest.raises(UnreachableError, match="refused"):
        net.page("http://127.0.0.1:9/simple/torch/", "*/*")
    with pytest.raises(UnreachableError, match="refused"):
        _read(net, "http://127.0.0.1:9/file", 0, 10)


def test_the_server_says_how_long_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    patience = remote._Patience("http://x/")
    for asked in (0.0, 7.0, 3600.0):
        with patience.forgiving():
            raise remote._TransientError("the server said 429", asked)
    assert waited == [remote.PAUSE, 7.0, 20.0]


@pytest.mark.parametrize("stated", ["²", "1" * 5000, "-1", "", "0x10"])
def test_a_count_that_is_none_is_not_believed(stated: str) -> None:
    assert remote._number(stated) is None
    assert remote._number("600") == 600


def test_names_and_passwords_are_not_shown() -> None:
    assert remote.shown("https://me:secret@host/simple/#sha256=1") == "https://host/simple/"


def test_a_whole_download_begins_again_where_it_cannot_go_on(
    server: Server, net: Net, url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server.site.modes["/file"] = ["truncated", "no ranges", "ok"]
    path = tmp_path_factory.mktemp("whole") / "file"
    assert download(net, url, path) == archives.sha256(DATA)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("mode", ["ok", "truncated", "stalled", "503", "redirect", "no length", "chunked", "cut chunk"])
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_page_comes_whole_from_a_server_that_fails_once(encoding: str, mode: Mode, server: Server, net: Net) -> None:
    content = b"".join(b"<a>%d</a>" % i for i in range(1000))
    server.site.put("/page", gzip.compress(content) if encoding else content, "text/html; charset=utf-8", encoding)
    server.site.misbehave("/page", mode, times=1)
    page = net.page(f"{server.url}/page", "*/*")
    assert (page.content, page.kind) == (content, "text/html; charset=utf-8")
    assert page.url == f"{server.url}{'/moved' if mode == 'redirect' else ''}/page"
    assert net.received >= len(server.site.files["/page"][1])


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_page_without_an_end_is_not_read_to_it(
    encoding: str, server: Server, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "LONGEST_PAGE", 1 << 20)
    content = bytes(1 << 23)
    server.site.put("/page", gzip.compress(content) if encoding else content, "text/html", encoding)
    with pytest.raises(UnreachableError, match="a page of more than 1 MiB"):
        net.page(f"{server.url}/page", "*/*")
    assert net.received < 1 << 21
    assert len(server.site.requests) == 1


@pytest.mark.parametrize(
    ("encoding", "content", "words"),
    [
        ("br", b"", "the encoding 'br'"),
        ("gzip", b"<html>", "cannot be unpacked"),
        ("gzip", gzip.compress(b"<html>")[:-9], "cannot be unpacked"),
        ("gzip", gzip.compress(b"<html>")[:10] + b"\xff" * 20, "cannot be unpacked"),
    ],
)
def test_a_page_that_cannot_be_unpacked(encoding: str, content: bytes, words: str, server: Server, net: Net) -> None:
    server.site.put("/page", content, "text/html", encoding)
    with pytest.raises(UnreachableError, match=words):
        net.page(f"{server.url}/page", "*/*")


def test_progress_is_told_of_every_byte(server: Server, url: str) -> None:
    told: list[tuple[str, object]] = []

    class Listener:
        def start(self, label: str, total: int | None) -> None:
            told.append((label, total))

        def advance(self, count: int) -> None:
            told.append(("advance", count))

        def finish(self) -> None:
            told.append(("finish", None))

    server.site.misbehave("/file", "truncated", times=1)
    with Net(Listener()) as net:
        _read(net, url, 0, 9)
        with net.told("file", 100_000):
            _read(net, url, 0, 100_000)
    assert told[0] == ("file", 100_000)
    assert told[-1] == ("finish", None)
    assert sum(count for name, count in told if name == "advance" and isinstance(count, int)) == 100_000
