"""What the tests of the command line share: an answer of it, and a cache with a libtorch that is empty inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from libtorch_ffi.provision import store
from libtorch_ffi.provision.targets import Target, host_platform

if TYPE_CHECKING:
    from pathlib import Path

LIBRARIES = ("torch", "torch_cpu", "c10")


@dataclass(frozen=True)
class Answer:
    """What a run of the command line came to."""

    code: int
    out: str
    err: str


def put(home: Path, version: str = "2.5.0", flavor: str = "cpu", *, cxx11_abi: bool = False) -> Path:
    """Put into a cache folder what it would take for an installed libtorch, and return its folder."""
    target = Target(version, flavor, host_platform())
    suffix = "dylib" if target.platform.startswith("macos") else "so"
    files = [f"lib{name}.{suffix}" for name in LIBRARIES]
    with store.locked(home, target), store.staged(home, target) as stage:
        for name in files:
            stage.write(f"lib/{name}", [b"x" * 1000])
        stage.finish(
            {
                "format": 1,
                "version": version,
                "flavor": flavor,
                "platform": target.platform,
                "source": "pypi",
                "libraries": dict.fromkeys(files, 1000),
                "link": list(LIBRARIES),
                "cxx11_abi": cxx11_abi,
                "cxx_standard": 17,
            }
        )
    return target.folder(home)
