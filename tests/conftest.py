"""What all tests share: where they run, no socket that leaves this machine, a real libtorch, torch to compare with.

A test that asks for `installed_libtorch` is marked `network` by that, one that asks for `torch` is marked `reference`.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from libtorch_ffi.provision import Libtorch

_NETWORK_FIXTURES = frozenset(("installed_libtorch",))
_LOOPBACK = ("127.", "::1", "localhost")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--campaigns", action="store_true", help="run what makes calls by the hundred thousand, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs the network by the fixtures that it asks for, so that nobody forgets; leave campaigns out."""
    for item in items:
        if _NETWORK_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.network)
        if "torch" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.reference)
    if not config.getoption("--campaigns"):
        campaigns = [item for item in items if item.get_closest_marker("campaign")]
        items[:] = [item for item in items if item not in campaigns]
        config.hook.pytest_deselected(items=campaigns)


@pytest.fixture(autouse=True)
def only_loopback(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that connects to another machine and is not marked `network`."""
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: tuple[str, int] | str) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(_LOOPBACK):
            raise RuntimeError(f"a test without the marker `network` connects to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every process outside the checkout, whose sources would hide the installed package."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let the kernels do without threads of their own: sums have one order, and small calls do not wait for threads."""
    import libtorch_ffi as lt

    before = lt.get_num_threads()
    lt.set_num_threads(1)
    yield
    lt.set_num_threads(before)


@pytest.fixture(scope="session")
def libtorch_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache folder that all tests of the session share."""
    return tmp_path_factory.mktemp("libtorch")


@pytest.fixture(scope="session")
def installed_libtorch(libtorch_home: Path) -> Libtorch:
    """Return the default release for the CPU, really downloaded: 475 MB on the disk, once a session."""
    from libtorch_ffi.provision import Settings, ensure

    return ensure(Settings(version="2.5.0", flavor="cpu", home=libtorch_home))


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    """Torch, on the libtorch that the extension was built against; without it, the test is skipped."""
    import libtorch_ffi._binding

    assert libtorch_ffi._binding.core is not None
    module: ModuleType = pytest.importorskip("torch", reason="no torch on this libtorch", exc_type=ImportError)
    return module
