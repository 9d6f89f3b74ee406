"""The command that pins what PyTorch's index and PyPI publish of a release."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import archives
import pytest

from libtorch_ffi.errors import IntegrityError
from libtorch_ffi.provision import catalogue, pinning, updating
from libtorch_ffi.provision.remote import Net

if TYPE_CHECKING:
    from world import World

CUDA = f"torch-{archives.VERSION}+cu118-cp311-cp311-linux_x86_64.whl"
CPU = f"torch-{archives.VERSION}+cpu-cp311-cp311-linux_x86_64.whl"
LINKER = "nvidia_nvjitlink_cu99-99.2-py3-none-manylinux1_x86_64.whl"
RUNTIME = "nvidia_cuda_runtime_cu99-99.1-py3-none-manylinux1_x86_64.whl"


@pytest.fixture
def published(world: World) -> World:
    """Return a world whose indexes have a release for the CPU and for CUDA, which names a wheel that names another."""
    requires = ['nvidia-cuda-runtime-cu99==99.1; platform_system == "Linux"', "sympy"]
    world.list_officially("cu118", {CUDA: archives.torch_wheel("cu118", requires=requires)})
    world.list_officially("cpu", {CPU: archives.torch_wheel()})
    runtime = archives.wheel("nvidia-cuda-runtime-cu99", "99.1", {}, requires=["nvidia-nvjitlink-cu99", "sympy"])
    world.list_on_pypi("nvidia-cuda-runtime-cu99", {RUNTIME: runtime})
    linker = archives.wheel("nvidia-nvjitlink-cu99", "99.2", {})
    world.list_on_pypi("nvidia-nvjitlink-cu99", {LINKER: linker})
    return world


def updated(world: World, table: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(table)
    with Net() as net:
        asked = updating.Update(archives.VERSION, world.settings, net, changed)
        updating.update(asked, ["cpu", "cu118", "cu121"], ["linux-x86_64"])
    return changed


def table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(catalogue.FILE.read_text(encoding="utf-8"))
    return found


def test_a_release_is_pinned_with_what_its_cuda_wheel_names(published: World) -> None:
    before = table()
    after = updated(published, before)
    pins = [entry for entry in after["official-wheels"] if entry not in before["official-wheels"]]
    base = "https://download.pytorch.org/whl"
    assert pins == [
        {
            "version": archives.VERSION,
            "platform": "linux-x86_64",
            "index": index,
            "url": f"{base}/{index}/{name.replace('+', '%2B')}",
            "sha256": archives.sha256(published.site.files[f"/whl/{index}/{name}"][1]),
        }
        for index, name in (("cpu", CPU), ("cu118", CUDA))
    ]
    assert after["releases"][archives.VERSION] == {"complete": False, "flavors": {"linux-x86_64": ["cpu", "cu118"]}}
    assert after["closures"][-1] == {"torch": CUDA, "flavor": "cu118", "needs": [RUNTIME, LINKER]}
    added = [entry for entry in after["pypi-wheels"] if entry not in before["pypi-wheels"]]
    assert {entry["filename"]: entry["sha256"] for entry in added} == {
        name: archives.sha256(published.site.files[f"/files/{name}"][1]) for name in (RUNTIME, LINKER)
    }
    assert json.loads(pinning.written(after)) == after


def test_what_is_known_stays_as_it_is(published: World) -> None:
    once = updated(published, table())
    assert updated(published, once) == once


def test_two_digests_for_one_wheel_are_refused(published: World) -> None:
    page = archives.html_page({RUNTIME: b"other bytes"}, "/whl/cu118")
    published.site.put("/whl/cu118/nvidia-cuda-runtime-cu99/", page, "text/html")
    with pytest.raises(IntegrityError, match="Not pinned, and nothing was written"):
        updated(published, table())


def test_the_closures_name_wheels_that_are_pinned() -> None:
    known = {entry["filename"] for entry in table()["pypi-wheels"]}
    torches = {entry["url"].rpartition("/")[2].replace("%2B", "+") for entry in table()["official-wheels"]}
    for closure in table()["closures"]:
        assert set(closure["needs"]) <= known
        assert closure["torch"] in torches
