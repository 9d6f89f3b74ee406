"""The catalogue's file is as its command writes it, and a pin is of a wheel that was checked whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import archives
import pytest
from packaging.requirements import Requirement

from libtorch_ffi.errors import IntegrityError
from libtorch_ffi.provision import catalogue, pinning
from libtorch_ffi.provision.archive import Archive
from libtorch_ffi.provision.remote import Net
from libtorch_ffi.provision.remote_file import RemoteFile

if TYPE_CHECKING:
    from world import World

WANTED = Requirement(f"torch=={archives.VERSION}")


def test_the_catalogue_is_as_its_command_writes_it() -> None:
    text = catalogue.FILE.read_text(encoding="utf-8")
    table = json.loads(text)
    assert pinning.written(table) == text
    for entry in table["pypi-wheels"]:
        table = pinning.with_pin(table, entry)
    assert pinning.written(table) == text


def test_a_pin_states_the_digests_of_the_wheel_and_its_record(cpu_world: World) -> None:
    entry = pinning.pin(WANTED, "linux-x86_64", cpu_world.settings)
    with Net() as net:
        record = Archive(RemoteFile(net, cpu_world.server.url + cpu_world.torch)).read("torch-9.9.9.dist-info/RECORD")
    assert entry == {
        "project": "torch",
        "version": archives.VERSION,
        "filename": cpu_world.torch.rpartition("/")[2],
        "sha256": archives.sha256(cpu_world.site.files[cpu_world.torch][1]),
        "record_sha256": archives.sha256(record),
    }


def test_a_wheel_with_another_digest_is_not_pinned(cpu_world: World) -> None:
    cpu_world.site.misbehave(cpu_world.torch, "wrong")
    with pytest.raises(IntegrityError, match="Not pinned"):
        pinning.pin(WANTED, "linux-x86_64", cpu_world.settings)
