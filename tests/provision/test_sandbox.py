"""The Nix sandbox: both facts together, and no packet to find them out."""

from __future__ import annotations

import socket

import pytest

from libtorch_ffi.provision import sandbox


@pytest.mark.parametrize(
    ("environ", "routed", "expected"),
    [
        ({"NIX_BUILD_TOP": "/build"}, False, True),
        ({"NIX_BUILD_TOP": "/nix/var/nix/builds/x"}, False, True),
        ({"NIX_BUILD_TOP": "/build"}, True, False),
        ({}, False, False),
    ],
)
def test_a_sandbox_is_a_nix_build_without_a_route(environ: dict[str, str], routed: bool, expected: bool) -> None:
    assert sandbox.in_nix_sandbox(environ, lambda: routed) is expected


def test_the_routing_table_is_not_asked_outside_of_a_nix_build() -> None:
    def fail() -> bool:
        raise AssertionError("asked")

    assert not sandbox.in_nix_sandbox({}, fail)


@pytest.mark.parametrize(
    "error", [OSError(101, "Network is unreachable"), PermissionError(1, "Operation not permitted")]
)
def test_no_route_is_what_linux_and_macos_say(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert not sandbox.has_route()


def test_the_probe_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, _: kinds.append(self.type))
    assert sandbox.has_route()
    assert kinds == [socket.SOCK_DGRAM]
