"""Files with faults end in an error that says so: no crash, and no program of the file's is ever run."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hostile_files
import pytest
import safetensors

import libtorch_ffi as lt
from libtorch_ffi.errors import ArchiveError
from libtorch_ffi.serialization import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

PT = hostile_files.pt_files()
LEGACY = hostile_files.legacy_files()
SAFETENSORS = hostile_files.safetensors_files()

_watched: list[str] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _watched and event in ("os.system", "subprocess.Popen", "exec", "compile", "shutil.rmtree"):
        _watched.append(event)


repr(lt.ones(1))  # what printing imports is compiled before anybody watches
sys.addaudithook(_watch)


@pytest.fixture
def nothing_runs(tmp_path: Path) -> Iterator[None]:
    """Watch that no code is run."""
    _watched[:] = ["watching"]
    yield
    seen, _watched[:] = _watched[1:], []
    assert seen == []
    assert not Path("pwned").exists()


def test_there_are_enough_of_them() -> None:
    assert len(PT) >= 100
    assert len(PT) + len(LEGACY) + len(SAFETENSORS) >= 180


def test_the_files_would_be_good_without_their_faults(tmp_path: Path) -> None:
    Path("good.pt").write_bytes(hostile_files.GOOD)
    Path("old.pt").write_bytes(hostile_files.legacy(hostile_files.legacy_tensor()))
    assert lt.load("good.pt").tolist() == lt.load("old.pt").tolist() == [0, 0, 0, 0]
    assert lt.load("good.pt", mmap=True).tolist() == [0, 0, 0, 0]


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mapped"])
@pytest.mark.parametrize("fault", PT)
def test_pt(fault: str, mmap: bool) -> None:
    Path("file.pt").write_bytes(PT[fault])
    with pytest.raises(ArchiveError) as caught:
        lt.load("file.pt", mmap=mmap)
    assert len(str(caught.value)) < 1000


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("fault", LEGACY)
def test_legacy(fault: str) -> None:
    Path("file.pth").write_bytes(LEGACY[fault])
    with pytest.raises(ArchiveError):
        lt.load("file.pth")


@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mapped"])
@pytest.mark.parametrize("fault", SAFETENSORS)
def test_safetensors(fault: str, mmap: bool) -> None:
    Path("file.safetensors").write_bytes(SAFETENSORS[fault])
    with pytest.raises(ArchiveError):
        lt.safetensors.load_file("file.safetensors", mmap=mmap)


def test_what_is_refused_is_named() -> None:
    names = {
        "runs os.system": "posix.system",
        "runs subprocess, protocol 4": "subprocess.Popen",
        "a module": "modules.linear.Linear",
    }
    for fault, name in names.items():
        Path("file.pt").write_bytes(PT[fault])
        with pytest.raises(ArchiveError, match=name):
            lt.load("file.pt")


def test_every_opcode_that_is_not_known_is_refused_for_it() -> None:
    """Between a value and the end, where one that was passed over would not show."""
    for opcode in sorted({*range(256)} - {*machine._STEPS, machine._STOP}):
        Path("file.pt").write_bytes(hostile_files.archive(b"\x80\x02N" + bytes([opcode]) + b"."))
        with pytest.raises(ArchiveError, match=r"has opcode .*, which no file of torch's has \(at byte 4\)"):
            lt.load("file.pt")


@pytest.mark.parametrize("kind", ["torch\nTensor", "torch.nn.parameter\nParameter", "collections\nOrderedDict"])
def test_a_tensor_of_a_class_of_its_own_is_of_a_class_of_tensors(kind: str) -> None:
    function, arguments = hostile_files.tensor().removeprefix(b"\x80\x02").split(b"\n(", 1)
    pickled = b"ctorch._tensor\n_rebuild_from_type_v2\n(" + function + b"\nc" + kind.encode() + b"\n("
    Path("file.pt").write_bytes(hostile_files.archive(b"\x80\x02" + pickled + arguments[:-3] + b"t}tR."))
    if kind.startswith("torch"):
        assert lt.load("file.pt").tolist() == [0, 0, 0, 0]
        return
    with pytest.raises(ArchiveError, match="no class of tensors"):
        lt.load("file.pt")


@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mapped"])
def test_a_safetensors_file_that_grows_while_it_is_read(mmap: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(filename: str, framework: str) -> object:
        found = open_file(filename, framework=framework)
        with Path(filename).open("ab") as file:
            file.write(b"more")
        return found

    open_file = safetensors.safe_open
    lt.safetensors.save_file({"a": lt.ones(3)}, "file.safetensors")
    monkeypatch.setattr(safetensors, "safe_open", opened)
    with pytest.raises(ArchiveError, match="has changed while it was read"):
        lt.safetensors.load_file("file.safetensors", mmap=mmap)


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("seed", range(20))
def test_bytes_changed_by_chance(seed: int) -> None:
    """A change may go unnoticed among the elements; anything else is our own error, or a tensor like any other."""
    chance = random.Random(seed)
    for good in (hostile_files.GOOD, hostile_files.legacy(hostile_files.legacy_tensor())):
        for _ in range(40):
            data = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            Path("file.pt").write_bytes(data)
            try:
                result = lt.load("file.pt", map_location="cpu")
            except ArchiveError:
                continue
            repr(result)


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("seed", range(20))
def test_pickles_changed_by_chance(seed: int) -> None:
    """The same behind a correct checksum."""
    chance = random.Random(seed)
    good = hostile_files.tensor()
    for _ in range(80):
        data = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        Path("file.pt").write_bytes(hostile_files.archive(bytes(data)))
        try:
            result = lt.load("file.pt", map_location="cpu")
        except ArchiveError:
            continue
        repr(result)
