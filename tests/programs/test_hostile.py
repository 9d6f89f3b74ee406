"""Archives with faults: an error for each, no crash, and nothing in them runs."""

from __future__ import annotations

import io
import os
import pickle
import random
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import exported
import pytest

import libtorch_ffi as lt
from libtorch_ffi import export, jit
from libtorch_ffi.errors import LibtorchFFIError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOAD = """
import contextlib, sys
from pathlib import Path
import libtorch_ffi as lt
from libtorch_ffi import export, jit

loader = {"jit": jit, "export": export}[sys.argv[1]]
refused = 0
for path in sorted(Path(sys.argv[2]).iterdir()):
    print(path.name, flush=True)
    try:
        program = loader.load(path)
    except lt.errors.LibtorchFFIError:
        refused += 1
        continue
    with contextlib.suppress(Exception):  # what loads may fail when it is called, and may not crash
        program(lt.ones(3, 2))
print(refused)
"""
"""Loads every file of a folder; a crash shows in the exit status, and the last name printed is the culprit."""


def module() -> bytes:
    """Return an archive of TorchScript."""
    made = jit.ScriptModule("Net")
    made.register_parameter("weight", lt.ones(2, 2))
    made.register_attribute("names", {"a": [1, 2], "b": [3]})
    made.define("def forward(self, x): return torch.relu(x @ self.weight) + len(self.names)")
    return made.save_to_buffer()


def program() -> bytes:
    """Return an archive of an exported program."""
    return exported.archive(exported.program(), exported.weights())


def damaged(content: bytes, seed: int) -> bytes:
    """Return an archive with a few bytes changed, or its end cut off."""
    chance, changed = random.Random(seed), bytearray(content)
    for _ in range(chance.choice((1, 3, 20))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed[: chance.randrange(len(changed))] if chance.random() < 0.2 else changed)


def rewritten(content: bytes, seed: int) -> bytes:
    """Return an archive in which one member has changed, with a checksum that is right."""
    chance = random.Random(seed)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = {info.filename: file.read(info) for info in file.infolist()}
    name = chance.choice([name for name, data in members.items() if len(data) > 1 and not name.endswith("debug_pkl")])
    changed = bytearray(members[name])
    for _ in range(chance.choice((1, 2, 5))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return exported.zipped({**members, name: bytes(changed)})


@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.campaign)])
@pytest.mark.parametrize(("kind", "make"), [("jit", module), ("export", program)])
def test_damaged_archives_never_crash(tmp_path: Path, kind: str, make: Callable[[], bytes], count: int) -> None:
    content = make()
    (tmp_path / "files").mkdir()
    for seed in range(count):
        (tmp_path / f"files/{seed:05}-raw").write_bytes(damaged(content, seed))
        (tmp_path / f"files/{seed:05}-member").write_bytes(rewritten(content, seed))
    command = [sys.executable, "-c", LOAD, kind, str(tmp_path / "files")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout.split()[-1:]} crashed it: {done.stderr[-2000:]}"
    assert int(done.stdout.split()[-1]) > count, "most of them have to be refused when they are loaded"


class Evil:
    """What a pickle would run if anybody unpickled it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def test_a_pickle_that_calls_os_system_is_not_run(tmp_path: Path) -> None:
    evil = pickle.dumps(Evil(tmp_path / "ran"), protocol=2)
    with zipfile.ZipFile(io.BytesIO(module())) as file:
        members = {info.filename: file.read(info) for info in file.infolist()}
    for member in ("data.pkl", "constants.pkl"):
        name = next(name for name in members if name.endswith(f"/{member}"))
        with pytest.raises(LibtorchFFIError):
            jit.load(exported.zipped({**members, name: evil}))
    document = b"{}"
    state = exported.zipped({"state/data.pkl": evil, "state/version": b"3"})
    with pytest.raises(LibtorchFFIError):
        export.load(exported.zipped({"serialized_exported_program.json": document, "serialized_state_dict.pt": state}))
    assert not (tmp_path / "ran").exists()
    os.system(f"touch {tmp_path / 'ran'}")  # noqa: S605 - what would have been seen
    assert (tmp_path / "ran").exists()


def test_a_bomb_is_refused() -> None:
    with zipfile.ZipFile(io.BytesIO(program())) as file:
        members = {info.filename: file.read(info) for info in file.infolist()}
    content = exported.zipped({**members, "model/data/weights/weight_0": bytes(1 << 16)}, zipfile.ZIP_DEFLATED)
    size = (1 << 16).to_bytes(4, "little")
    assert content.count(size) >= 2
    with pytest.raises(LibtorchFFIError, match="claims 2147483648 bytes, which cannot be"):
        export.load(content.replace(size, (1 << 31).to_bytes(4, "little")))


def test_members_that_overlap_are_refused() -> None:
    description = exported.meta(1 << 14)
    content = exported.archive(
        exported.program(), {name: (bytes(1 << 16) if name == "0" else b"", description) for name in "0123"}
    )
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as file:
        file.comment = b"the directory is written anew"
        whole = file.getinfo("model/data/weights/weight_0")
        for name in "123":
            info = file.getinfo(f"model/data/weights/weight_{name}")
            for claim in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(info, claim, getattr(whole, claim))
    with pytest.raises(LibtorchFFIError, match="members of it overlap"):
        export.load(buffer.getvalue())


def test_a_directory_that_begins_before_the_file_is_refused() -> None:
    content = bytearray(program())
    place = content.rindex(b"PK\5\6") + 16
    offset = int.from_bytes(content[place : place + 4], "little")
    content[place : place + 4] = (offset + 100).to_bytes(4, "little")
    with pytest.raises(LibtorchFFIError, match="cut off or damaged"):
        export.load(bytes(content))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.pt2"
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.pt2: export\.load\(\) takes a \.pt2"):
        export.load(path)
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.pt2: jit\.load\(\) takes an archive"):
        jit.load(path)
    with pytest.raises(IsADirectoryError, match=r"is a folder: export\.load\(\) takes a \.pt2"):
        export.load(tmp_path)
