"""Zip archives read by ranges: members, runs of neighbours, and the archives that are refused."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING

import archives
import pytest

from libtorch_ffi.errors import IntegrityError
from libtorch_ffi.provision import archive as archive_module
from libtorch_ffi.provision import directory
from libtorch_ffi.provision.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Generator


class Memory:
    """Bytes as `Ranges`, which count how they were read."""

    name = "memory"

    def __init__(self, data: bytes, block: int = 1000) -> None:
        self.data = data
        self.block = block
        self.size = len(data)
        self.asked: list[tuple[int, int]] = []

    def blocks(self, start: int, stop: int) -> Generator[bytes, None, None]:
        self.asked.append((start, stop))
        for place in range(start, stop, self.block):
            yield self.data[place : min(place + self.block, stop)]


FILES = {
    "a/one.h": b"1" * 5000,
    "a/two.h": b"",
    "b/noise": archives.NOISE,
    "a/three.h": bytes(range(256)) * 40,
    "c/noise": archives.NOISE[: directory.TAIL],
}


class Endless:
    """What a server that lies about a size would give, as far as it is asked for."""

    name = "endless"
    size = 1 << 50

    def __init__(self) -> None:
        self.given = 0

    def blocks(self, start: int, stop: int) -> Generator[bytes, None, None]:
        while start < stop:
            block = bytes(min(stop - start, 1 << 20))
            self.given += len(block)
            start += len(block)
            yield block


def test_no_more_is_read_into_memory_than_an_archive_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "_MOST_READ", 1 << 18)
    endless = Endless()
    with pytest.raises(IntegrityError, match="no directory at its end"):
        Archive(endless)
    assert endless.given == 1 << 18


def test_a_directory_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = Memory(archives.zipped({f"folder/file-{number}.h": b"" for number in range(3000)}))
    assert len(Archive(ranges).members) == 3000
    monkeypatch.setattr(archive_module, "_MOST_READ", 1 << 17)
    ranges.asked.clear()
    with pytest.raises(IntegrityError, match=r"its directory has \d{6} bytes, where 131072 are believed"):
        Archive(ranges)
    assert len(ranges.asked) == 1


@pytest.mark.parametrize("block", [1, 7, 4096, 1 << 20])
def test_every_member_comes_as_it_was_packed(block: int) -> None:
    small = {name: data for name, data in FILES.items() if not name.endswith("noise")}
    archive = Archive(Memory(archives.zipped(small), block))
    found = {member.name: b"".join(chunks) for member, chunks in archive.each(archive.members.values())}
    assert found == small


def test_neighbours_are_read_in_one_range_and_what_is_far_is_not() -> None:
    ranges = Memory(archives.zipped(FILES))
    archive = Archive(ranges)
    ranges.asked.clear()
    wanted = [archive.members[name] for name in ("a/three.h", "a/one.h", "a/two.h")]
    names = [member.name for member, _ in archive.each(wanted)]
    assert names == ["a/one.h", "a/two.h", "a/three.h"]
    assert len(ranges.asked) == 2
    assert sum(stop - start for start, stop in ranges.asked) == archive.transfer_size(wanted) < 20_000


def test_what_the_end_of_an_archive_had_is_not_asked_for_again() -> None:
    ranges = Memory(archives.zipped(dict(reversed(FILES.items()))))
    archive = Archive(ranges)
    assert archive.read_all("a/two.h", "a/one.h") == (FILES["a/two.h"], FILES["a/one.h"])
    assert len(ranges.asked) == 1
    assert archive.read("a/three.h") == FILES["a/three.h"]
    assert len(ranges.asked) == 2


def test_a_member_too_large_for_memory_is_not_read() -> None:
    archive = Archive(Memory(archives.zipped({"RECORD": bytes((1 << 25) + 1)}), 1 << 20))
    with pytest.raises(IntegrityError, match="RECORD in memory has 33554433 bytes"):
        archive.read("RECORD")


def test_what_is_not_taken_is_skipped() -> None:
    archive = Archive(Memory(archives.zipped(FILES)))
    last = [b"".join(chunks) for member, chunks in archive.each(archive.members.values()) if member.name == "a/three.h"]
    assert last == [FILES["a/three.h"]]


def test_stored_members_and_zip64_are_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed, packed.open(zipfile.ZipInfo("x"), "w", force_zip64=True) as member:
        member.write(b"stored")
    assert Archive(Memory(out.getvalue())).read("x") == b"stored"


def test_a_directory_with_64_bit_places_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    data = archives.zipped({f"f{number}": bytes([number]) * 2000 for number in range(5)})
    assert b"PK\6\6" in data
    assert Archive(Memory(data)).read("f3") == b"\3" * 2000


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "a//b", "a/./b", "c:/evil", "a\\..\\evil", "a/\0b"], ids=repr
)
def test_a_name_that_leaves_the_folder_is_refused(name: str) -> None:
    placed = "x" * len(name)
    data = archives.zipped({placed: b""}).replace(placed.encode(), name.encode())
    with pytest.raises(IntegrityError, match="outside of its folder"):
        Archive(Memory(data))


def test_two_members_of_one_name_are_refused() -> None:
    data = archives.zipped({"one": b"1", "two": b"2"}).replace(b"two", b"one")
    with pytest.raises(IntegrityError, match="two members one"):
        Archive(Memory(data))


def test_a_link_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        packed.writestr(info, "/etc/passwd")
    with pytest.raises(IntegrityError, match="is a link"):
        Archive(Memory(out.getvalue()))


@pytest.mark.parametrize(
    "data", [b"", b"<html>403</html>", b"PK\5\6", archives.zipped(FILES)[:-30]], ids=["nothing", "page", "end", "cut"]
)
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="not a zip archive"):
        Archive(Memory(data))


def test_a_damaged_member_is_refused() -> None:
    data = bytearray(archives.zipped({"x": archives.NOISE}))
    data[5000] ^= 0xFF
    with pytest.raises(IntegrityError, match="x in memory"):
        Archive(Memory(bytes(data))).read("x")


def test_a_member_that_inflates_to_more_than_its_size_is_cut_short() -> None:
    bomb = bytes(50_000_000)
    data = bytearray(archives.zipped({"bomb": bomb}))
    place = data.rindex(b"PK\1\2") + 24
    data[place : place + 4] = struct.pack("<I", 1000)
    archive = Archive(Memory(bytes(data)))
    contents = archive.each(archive.members.values())
    _, chunks = next(contents)
    with pytest.raises(IntegrityError, match="damaged"):
        next(chunks)


def test_a_directory_that_lies_about_places_is_refused() -> None:
    data = bytearray(archives.zipped({"one": b"1" * 3000, "two": b"2"}))
    place = data.rindex(b"PK\1\2") + 42
    data[place : place + 4] = struct.pack("<I", 3)
    with pytest.raises(IntegrityError):
        Archive(Memory(bytes(data))).read("two")
