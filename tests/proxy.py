"""A web proxy for the tests, a process of its own: plain requests by their full address, and tunnels for TLS.

    python tests/proxy.py

Prints its port, then a line for each request. Ends when stdin does.
"""

from __future__ import annotations

import select
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_BLOCK = 1 << 16


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the method that this overrides)
        """Say nothing on stderr."""

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        _say(f"{self.command} {self.path}")
        with socket.create_connection((host, int(port))) as upstream:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._relay(upstream)

    def do_GET(self) -> None:
        _say(f"{self.command} {self.path}")
        asked = urlsplit(self.path)
        with socket.create_connection((asked.hostname or "", asked.port or 80)) as upstream:
            headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items() if name != "Connection")
            upstream.sendall(f"GET {asked.path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode())
            while block := upstream.recv(_BLOCK):
                self.wfile.write(block)
        self.close_connection = True

    def _relay(self, upstream: socket.socket) -> None:
        self.close_connection = True
        others = {self.connection: upstream, upstream: self.connection}
        while True:
            for ready in select.select([*others], [], [])[0]:
                block = ready.recv(_BLOCK)
                if not block:
                    return
                others[ready].sendall(block)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients hang up."""


def main() -> None:
    """Serve until stdin ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _say(str(server.server_address[1]))
    sys.stdin.read()


if __name__ == "__main__":
    main()
