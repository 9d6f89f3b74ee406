"""Files of weights with faults: cut off, changed, contradictory, or made to run a program.

Owns the making of such files. Each is a name that says what is wrong, and bytes. The pickles that would run a program
would make a file named ``pwned`` in the working directory.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from typing import Any

COMMAND = "echo > pwned"

STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" + b"0" + b"X\x03\0\0\0cpuK\x04tQ"
"""A persistent id: storage 0, four 32-bit numbers on the CPU."""


def archive(data: bytes, *, storage: bytes = bytes(16), **others: bytes) -> bytes:
    """Return an archive of torch's form with this pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in {"data.pkl": data, "byteorder": b"little", "data/0": storage, **others}.items():
            made.writestr(f"archive/{name}", content)
    return file.getvalue()


def tensor(
    offset: bytes = b"K\0", size: bytes = b"K\x04\x85", stride: bytes = b"K\x01\x85", tail: bytes = b""
) -> bytes:
    """Return the pickle of a tensor with these numbers in it."""
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE
    return b"\x80\x02" + rebuild + offset + size + stride + b"\x89ccollections\nOrderedDict\n)R" + tail + b"tR."


GOOD = archive(tensor())
"""A file with nothing wrong."""


class _Runs:
    """An object whose pickle calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, Any]:
        return self._call


def _programs() -> dict[str, bytes]:
    import builtins
    import os
    import shutil
    import subprocess

    calls = {
        "os.system": _Runs(os.system, COMMAND),
        "subprocess": _Runs(subprocess.Popen, ["sh", "-c", COMMAND]),
        "eval": _Runs(builtins.eval, f"__import__('os').system('{COMMAND}')"),
        "exec": _Runs(builtins.exec, f"import os; os.system('{COMMAND}')"),
        "getattr": _Runs(getattr, "os", "system"),
        "open": _Runs(builtins.open, "pwned", "w"),
        "import": _Runs(__import__, "antigravity"),
        "rmtree": _Runs(shutil.rmtree, "."),
    }
    text = f"X{chr(len(COMMAND))}\0\0\0{COMMAND}".encode()
    by_hand = {
        "posix.system": b"cposix\nsystem\n" + text + b"\x85R.",
        "python 2": b"c__builtin__\neval\n" + text + b"\x85R.",
        "STACK_GLOBAL": b"\x8c\x02os\x8c\x06system\x93" + text + b"\x85R.",
        "INST": b"(" + text + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + text + b"o.",
        "NEWOBJ": b"csubprocess\nPopen\n" + text + b"\x85\x81.",
        "a dotted name": b"ctorch\nserialization.os.system\n" + text + b"\x85R.",
        "torch.load": b"ctorch\nload\n" + text + b"\x85R.",
        "torch.ops": b"ctorch.ops\nload_library\n" + text + b"\x85R.",
        "torch.hub": b"ctorch.hub\nload\n" + text + b"\x85R.",
        "numpy": b"cnumpy.core.multiarray\n_reconstruct\n" + text + b"\x85R.",
        "of a type": b"ctorch._tensor\n_rebuild_from_type_v2\n(ccollections\nOrderedDict\nctorch\nTensor\n)}tR.",
        "a text called": text + text + b"\x85R.",
        "an encoding called": b"c_codecs\nencode\n" + text + b"X\x06\0\0\0base64\x86R.",
        "a state for a function": b"ctorch._utils\n_rebuild_tensor_v2\n}b.",
        "a state for a class": b"ctorch\nTensor\n}X\x07\0\0\0__add__K\0sb.",
        "a state for a tensor": tensor()[:-1] + b"}X\x01\0\0\0aK\0sb.",
        "a state for a dict": b"}}X\x01\0\0\0aK\0sb.",
        "a state of other names": b"ccollections\nOrderedDict\n)R}X\x05\0\0\0itemsK\0sb.",
        "an extension code": b"\x82\x01.",
    }
    pickles = {name: pickle.dumps(call, 2) for name, call in calls.items()}
    pickles |= {f"{name}, protocol 4": pickle.dumps(call, 4) for name, call in calls.items()}
    pickles |= {f"{name}, in a state dict": pickle.dumps({"weight": call}, 2) for name, call in calls.items()}
    return {**pickles, **{name: b"\x80\x02" + text for name, text in by_hand.items()}}


_LONG = b"\x8a\x08" + struct.pack("<q", 1 << 61)


def _numbers() -> dict[str, bytes]:
    """Return pickles of tensors with numbers that no tensor has."""
    return {
        "an offset beyond": tensor(offset=b"K\1"),
        "an offset below": tensor(offset=b"J\xff\xff\xff\xff"),
        "an offset of 2**61": tensor(offset=_LONG),
        "an offset that is no int": tensor(offset=b"N"),
        "a length beyond": tensor(size=b"K\5\x85"),
        "a length below": tensor(size=b"J\xff\xff\xff\xff\x85"),
        "a length of 2**61": tensor(size=_LONG + b"\x85"),
        "lengths that overflow": tensor(size=_LONG + _LONG + b"\x86", stride=_LONG + _LONG + b"\x86"),
        "a length that is a float": tensor(size=b"G" + bytes(8) + b"\x85"),
        "lengths that are no tuple": tensor(size=b"K\4"),
        "a stride beyond": tensor(stride=b"K\2\x85"),
        "a stride below": tensor(stride=b"J\xff\xff\xff\xff\x85"),
        "more strides than lengths": tensor(stride=b"K\1K\1\x86"),
        "100 dimensions": tensor(size=b"(" + b"K\1" * 100 + b"t", stride=b"(" + b"K\1" * 100 + b"t"),
        "metadata of no kind": tensor(tail=b"}X\x03\0\0\0fooK\1s"),
        "a conjugate of reals": tensor(tail=b"K\1"),
    }


def _pickles() -> dict[str, bytes]:
    """Return pickles that contradict themselves, or their storage."""
    deep = b"(" * 5000 + b"t" * 5000
    return {
        "nothing": b"",
        "no end": b"\x80\x02K\1",
        "an empty stack": b"\x80\x02.",
        "a protocol of the future": b"\x80\x09N.",
        "an unknown opcode": b"\x80\x02\xff.",
        "protocol 0": b"I1\n.",
        "a text that goes too far": b"\x80\x02X\xff\xff\xff\xff.",
        "an int that goes too far": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "bytes that go too far": b"\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
        "a text that is none": b"\x80\x02X\x01\0\0\0\xff.",
        "a name without an end": b"\x80\x02ctorch",
        "no such memo": b"\x80\x02h\x07.",
        "no such mark": b"\x80\x02t.",
        "a value without a key": b"\x80\x02}(K\1u.",
        "an item for a number": b"\x80\x02K\1K\2a.",
        "a key for a list": b"\x80\x02]K\1K\2s.",
        "a list for a key": b"\x80\x02}]K\1s.",
        "a deep key": b"\x80\x02}" + deep + b"K\1s.",
        "a key of 2**64 parts": b"\x80\x02})" + b"2\x86" * 64 + b"K\1s.",
        "a deep set": b"\x80\x04\x8f(" + deep + b"\x90.",
        "a frozenset of lists": b"\x80\x04(]\x91.",
        "no storage": b"\x80\x02K\1Q.",
        "another persistent id": b"\x80\x02(X\x06\0\0\0moduletQ.",
        "a storage of no class": b"\x80\x02" + STORAGE.replace(b"ctorch\nFloatStorage\n", b"K\1") + b".",
        "a storage of no key": b"\x80\x02" + STORAGE.replace(b"X\x01\0\0\0" + b"0", b"N") + b".",
        "no such storage": tensor().replace(b"X\x01\0\0\0" + b"0", b"X\x01\0\0\0" + b"7"),
        "a storage above": tensor().replace(b"X\x01\0\0\0" + b"0", b"X\x05\0\0\0" + b"../.."),
        "a storage too short": tensor().replace(b"K\x04tQ", b"K\x05tQ"),
        "a storage of -1 elements": tensor().replace(b"K\x04tQ", b"J\xff\xff\xff\xfftQ"),
        "a storage of 2**61 elements": tensor().replace(b"K\x04tQ", _LONG + b"tQ"),
        "a location of no device": tensor().replace(b"X\x03\0\0\0cpu", b"X\x03\0\0\0moo"),
        "too few arguments": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"tR.",
        "a tensor of a number": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\1K\0K\4\x85K\1\x85\x89NtR.",
        "a parameter of a number": b"\x80\x02ctorch._utils\n_rebuild_parameter\nK\1\x88N\x87R.",
        "integers that require grad": tensor()
        .replace(b"FloatStorage", b"IntStorage")
        .replace(b"\x85\x89", b"\x85\x88"),
        "a sparse tensor": b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n)R.",
        "a quantized tensor": b"\x80\x02ctorch._utils\n_rebuild_qtensor\n)R.",
        "a quantized storage": tensor().replace(b"FloatStorage", b"QInt8Storage"),
        "a module": b"\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81.",
        "a namespace": b"\x80\x02cargparse\nNamespace\n)\x81.",
        "a meta tensor of -1": b"\x80\x02ctorch._utils\n_rebuild_meta_tensor_no_storage\n("
        b"ctorch\nfloat32\nJ\xff\xff\xff\xff\x85K\1\x85\x89tR.",
        "a device of no kind": b"\x80\x02ctorch\ndevice\nX\x03\0\0\0moo\x85R.",
        "a layout of no kind": b"\x80\x02ctorch.serialization\n_get_layout\nX\x03\0\0\0moo\x85R.",
    }


def _archives() -> dict[str, bytes]:
    """Return archives whose directory lies."""
    end = GOOD.rindex(b"PK\5\6")
    first = GOOD.index(b"PK\1\2")
    last = GOOD.rindex(b"PK\1\2")
    twice = io.BytesIO(GOOD)
    with zipfile.ZipFile(twice, "a") as opened:
        opened.writestr("archive/data/0 ", bytes(16))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("archive/data.pkl", tensor())
        opened.writestr("archive/data/0", bytes(16))

    def changed(place: int, value: bytes) -> bytes:
        return GOOD[:place] + value + GOOD[place + len(value) :]

    return {
        "a packed archive": packed.getvalue(),
        "two records of one name": twice.getvalue().replace(b"data/0 ", b"data/0").replace(b"\x0f\0", b"\x0e\0"),
        "no pickle": archive(tensor()).replace(b"data.pkl", b"data.xxx"),
        "big-endian": archive(tensor(), byteorder=b"big"),
        "TorchScript": archive(tensor(), **{"constants.pkl": b"\x80\x02)."}),
        "torch.export": archive(tensor(), archive_format=b"pt2"),
        "a record that begins elsewhere": changed(last + 42, struct.pack("<I", 17)),
        "a record that begins beyond": changed(last + 42, struct.pack("<I", 1 << 30)),
        "a record that is too long": changed(last + 20, struct.pack("<II", 1 << 30, 1 << 30)),
        "an encrypted record": changed(last + 8, b"\1\0"),
        "a damaged pickle": changed(GOOD.index(b"_rebuild_tensor_v2"), b"X"),
        "a directory elsewhere": changed(end + 16, struct.pack("<I", 3)),
        "a directory of no length": changed(end + 12, struct.pack("<I", 0)),
        "a directory without its mark": changed(first, b"XX"),
        "another method": changed(last + 10, b"\x63\0"),
        "no bytes": b"",
        "two bytes": b"PK",
        "another file": b"MZ" + bytes(500),
        "a tar": bytes(257) + b"ustar" + bytes(250),
        "a pickle alone": pickle.dumps({"a": 1}, 2),
    }


def pt_files() -> dict[str, bytes]:
    """Return files as torch.save's, each with a fault."""
    files = {f"runs {name}": archive(data) for name, data in _programs().items()}
    files |= {name: archive(data) for name, data in {**_pickles(), **_numbers()}.items()}
    files |= _archives()
    steps = range(1, len(GOOD), len(GOOD) // 12)
    return {**files, **{f"the first {length} bytes": GOOD[:length] for length in steps}}


def legacy(
    data: bytes, keys: bytes = b"\x80\x02]X\x01\0\0\0" + b"0a.", rest: bytes = struct.pack("<q", 4) + bytes(16)
) -> bytes:
    """Return a file as torch wrote them before archives, with this pickle."""
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    system = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)
    return magic + pickle.dumps(1001, 2) + system + data + keys + rest


def legacy_tensor() -> bytes:
    """Return the pickle of a tensor, with the persistent id that such files have."""
    return tensor().replace(b"K\x04tQ", b"K\x04NtQ")


def legacy_files() -> dict[str, bytes]:
    """Return old files, each with a fault."""
    good = legacy(legacy_tensor())
    programs = {f"runs {name}": legacy(data) for name, data in _programs().items() if "state" not in name}
    return {
        **programs,
        "a view of a storage": legacy(tensor().replace(b"K\x04tQ", b"K\x04)tQ")),
        "no keys": legacy(legacy_tensor(), keys=b"\x80\x02]."),
        "other keys": legacy(legacy_tensor(), keys=b"\x80\x02]X\x01\0\0\0" + b"1a."),
        "another count": legacy(legacy_tensor(), rest=struct.pack("<q", 5) + bytes(20)),
        "a negative count": legacy(legacy_tensor(), rest=struct.pack("<q", -4) + bytes(16)),
        "an enormous count": legacy(
            legacy_tensor().replace(b"K\x04NtQ", b"\x8a\x08" + struct.pack("<q", 1 << 61) + b"NtQ")
        ),
        "two counts of one storage": legacy(
            legacy_tensor()[:-1] + legacy_tensor()[2:-1].replace(b"K\x04NtQ", b"K\x03NtQ") + b"\x86."
        ),
        "big-endian": good.replace(b"little_endianq", b"little_endiaxq"),
        "another version": good.replace(pickle.dumps(1001, 2), pickle.dumps(1002, 2), 1),
        **{f"the first {length} bytes": good[:length] for length in range(20, len(good), len(good) // 15)},
    }


def safetensors_file(header: object, data: bytes = bytes(16), length: int | None = None) -> bytes:
    """Return a safetensors file with this header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def safetensors_files() -> dict[str, bytes]:
    """Return safetensors files, each with a fault."""

    def entry(**changes: object) -> dict[str, object]:
        return {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changes}}

    good = safetensors_file(entry())
    return {
        "no bytes": b"",
        "no header": b"\0" * 8,
        "a header that is no JSON": safetensors_file(b"{oops"),
        "a header that is a list": safetensors_file([1, 2]),
        "a header of 2**63 bytes": safetensors_file(entry(), length=1 << 63),
        "a header longer than the file": safetensors_file(entry(), length=1000),
        "a header cut off": safetensors_file(entry(), length=20),
        "no such dtype": safetensors_file(entry(dtype="F33")),
        "no dtype": safetensors_file({"a": {"shape": [4], "data_offsets": [0, 16]}}),
        "a dtype that libtorch lacks": safetensors_file(entry(dtype="F4", shape=[32])),
        "a negative length": safetensors_file(entry(shape=[-4])),
        "lengths that overflow": safetensors_file(entry(shape=[1 << 62, 1 << 62])),
        "a shape too large": safetensors_file(entry(shape=[5])),
        "a shape too small": safetensors_file(entry(shape=[3])),
        "offsets in reverse": safetensors_file(entry(data_offsets=[16, 0])),
        "offsets beyond the end": safetensors_file(entry(shape=[8], data_offsets=[0, 32])),
        "a gap before": safetensors_file(entry(shape=[3], data_offsets=[4, 16])),
        "bytes that nobody has": safetensors_file(entry(), data=bytes(20)),
        "offsets that overlap": safetensors_file(
            {**entry(), "b": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}
        ),
        "metadata that is no text": safetensors_file({"__metadata__": {"a": 1}, **entry()}),
        **{f"the first {length} bytes": good[:length] for length in range(1, len(good), 6)},
    }
