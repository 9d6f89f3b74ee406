"""A server for each test, empty or with a torch wheel, and settings that lead to it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import archives
import pytest
from servers import Server
from world import RUNTIME, World

from libtorch_ffi.provision import Settings, remote
from libtorch_ffi.provision.remote import Net

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a retry or a stall as long as a user would."""
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    monkeypatch.setattr(remote, "READ_TIMEOUT", 1.0)


@pytest.fixture
def server() -> Iterator[Server]:
    """Return an empty server."""
    with Server() as server:
        yield server


@pytest.fixture
def world(server: Server, tmp_path: Path) -> World:
    """Return a server without anything on it, and settings of release 9.9.9 for linux-x86_64."""
    settings = Settings(
        version=archives.VERSION,
        flavor="cpu",
        platform="linux-x86_64",
        home=tmp_path / "home",
        mirror=server.url,
        index_url=f"{server.url}/simple",
        environ={},
    )
    return World(server, settings)


@pytest.fixture
def cuda_world(world: World) -> World:
    """Return a world whose PyPI has a torch wheel for CUDA 99.1 and the wheel of its runtime."""
    runtime = archives.wheel(
        "nvidia-cuda-runtime-cu99",
        "99.1",
        {
            "nvidia/cuda_runtime/lib/libcudart.so.99": archives.library("libcudart.so.99", ["libc.so.6"]),
            "nvidia/cuda_runtime/lib/libextra.so.99": archives.library("libextra.so.99", ["libc.so.6"]),
        },
    )
    requires = [
        "sympy (==1.0)",
        'nvidia-cublas-cu99==1.0; platform_system == "Windows"',
        'nvidia-cuda-runtime-cu99 (==99.1) ; platform_system == "Linux" and platform_machine == "x86_64"',
    ]
    torch = archives.torch_wheel("cu991", requires=requires)
    world.list_on_pypi("torch", {world.torch.rpartition("/")[2]: torch})
    world.list_on_pypi("nvidia-cuda-runtime-cu99", {RUNTIME: runtime})
    return world


@pytest.fixture
def cpu_world(world: World) -> World:
    """Return a world whose PyPI has a torch wheel for the CPU."""
    world.list_on_pypi("torch", {world.torch.rpartition("/")[2]: archives.torch_wheel("cpu")})
    return world


@pytest.fixture
def net() -> Iterator[Net]:
    """Return a session with servers."""
    with Net() as net:
        yield net


@pytest.fixture
def url(server: Server) -> str:
    """Return the address of a file that holds `archives.NOISE`."""
    server.site.put("/file", archives.NOISE)
    return f"{server.url}/file"
