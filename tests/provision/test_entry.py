"""The public face: lazy names, and a cache hit that imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi import provision

if TYPE_CHECKING:
    from world import World

HEAVY = (
    *("requests", "urllib3", "pypi_simple", "packaging", "filelock", "zipfile", "hashlib", "ssl", "subprocess"),
    *("email", "configparser", "importlib.metadata"),
)
HIT = f"""
import socket, sys
socket.socket = None
from pathlib import Path
from libtorch_ffi.provision import Settings, ensure
settings = Settings(version="9.9.9", platform="linux-x86_64", home=Path(sys.argv[1]), environ={{}})
print(ensure(settings).origin)
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_a_cache_hit_imports_nothing_heavy_and_opens_no_socket(cpu_world: World) -> None:
    provision.ensure(cpu_world.settings)
    command = [sys.executable, "-c", HIT, str(cpu_world.settings.home)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "cache\n[]\n"


def test_every_public_name_is_there() -> None:
    for name in provision.__all__:
        assert getattr(provision, name).__module__.startswith("libtorch_ffi.provision.")
    assert sorted(provision.__all__) == provision.__all__


@pytest.mark.parametrize("first", ["locate", "survey"])
def test_no_module_hides_a_function(first: str) -> None:
    code = f"from libtorch_ffi import provision; provision.{first}; print(callable(provision.ensure))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        provision.nothing  # noqa: B018 (the access is the test)
