"""Zip archives that lie, written field by field.

Owns the writing of a zip whose every field can be a lie, and the list of the lies. Each is a whole libtorch with one
thing wrong with it, so that nothing but that one thing can be the reason for refusing it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from functools import cache

import archives

PLAIN = 0o100644


@dataclass(frozen=True)
class Part:
    """A member as its two headers state it; what is None is the truth."""

    name: bytes
    data: bytes = b"x"
    mode: int = PLAIN
    method: int = 8
    flags: int = 0
    crc: int | None = None
    packed: int | None = None
    size: int | None = None
    offset: int | None = None
    local_name: bytes | None = None
    local_signature: bytes = b"PK\3\4"
    raw: bytes | None = None
    extra: bytes = b""
    claimed_name_size: int | None = None

    @property
    def content(self) -> bytes:
        """The member's content as it lies in the archive."""
        if self.raw is not None or self.method != 8:
            return self.data if self.raw is None else self.raw
        deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
        return deflate.compress(self.data) + deflate.flush()

    def fields(self) -> tuple[int, int, int]:
        """Return CRC, packed size and size as stated."""
        truth = (zlib.crc32(self.data), len(self.content), len(self.data))
        said = (self.crc, self.packed, self.size)
        return tuple(t if s is None else s for t, s in zip(truth, said, strict=True))  # type: ignore[return-value]

    def local(self) -> bytes:
        """Return the local header and the content."""
        name = self.name if self.local_name is None else self.local_name
        head = struct.pack(
            "<4sHHHHHIIIHH", self.local_signature, 20, self.flags, self.method, 0, 0, *self.fields(), len(name), 0
        )
        return head + name + self.content

    def entry(self, offset: int) -> bytes:
        """Return the entry in the directory."""
        place = offset if self.offset is None else self.offset
        size = len(self.name) if self.claimed_name_size is None else self.claimed_name_size
        head = struct.pack("<4sHHHHHHIII", b"PK\1\2", 0x314, 20, self.flags, self.method, 0, 0, *self.fields())
        rest = struct.pack("<HHHHHII", size, len(self.extra), 0, 0, 0, self.mode << 16, place)
        return head + rest + self.name + self.extra


@dataclass(frozen=True)
class End:
    """The end record as stated; what is None is the truth."""

    disk: int = 0
    first_disk: int = 0
    here: int | None = None
    entries: int | None = None
    length: int | None = None
    offset: int | None = None
    comment: bytes = b""
    signature: bytes = b"PK\5\6"
    after: bytes = b""
    before: bytes = b""


def packed(parts: list[Part], end: End | None = None) -> bytes:
    """Return the zip of some members."""
    end = end or End()
    body, directory = b"", b""
    for part in parts:
        directory += part.entry(len(body))
        body += part.local()
    truth = (len(parts), len(parts), len(directory), len(body))
    said = (end.here, end.entries, end.length, end.offset)
    fields = [t if s is None else s for t, s in zip(truth, said, strict=True)]
    record = struct.pack("<4sHHHHIIH", end.signature, end.disk, end.first_disk, *fields, len(end.comment))
    return body + directory + end.before + record + end.comment + end.after


@cache
def whole() -> tuple[Part, ...]:
    """Return the members of a libtorch with nothing wrong."""
    files = {name: data for name, data in archives.headers().items() if "header" not in name}
    files |= {f"lib/{name}": data for name, data in archives.libraries(cuda=False).items()}
    files["lib/libgomp-1.so"] = archives.library("libgomp-1.so")
    files["build-version"] = b"9.9.9+cpu\n"
    kept = {name: data for name, data in files.items() if "python" not in name}
    return tuple(Part(f"libtorch/{name}".encode(), data[:5000], method=0) for name, data in kept.items())


def with_(*parts: Part) -> bytes:
    """Return the libtorch with more members."""
    return packed([*whole(), *parts])


def folder(name: str) -> bytes:
    """Return the libtorch with an entry for a folder."""
    return with_(Part(name.encode(), b"", 0o040755))


def ended(end: End) -> bytes:
    """Return the libtorch with another end record."""
    return packed(list(whole()), end)


def named(name: str | bytes) -> bytes:
    """Return the libtorch with a member of a name."""
    return with_(Part(name.encode() if isinstance(name, str) else name))


def changed(**lies: object) -> bytes:
    """Return the libtorch whose first header states something else."""
    first, *others = whole()
    return packed([replace(first, **lies), *others])  # type: ignore[arg-type]


_OUTSIDE = "outside of its folder"
_UNSEEN = "cannot be seen"
_DEVICE = "name of a device"
_SAME = "the same name on some file systems"
_BOTH = "both as a file and as a folder"
_NOT_ZIP = "no directory at its end"
_TWICE = "two members"
_IN = b"libtorch/include/"

LIES: dict[str, tuple[bytes, str]] = {
    # names that lead elsewhere
    "parent": (named("../evil"), _OUTSIDE),
    "parent inside": (named("libtorch/../../evil"), _OUTSIDE),
    "parent at the end": (named("libtorch/.."), _OUTSIDE),
    "parent folder": (folder("libtorch/../../evil/"), _OUTSIDE),
    "absolute": (named("/tmp/evil"), _OUTSIDE),  # noqa: S108 (a name in an archive)
    "two slashes": (named("//host/evil"), _OUTSIDE),
    "empty part": (named("libtorch//evil"), _OUTSIDE),
    "dot part": (named("libtorch/./evil"), _OUTSIDE),
    "drive": (named("c:/evil"), _OUTSIDE),
    "drive relative": (named("c:evil"), _OUTSIDE),
    "backslashes": (named("libtorch\\..\\..\\evil"), _OUTSIDE),
    "backslash share": (named("\\\\host\\evil"), _OUTSIDE),
    "mixed slashes": (named("libtorch/..\\evil"), _OUTSIDE),
    "no name": (named(""), _OUTSIDE),
    "slash alone": (folder("/"), _OUTSIDE),
    "NUL": (named("libtorch/include/a\0.h"), _OUTSIDE),
    # names that are not what they look like
    "newline": (named("libtorch/include/a\nb.h"), _UNSEEN),
    "escape": (named("libtorch/include/\x1b[2Ja.h"), _UNSEEN),
    "written backwards": (named("libtorch/include/a\u202eh.b"), _UNSEEN),
    "no width": (named("libtorch/include/a\u200b.h"), _UNSEEN),
    "not UTF-8": (named(_IN + b"\xff\xfe.h"), "not UTF-8"),
    "device": (named("libtorch/include/NUL"), _DEVICE),
    "device with an ending": (named("libtorch/include/com1.h"), _DEVICE),
    "device folder": (named("libtorch/aux/a.h"), _DEVICE),
    "dot at the end": (named("libtorch/include/ATen./a.h"), "ends with a space or a dot"),
    "space at the end": (named("libtorch/include/ATen /a.h"), "ends with a space or a dot"),
    "long part": (named("libtorch/include/" + "x" * 256), "too long"),
    "long part of few letters": (named("libtorch/include/" + "é" * 130), "too long"),
    "long path": (named("libtorch/" + "d/" * 600 + "x"), "too long"),
    # names that meet
    "twice": (with_(Part(_IN + b"a.h"), Part(_IN + b"a.h", b"y")), _TWICE),
    "a library twice": (named("libtorch/lib/libc10.so"), _TWICE),
    "case twins": (named("libtorch/lib/LIBC10.so"), _SAME),
    "case twins of folders": (named("libtorch/INCLUDE/a.h"), _SAME),
    "composed twins": (with_(Part(_IN + "é".encode()), Part(_IN + "e\u0301".encode())), _SAME),
    "sharp s": (with_(Part(_IN + "straße".encode()), Part(_IN + b"strasse")), _SAME),
    "a file below a file": (named("libtorch/lib/libc10.so/evil"), _BOTH),
    "a folder in a file's place": (folder("libtorch/lib/libc10.so/"), _BOTH),
    # what is no file
    "link out": (with_(Part(_IN + b"a", b"/etc/passwd", 0o120777)), "is a link"),
    "link up": (with_(Part(_IN + b"a", b"../../..", 0o120777)), "is a link"),
    "link inside": (with_(Part(b"libtorch/lib/libx.so", b"libc10.so", 0o120777)), "is a link"),
    "link to a folder, then into it": (with_(Part(_IN + b"l", b"/tmp", 0o120777), Part(_IN + b"l/evil")), "is a link"),
    "character device": (with_(Part(_IN + b"a", mode=0o020666)), "character device"),
    "block device": (with_(Part(_IN + b"a", mode=0o060666)), "block device"),
    "named pipe": (with_(Part(_IN + b"a", mode=0o010666)), "named pipe"),
    "socket": (with_(Part(_IN + b"a", mode=0o140666)), "a socket"),
    "folder by its mode": (with_(Part(_IN + b"a", mode=0o040755)), "a folder without the name of one"),
    "file by its mode": (with_(Part(_IN + b"a/", mode=PLAIN)), "name of a folder and is none"),
    "folder with a content": (with_(Part(_IN + b"a/", mode=0o040755)), "name of a folder and is none"),
    "setuid": (with_(Part(b"libtorch/lib/libx.so", mode=0o104755)), "4755: setuid"),
    "setgid": (with_(Part(b"libtorch/lib/libx.so", mode=0o102755)), "2755: setuid"),
    "sticky": (with_(Part(b"libtorch/lib/libx.so", mode=0o101755)), "1755: setuid"),
    # what cannot be read
    "encrypted": (changed(flags=0x1), "is encrypted"),
    "strongly encrypted": (changed(flags=0x41), "is encrypted"),
    "masked headers": (changed(flags=0x2000), "is encrypted"),
    "bzip2": (changed(method=12), "method 12"),
    "lzma": (changed(method=14), "method 14"),
    "zstandard": (changed(method=93), "method 93"),
    # sizes and sums that lie
    "wrong CRC": (changed(crc=0), "is damaged"),
    "a shorter size": (changed(method=8, size=10), "is damaged"),
    "a longer size": (changed(method=8, size=len(whole()[0].data) + 7), "is damaged"),
    "stored with two sizes": (changed(size=3), "is stored and has two sizes"),
    "impossible size": (changed(method=8, size=1 << 31), "cannot inflate"),
    "bomb": (changed(method=8, size=300_000_000, raw=bytes(1_400_000)), "a bomb"),
    "more than it says": (changed(method=8, data=bytes(9_000_000), size=100), "is damaged"),
    "no deflate stream": (changed(method=8, raw=b"\xff" * 50), "does not inflate"),
    "deflate that does not end": (changed(method=8, raw=b"\x00\xff\xff\x00\x00" + b"x" * 30), "is damaged"),
    "packed beyond the end": (changed(packed=1 << 30, size=1 << 30), "before the one before it ends"),
    "last one into the directory": (with_(Part(_IN + b"a", method=0, packed=900, size=900)), "inside the directory"),
    # places that lie
    "shared bytes": (with_(Part(_IN + b"a", offset=0)), "begins before the one before it ends"),
    "no header there": (changed(local_signature=b"PK\3\5"), "has no member where"),
    "another name there": (changed(local_name=b"libtorch/include/ATen/EVIL.h"), "calls itself"),
    "zip64 without its field": (changed(offset=0xFFFFFFFF), "zip64 field that is not there"),
    "zip64 field that leads away": (
        changed(offset=0xFFFFFFFF, extra=struct.pack("<HHQ", 1, 8, 1 << 40)),
        "inside the directory",
    ),
    "name beyond the directory": (changed(claimed_name_size=60_000), "is not a zip archive"),
    # directories that lie
    "nothing": (b"", _NOT_ZIP),
    "a page": (b"<html><body>403 Forbidden</body></html>", _NOT_ZIP),
    "no end record": (ended(End(signature=b"PK\0\0")), _NOT_ZIP),
    "cut in the end record": (ended(End())[:-4], "is not a zip archive"),
    "cut in the directory": (ended(End())[:-60], _NOT_ZIP),
    "something after": (ended(End(after=b"MZ" * 40)), "something follows it"),
    "an end record in the comment": (ended(End(comment=b"PK\5\6" + bytes(18) + b"xx")), "something follows it"),
    "an empty archive in the comment": (ended(End(comment=b"PK\5\6" + bytes(18))), "would end at 0"),
    "something before the end record": (ended(End(before=b"evil" * 5)), "the record that names it is at"),
    "fewer entries than said": (ended(End(here=99, entries=99)), "entries, where its end record says 99"),
    "more entries than said": (ended(End(here=1, entries=1)), "entries, where its end record says 1"),
    "part of several": (ended(End(disk=1, first_disk=1)), "one part of several"),
    "rest on another disk": (ended(End(here=1)), "one part of several"),
    "directory elsewhere": (ended(End(offset=10)), "the record that names it is at"),
    "directory too long": (ended(End(length=1 << 30)), "the record that names it is at"),
    "zip64 without its record": (ended(End(offset=0xFFFFFFFF)), "zip64 end record is not where"),
    "nothing inside": (packed([]), "outermost|whole libtorch"),
}
"""Each lie: the archive, and what the refusal says."""
