"""A small libtorch and a small project to build against it; who asks for one of them runs a compiler."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_in import make_libtorch, make_project

from libtorch_ffi.provision import Libtorch

_COMPILING = frozenset(("libtorch_prefix", "project"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what compiles by the fixtures that it asks for."""
    for item in items:
        if _COMPILING.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.compile)


@pytest.fixture(scope="session")
def libtorch_prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_libtorch(tmp_path_factory.mktemp("stand-in") / "libtorch")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def libtorch() -> Libtorch:
    """Return a description alone: there is nothing behind it."""
    prefix = Path("/opt/libtorch")
    return Libtorch(
        version="2.5.0",
        flavor="cpu",
        platform="linux-x86_64",
        prefix=prefix,
        include_dirs=(prefix / "include", prefix / "include/torch/csrc/api/include"),
        library_dirs=(prefix / "lib",),
        libraries=("torch", "torch_cpu", "c10"),
        cxx11_abi=False,
        cxx_standard=17,
        origin="given",
    )
