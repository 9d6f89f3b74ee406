"""Wheels, zips and ELF files in the shape of the real ones, made in memory.

Owns what the offline tests install: a torch wheel of a release that no catalogue knows, small enough to make for each
test. The ELF files have what is read of a library (header, dynamic section, strings) and no code.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERSION = "9.9.9"
NEW_ABI = "_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
OLD_ABI = "_ZN3c105ErrorC1ENS_14SourceLocationESs"
NOISE = hashlib.shake_256(b"noise").digest(700_000)
"""Bytes that do not compress, so that members are far apart."""

_MACHINES = {"x86_64": 62, "aarch64": 183}


def library(
    soname: str,
    needed: Iterable[str] = (),
    *,
    machine: str = "x86_64",
    rpath: str = "",
    runpath: str = "",
    symbols: Iterable[str] = (),
) -> bytes:
    """Return an ELF file that says of itself what is given."""
    strings = b"\0"
    entries = []
    for tag, text in [(14, soname), *((1, name) for name in needed), (15, rpath), (29, runpath)]:
        if text:
            entries.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    strings += b"".join(symbol.encode() + b"\0" for symbol in symbols)
    table = 64 + 2 * 56
    place = table + len(strings)
    entries += [(5, table), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in entries)
    size = place + len(dynamic)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, _MACHINES[machine], 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
    return (
        header
        + load
        + struct.pack("<IIQQQQQQ", 2, 6, place, place, place, len(dynamic), len(dynamic), 8)
        + strings
        + dynamic
    )


def headers(version: str = VERSION) -> dict[str, bytes]:
    """Return the headers and CMake files that a libtorch is known by, with many small ones beside."""
    major, minor, patch = version.split(".")
    files = {f"include/c10/header{number}.h": f"// {number}\n".encode() * 20 for number in range(60)}
    files["include/ATen/ATen.h"] = b"#if !defined(_MSC_VER) && __cplusplus < 201703L\n#error C++17\n#endif\n"
    files["include/torch/csrc/api/include/torch/version.h"] = (
        f"#define TORCH_VERSION_MAJOR {major}\n#define TORCH_VERSION_MINOR {minor}\n#define TORCH_VERSION_PATCH "
        f"{patch}\n"
    ).encode()
    files["share/cmake/Torch/TorchConfig.cmake"] = b"# torch\n"
    return files


def libraries(*, cuda: bool, machine: str = "x86_64", abi: str = NEW_ABI) -> dict[str, bytes]:
    """Return the libraries of a torch wheel, by file name."""
    own = {"machine": machine, "rpath": "$ORIGIN"}
    runtime = ("libcudart.so.99",) if cuda else ()
    found = {
        "libc10.so": library("libc10.so", ["libc.so.6", "libstdc++.so.6"], symbols=[abi], **own),
        "libtorch_cpu.so": library("libtorch_cpu.so", ["libc10.so", "libgomp-1.so", *runtime, "libm.so.6"], **own)
        + NOISE,
        "libtorch.so": library("libtorch.so", ["libtorch_cpu.so", *(["libtorch_cuda.so"] if cuda else [])], **own),
        "libtorch_python.so": library("libtorch_python.so", ["libtorch.so", "libshm.so"], **own) + NOISE,
        "libshm.so": library("libshm.so", ["libtorch_cpu.so"], **own),
        "libpybridge.so": library("libpybridge.so", ["libtorch_python.so"], **own),
    }
    if cuda:
        found["libtorch_cuda.so"] = library("libtorch_cuda.so", ["libtorch_cpu.so", "libcudart.so.99"], **own) + NOISE
    return found


def torch_wheel(
    flavor: str = "cpu",
    *,
    machine: str = "x86_64",
    abi: str = NEW_ABI,
    requires: Iterable[str] = (),
    change: Mapping[str, bytes] | None = None,
) -> bytes:
    """Return a torch wheel; `change` replaces members after RECORD was written."""
    cuda = flavor.startswith("cu")
    files = {f"torch/{name}": content for name, content in headers().items()}
    files |= {f"torch/lib/{name}": data for name, data in libraries(cuda=cuda, machine=machine, abi=abi).items()}
    files["torch.libs/libgomp-1.so"] = library("libgomp-1.so", ["libc.so.6"], machine=machine)
    number = f"{flavor[2:-1]}.{flavor[-1]}"
    files["torch/version.py"] = (
        f"cuda: Optional[str] = {number if cuda else None!r}\nhip: Optional[str] = None\n".encode()
    )
    if cuda:
        files["torch/version.py"] = f"cuda: Optional[str] = '{number}'\n".encode()
        files["torch/share/cmake/Caffe2/Caffe2Targets.cmake"] = b"add_library(torch_cuda SHARED IMPORTED)\n"
    files["torch/_dynamo/big.py"] = NOISE
    return wheel("torch", VERSION, files, requires=requires, change=change)


def wheel(
    project: str,
    version: str,
    files: Mapping[str, bytes],
    *,
    requires: Iterable[str] = (),
    change: Mapping[str, bytes] | None = None,
) -> bytes:
    """Return a wheel with its METADATA and RECORD."""
    info = f"{project.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    every = {**files, f"{info}/METADATA": metadata.encode(), f"{info}/LICENSE": b"BSD\n"}
    record = "".join(f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in every.items())
    every[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    return zipped({**every, **(change or {})})


def libtorch_zip(flavor: str = "cpu") -> bytes:
    """Return a libtorch zip as PyTorch makes them, with a static library that is not wanted."""
    files = {f"libtorch/{name}": data for name, data in headers().items()}
    own = libraries(cuda=False) | {"libgomp-1.so": library("libgomp-1.so")}
    files |= {f"libtorch/lib/{name}": data for name, data in own.items()}
    return zipped({**files, "libtorch/build-version": f"9.9.9+{flavor}\n".encode(), "libtorch/lib/libold.a": b"!"})


def zipped(files: Mapping[str, bytes], *, executable: str = "lib") -> bytes:
    """Return a zip of files, in their order; those whose path holds `executable` may be run."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100755 if executable in name else 0o100644) << 16
            archive.writestr(info, content)
    return out.getvalue()


def json_page(project: str, files: Mapping[str, bytes], base: str) -> bytes:
    """Return an index page in JSON (PEP 691)."""
    entries = [
        {"filename": name, "url": f"{base}/{name}", "hashes": {"sha256": sha256(data)}, "size": len(data)}
        for name, data in files.items()
    ]
    return json.dumps({"meta": {"api-version": "1.1"}, "name": project, "files": entries, "versions": []}).encode()


def html_page(files: Mapping[str, bytes], base: str) -> bytes:
    """Return an index page in HTML (PEP 503)."""
    links = (
        f'<a href="{base}/{name.replace("+", "%2B")}#sha256={sha256(data)}">{name}</a><br>'
        for name, data in files.items()
    )
    return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()


def sha256(data: bytes) -> str:
    """Return a digest as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _digest(data: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
