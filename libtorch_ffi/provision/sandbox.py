"""Whether this is a Nix build sandbox, where nothing can be downloaded.

Owns that one question. Never sends a packet: a UDP socket's `connect` only asks the kernel's routing table. The path of
the build folder proves nothing (newer Nix builds under /nix/var/nix/builds), and `nix develop` sets NIX_BUILD_TOP too,
with the network there, so only both facts together make a sandbox.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Addresses that documentation reserves (RFC 5737 and RFC 3849): only a default route leads there.
_PROBES = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def has_route() -> bool:
    """Tell whether this machine has a route to anything but itself."""
    return any(_routed(family, address) for family, address in _PROBES)


def in_nix_sandbox(environ: Mapping[str, str], routed: Callable[[], bool] = has_route) -> bool:
    """Tell whether `environ` is a Nix build's and no network is there.

    Parameters
    ----------
    environ
        The environment variables.
    routed
        The probe for a route, called only where the environment is a Nix build's.
    """
    return "NIX_BUILD_TOP" in environ and not routed()


def _routed(family: socket.AddressFamily, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
    except OSError:
        return False
    return True
