"""A web server on loopback that plays PyTorch's index, PyPI and PyTorch's zips, and can misbehave on request.

Owns the server and its modes. A mode is set for a path and holds for a number of answers, so that a retry can be seen
to help.
"""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Self

Mode = Literal[
    "ok",
    "truncated",
    "stalled",
    "dripping",
    "wrong",
    "no ranges",
    "403",
    "404",
    "429",
    "503",
    "redirect",
    "no length",
    "chunked",
    "cut chunk",
    "shifted",
    "reset",
    "too much",
]

STALL = 20.0
DRIP = 0.1
"""Seconds between two bytes."""


FaultKind = Literal["drop", "stall", "corrupt", "truncate"]


@dataclass(frozen=True)
class Fault:
    """What happens, once, to the answer that has a byte of a file: a reset, a silence, a wrong byte, an early end."""

    kind: FaultKind
    path: str
    offset: int


@dataclass(frozen=True)
class Request:
    """What was asked of the server."""

    path: str
    range: str | None


@dataclass
class Site:
    """What a server has, how it misbehaves, and what it was asked."""

    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    encodings: dict[str, str] = field(default_factory=dict)
    modes: dict[str, list[Mode]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    """The byte of a file that an answer must have for the file's mode to hold; where there is none it holds for all."""
    requests: list[Request] = field(default_factory=list)
    sent: int = 0
    faults: list[Fault] = field(default_factory=list)
    authorization: str = ""
    """The header that every request must have, where one must."""

    def put(self, path: str, content: bytes, kind: str = "application/octet-stream", encoding: str = "") -> None:
        """Serve `content` at `path`, said to be packed in an encoding."""
        self.files[path] = (kind, content)
        self.encodings[path] = encoding

    def misbehave(self, path: str, mode: Mode, times: int = 1000) -> None:
        """Answer the next `times` requests for `path` in a mode."""
        self.modes[path] = [mode] * times

    def mode_of(self, path: str, asked: str | None) -> Mode:
        """Take the mode of the next answer."""
        size = len(self.files.get(path, ("", b""))[1])
        start, stop = _span(asked, size)
        modes = self.modes.get(path, [])
        return modes.pop(0) if modes and start <= self.places.get(path, start) <= stop else "ok"

    def fault_in(self, path: str, start: int, stop: int) -> Fault | None:
        """Take the fault that lies in a part of a file, if any."""
        for fault in self.faults:
            if fault.path == path and start <= fault.offset < stop:
                self.faults.remove(fault)
                return fault
        return None

    def asked_for(self, path: str) -> list[Request]:
        """Return the requests for a path."""
        return [request for request in self.requests if request.path == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    @property
    def site(self) -> Site:
        assert isinstance(self.server, Server)
        return self.server.site

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the method that this overrides)
        """Say nothing."""

    def do_GET(self) -> None:
        path = unquote(self.path)
        asked = self.headers.get("Range")
        self.site.requests.append(Request(path, asked))
        mode = self.site.mode_of(path, asked)
        if self.site.authorization not in ("", self.headers.get("Authorization")):
            self._refuse(401)
        elif mode in ("403", "404", "429", "503"):
            self._refuse(int(mode))
        elif mode == "redirect":
            self._redirect(path)
        elif mode == "reset":
            self.close_connection = True
            self.connection.close()
        elif path in self.site.files:
            self._answer(path, None if mode == "no ranges" else asked, mode)
        else:
            self._refuse(404)

    def _refuse(self, status: int) -> None:
        body = b"<html><body>no</body></html>"
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _redirect(self, path: str) -> None:
        moved = f"/moved{path}"
        self.site.files[moved] = self.site.files[path]
        self.site.encodings[moved] = self.site.encodings.get(path, "")
        self.send_response(302)
        self.send_header("Location", moved)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, path: str, asked: str | None, mode: Mode) -> None:
        kind, content = self.site.files[path]
        start, stop = _span(asked, len(content))
        body = content[start:stop]
        if mode == "too much":
            body += content
        if mode == "wrong":
            body = bytes(byte ^ 0x55 for byte in body)
        self.send_response(200 if asked is None else 206)
        self.send_header("Content-Type", kind)
        if self.site.encodings.get(path):
            self.send_header("Content-Encoding", self.site.encodings[path])
        if asked is not None:
            shift = 1 if mode == "shifted" else 0
            self.send_header("Content-Range", f"bytes {start + shift}-{stop - 1}/{len(content)}")
        if mode in ("chunked", "cut chunk"):
            self.send_header("Transfer-Encoding", "chunked")
        elif mode == "no length":
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        fault = self.site.fault_in(path, start, stop)
        if fault is None:
            self._send(body, mode)
        else:
            self._fail(body, fault.offset - start, fault.kind)

    def _fail(self, body: bytes, place: int, kind: FaultKind) -> None:
        if kind == "corrupt":
            self._send(body[:place] + bytes([body[place] ^ 0x55]) + body[place + 1 :], "ok")
            return
        self._send(body[:place], "ok")
        self.wfile.flush()
        self.close_connection = True
        if kind == "stall":
            assert isinstance(self.server, Server)
            self.server.closing.wait(STALL)
        if kind == "drop":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _drip(self, body: bytes) -> None:
        assert isinstance(self.server, Server)
        for byte in body:
            if self.server.closing.wait(DRIP):
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()

    def _send_chunk(self, body: bytes, mode: Mode) -> None:
        sent = body[: len(body) // 2] if mode == "cut chunk" else body
        self.wfile.write(b"%x\r\n" % len(body) + sent)
        if mode == "cut chunk":
            self.close_connection = True
        else:
            self.wfile.write(b"\r\n0\r\n\r\n")

    def _send(self, body: bytes, mode: Mode) -> None:
        if mode == "dripping":
            self._drip(body)
            return
        if mode in ("chunked", "cut chunk"):
            self._send_chunk(body, mode)
            return
        sent = body[: len(body) // 2] if mode in ("truncated", "stalled") else body
        self.wfile.write(sent)
        self.site.sent += len(sent)
        if mode == "stalled":
            self.wfile.flush()
            assert isinstance(self.server, Server)
            self.server.closing.wait(STALL)
        if sent != body:
            self.close_connection = True


class Server(ThreadingHTTPServer):
    """A server on a free port of loopback, in threads of its own."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.site = Site()
        self.closing = threading.Event()
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"{self._scheme}://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are part of the tests."""


def _span(asked: str | None, size: int) -> tuple[int, int]:
    if asked is None:
        return 0, size
    first, _, last = asked.removeprefix("bytes=").partition("-")
    return int(first), min(int(last) + 1 if last else size, size)
