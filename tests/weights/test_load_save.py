"""What is saved is loaded again: by us, by torch, and from torch."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import libtorch_ffi as lt
from libtorch_ffi.errors import ArchiveError, LibtorchFFIError, SettingError
from libtorch_ffi.serialization.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

pytestmark = pytest.mark.filterwarnings("ignore:ComplexHalf")  # which libtorch says of every such tensor

TENSORS: dict[str, Callable[[Any], Any]] = {
    "float32": lambda m: m.arange(6.0).reshape(2, 3),
    "float64": lambda m: m.arange(3, dtype=m.float64),
    "float16": lambda m: m.arange(3, dtype=m.float16),
    "bfloat16": lambda m: m.arange(3, dtype=m.bfloat16),
    "complex64": lambda m: m.tensor([1 + 2j, 3]),
    "complex128": lambda m: m.tensor([1 + 2j, 3], dtype=m.complex128),
    "complex32": lambda m: m.arange(4, dtype=m.float16).view(m.complex32),
    "bool": lambda m: m.tensor([True, False, True]),
    "int8": lambda m: m.arange(3, dtype=m.int8),
    "int64": lambda m: m.arange(3),
    "uint8": lambda m: m.arange(3, dtype=m.uint8),
    "uint16": lambda m: m.tensor([1, 65535], dtype=m.uint16),
    "uint64": lambda m: m.tensor([1, 2], dtype=m.uint64),
    "float8_e4m3fn": lambda m: m.ones(3).to(m.float8_e4m3fn),
    "float8_e5m2": lambda m: m.ones(3).to(m.float8_e5m2),
    "0-dim": lambda m: m.tensor(3.5),
    "empty": lambda m: m.zeros(0, 3),
    "transposed": lambda m: m.arange(6.0).reshape(2, 3).T,
    "a view": lambda m: m.arange(10.0)[2:8:3],
    "expanded": lambda m: m.ones(1).expand(4),
    "conjugate": lambda m: m.tensor([1 + 2j, 3]).conj(),
    "negative": lambda m: m.tensor([1 + 2j, 3]).conj().imag,
    "requires grad": lambda m: m.ones(2, requires_grad=True),
    "computed": lambda m: m.ones(2, requires_grad=True) * 2,
}
OTHERS: dict[str, Callable[[Any], Any]] = {
    "None": lambda m: None,
    "bools": lambda m: [True, False],
    "ints": lambda m: [0, -1, 255, 256, 65536, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**70, -(2**70), 2**2000],
    "floats": lambda m: [0.5, float("inf"), -1e300],
    "complex": lambda m: 1 + 2j,
    "texts": lambda m: ["", "ä", "\ud800", "x" * 300],
    "bytes": lambda m: [b"", b"\x00\xff", bytearray(b"ab")],
    "tuples": lambda m: ((), (1,), (1, (2, (3,)))),
    "sets": lambda m: {1, "a", (2, 3)},
    "counter": lambda m: Counter("abca"),
    "dict": lambda m: {"a": 1, 2: {"b": [None]}, (1, 2): 3.0},
    "ordered": lambda m: OrderedDict(b=1, a=2),
    "many": lambda m: [list(range(2500)), {str(i): i for i in range(2500)}],
    "sizes": lambda m: m.Size([2, 3]),
    "dtypes": lambda m: [m.float32, m.bfloat16, m.bool],
    "device": lambda m: m.device("cpu"),
    "layout": lambda m: m.strided,
}


def same(left: Any, right: Any) -> bool:
    """Tell whether two objects are equal, whichever library their tensors are of."""
    if hasattr(left, "storage_offset"):
        facts = [(str(x.dtype), tuple(x.shape), x.requires_grad) for x in (left, right)]
        strides = right.is_neg() or left.stride() == right.stride()  # a negative view is saved as what it shows
        texts = [str(x.detach().resolve_conj().resolve_neg().tolist()) for x in (left, right)]
        return facts[0] == facts[1] and texts[0] == texts[1] and strides
    return type(left).__name__ == type(right).__name__ and (left == right or str(left) == str(right))


@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mapped"])
@pytest.mark.parametrize("case", [*TENSORS, *OTHERS])
def test_a_round_trip(case: str, mmap: bool) -> None:
    value = {**TENSORS, **OTHERS}[case](lt)
    lt.save(value, "x.pt")
    assert same(lt.load("x.pt", mmap=mmap), value)


@pytest.mark.parametrize("case", [*TENSORS, *OTHERS])
def test_torch_reads_ours(torch: ModuleType, case: str) -> None:
    lt.save({**TENSORS, **OTHERS}[case](lt), "x.pt")
    if case == "ints":  # torch's own reader has no opcode for the longest of them
        assert torch.load("x.pt", weights_only=False) == OTHERS[case](torch)
    else:
        assert same(torch.load("x.pt", weights_only=True), {**TENSORS, **OTHERS}[case](torch))


@pytest.mark.parametrize("how", ["zip", "legacy", "protocol 4", "mapped"])
@pytest.mark.parametrize("case", [*TENSORS, *OTHERS])
def test_ours_reads_torch(torch: ModuleType, case: str, how: str) -> None:
    value = {**TENSORS, **OTHERS}[case](torch)
    options: dict[str, dict[str, Any]] = {
        "legacy": {"_use_new_zipfile_serialization": False},
        "protocol 4": {"pickle_protocol": 4},
    }
    torch.save(value, "x.pt", **options.get(how, {}))
    assert same(lt.load("x.pt", mmap=how == "mapped"), {**TENSORS, **OTHERS}[case](lt))


# State dicts


def state_dict(m: Any) -> Any:
    base = m.arange(12.0)
    state = OrderedDict(weight=base[:8].view(2, 4), bias=base[8:], tied=base, steps=m.tensor(3))
    state._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined] # as torch's modules do
    return {"model": state, "epoch": 3, "lr": 1e-3, "betas": (0.9, 0.999), "again": [state]}


def check_state(loaded: Any) -> None:
    state = loaded["model"]
    assert list(state) == ["weight", "bias", "tied", "steps"]
    assert state._metadata == {"": {"version": 1}}
    assert loaded["again"][0] is state
    addresses = {state[name].untyped_storage().data_ptr() for name in ("weight", "bias", "tied")}
    assert len(addresses) == 1
    state["tied"].zero_()
    assert state["weight"].sum() == 0
    assert (loaded["epoch"], loaded["lr"], loaded["betas"]) == (3, 1e-3, (0.9, 0.999))


@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mapped"])
def test_storages_that_are_shared_stay_shared(mmap: bool) -> None:
    lt.save(state_dict(lt), "x.pt")
    assert zipfile.ZipFile("x.pt").testzip() is None
    assert len([name for name in zipfile.ZipFile("x.pt").namelist() if "/data/" in name]) == 2
    check_state(lt.load("x.pt", mmap=mmap))
    check_state(lt.load("x.pt"))  # what was written to a mapping was not written to the file


def test_state_dicts_of_torch(torch: ModuleType) -> None:
    cases: list[dict[str, Any]] = [{}, {"_use_new_zipfile_serialization": False}]
    for options in cases:
        torch.save(state_dict(torch), "x.pt", **options)
        check_state(lt.load("x.pt"))
        check_state(lt.load("x.pt", mmap=True))
    lt.save(state_dict(lt), "y.pt")
    check_state(torch.load("y.pt"))
    check_state(torch.load("y.pt", mmap=True))


def test_modules_and_optimizers_of_torch(torch: ModuleType) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    torch.save(
        {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "p": list(model.parameters())}, "x.pt"
    )
    loaded = lt.load("x.pt")
    for name, value in model.state_dict().items():
        assert same(loaded["model"][name], value)
    assert loaded["optimizer"]["state"][0]["exp_avg"].tolist() == optimizer.state_dict()["state"][0]["exp_avg"].tolist()
    assert all(parameter.requires_grad for parameter in loaded["p"])
    torch.save(model, "whole.pt")
    with pytest.raises(ArchiveError, match=r"names torch\.nn\.modules\.container\.Sequential"):
        lt.load("whole.pt")
    lt.save(loaded, "y.pt")
    model.load_state_dict(torch.load("y.pt")["model"])


def test_attributes_of_tensors_are_left_out_with_a_warning(torch: ModuleType) -> None:
    tensor = torch.nn.Parameter(torch.ones(2))
    tensor.label = "a"
    torch.save(tensor, "x.pt")
    with pytest.warns(UserWarning, match="attributes") if "from_type" in _names("x.pt") else _nothing():
        assert same(lt.load("x.pt"), lt.ones(2, requires_grad=True))


def _names(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 - an archive takes a file
        return str(Archive(file).read("data.pkl"))


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()


def test_torchscript_and_sparse_tensors_are_refused_by_name(torch: ModuleType) -> None:
    torch.save(torch.eye(2).to_sparse(), "sparse.pt")
    with pytest.raises(ArchiveError, match="_rebuild_sparse_tensor"):
        lt.load("sparse.pt")


# Where tensors go


def _on(location: str) -> bytes:
    """Return a file whose tensor was on another device."""
    file = io.BytesIO()
    lt.save(lt.arange(3.0), file)
    entries = {info.filename: zipfile.ZipFile(file).read(info) for info in zipfile.ZipFile(file).infolist()}
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as made:
        for name, data in entries.items():
            new = b"X" + bytes([len(location)]) + b"\0\0\0" + location.encode()
            made.writestr(name, data.replace(b"X\x03\0\0\0cpu", new))
    return changed.getvalue()


MAPPINGS: dict[str, Any] = {
    "a text": "cpu",
    "a device": lt.device("cpu"),
    "a dict": {"cuda:3": "cpu"},
    "a function of a storage": lambda storage, location: storage,
    "a function of a location": lambda storage, location: "cpu" if location == "cuda:3" else None,
}


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_map_location(mapping: str) -> None:
    assert lt.load(io.BytesIO(_on("cuda:3")), map_location=MAPPINGS[mapping]).tolist() == [0, 1, 2]


def test_map_location_to_no_elements() -> None:
    loaded = lt.load(io.BytesIO(_on("cpu")), map_location="meta")
    assert loaded.is_meta
    assert loaded.shape == (3,)


@pytest.mark.skipif(lt.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("mapping", [None, {"cpu": "cpu"}, lambda storage, location: None, {"cuda:3": "cuda"}])
def test_a_device_that_is_not_here(mapping: Any) -> None:
    with pytest.raises(ArchiveError, match=r"saved on cuda:3 cannot be put on cuda.*map_location='cpu'"):
        lt.load(io.BytesIO(_on("cuda:3")), map_location=mapping)


def test_a_device_that_does_not_exist() -> None:
    with pytest.raises(ArchiveError, match="'moo' is no device"):
        lt.load(io.BytesIO(_on("cpu")), map_location="moo")


# Files


def test_file_objects() -> None:
    file = io.BytesIO()
    lt.save({"a": lt.ones(2)}, file)
    assert lt.load(file)["a"].tolist() == [1, 1]
    with open("x.pt", "wb+") as real:  # noqa: PTH123 - what a program passes
        lt.save({"a": lt.ones(2)}, real)
        assert lt.load(real)["a"].tolist() == [1, 1]
        assert lt.load(real, mmap=True)["a"].tolist() == [1, 1]
    with pytest.raises(ArchiveError, match="cannot be mapped"):
        lt.load(file, mmap=True)
    with pytest.raises(TypeError, match="not int"):
        lt.load(3)


class Slow(io.BytesIO):
    """A file that gives a few bytes at a time, and knows nothing of buffers."""

    readinto = None  # type: ignore[assignment]

    def read(self, size: int | None = -1) -> bytes:
        return super().read(7 if size is None or size > 1000 else size)


def test_a_file_that_gives_little_at_a_time() -> None:
    file = io.BytesIO()
    lt.save(lt.arange(1000), file)
    assert lt.load(Slow(file.getvalue())).tolist() == list(range(1000))


def test_paths() -> None:
    for path in ("x.pt", Path("y.pt"), b"z.pt".decode(), "no suffix", ".pt"):
        lt.save(lt.ones(1), path)
        assert lt.load(path).tolist() == [1]
    with pytest.raises(FileNotFoundError):
        lt.load("missing.pt")
    with pytest.raises(SettingError, match="weights_only=False"):
        lt.load("x.pt", weights_only=False)


def test_records_are_aligned() -> None:
    lt.save([lt.ones(n) for n in (1, 3, 1000, 0)], "x.pt")
    with open("x.pt", "rb") as file:  # noqa: PTH123 - an archive takes a file
        archive = Archive(file)
        assert archive.folder == "x"
        assert [archive.find(name).offset % 64 for name in archive] == [0] * len(list(archive))


@pytest.mark.parametrize("torch_too", [False, pytest.param(True, marks=pytest.mark.reference)])
def test_archives_of_many_gigabytes(
    torch_too: bool, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Records beyond 2 GiB have longer headers; here those beyond 1000 bytes have."""
    with monkeypatch.context() as lower:
        lower.setattr(zipfile, "ZIP64_LIMIT", 1000)
        lower.setattr("libtorch_ffi.serialization.archive._ZIP64_FROM", 1000)
        lt.save([lt.arange(1000), lt.ones(3), lt.arange(500)], "x.pt")
    with open("x.pt", "rb") as file:  # noqa: PTH123 - likewise
        archive = Archive(file)
        assert {archive.find(name).offset % 64 for name in archive} == {0}
    loads = [lt.load, request.getfixturevalue("torch").load] if torch_too else [lt.load]
    for load in loads:
        assert [part.tolist() for part in load("x.pt")] == [list(range(1000)), [1, 1, 1], list(range(500))]


def test_a_mapping_is_the_memory_of_the_tensors() -> None:
    lt.save({"a": lt.arange(1000.0), "b": lt.ones(5)}, "x.pt")
    loaded = lt.load("x.pt", mmap=True)
    with open("x.pt", "rb") as file:  # noqa: PTH123 - likewise
        offsets = [Archive(file).find(f"data/{key}").offset for key in (0, 1)]
    assert loaded["b"].data_ptr() - loaded["a"].data_ptr() == offsets[1] - offsets[0]
    os.remove("x.pt")  # noqa: PTH107 - the mapping outlives the file's name
    assert loaded["a"].sum().item() == 499_500


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("mmap", "most"), [(False, 1.25), (True, 0.1)], ids=["read", "mapped"])
@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_no_second_copy_in_memory(kind: str, mmap: bool, most: float) -> None:
    size = 64_000_000
    tensors = {"a": lt.ones(size // 8), "b": lt.ones(size // 8)}
    if kind == "pt":
        lt.save(tensors, "x.pt")
    else:
        lt.safetensors.save_file(tensors, "x.safetensors")
    call = "lt.load('x.pt', mmap=%s)" if kind == "pt" else "lt.safetensors.load_file('x.safetensors', mmap=%s)"
    script = f"""
import libtorch_ffi as lt, libtorch_ffi.safetensors, safetensors, concurrent.futures.thread, numpy
peak = lambda: next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
lt.ones(1); lt.serialization
before = peak()
loaded = {call % mmap}
print(peak() - before)
"""
    grown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert int(grown) * 1024 < most * size


# What cannot be saved

UNSAVABLE: dict[str, Callable[[], object]] = {
    "a builtins.object cannot": object,
    "a builtins.function cannot": lambda: test_paths,
    "a builtins.type cannot": lambda: int,
    "layout torch.sparse_coo": lambda: lt.eye(2).to_sparse(),
    "share one storage": lambda: [lt.ones(2), (x := lt.zeros(2)), x.view(lt.int32)],
    "nested too deep": lambda: _deep(100_000),
}


def _deep(depth: int) -> list[Any]:
    result: list[Any] = []
    for _ in range(depth):
        result = [result]
    return result


class _Stateful:
    def state_dict(self) -> dict[str, object]:
        return {}


INSTEAD: dict[str, Callable[[], object]] = {
    r"_Stateful cannot.*; save its state_dict\(\)": _Stateful,
    r"Linear cannot.*; save its state_dict\(\)": lambda: lt.nn.Linear(1, 1),
    r"numpy\.ndarray cannot.*; save tensor\(array\)": lambda: np.ones(2),
    r"numpy\.float64 cannot.*; save its item\(\)": lambda: np.float64(0.5),
    r"defaultdict cannot.*; save dict\(it\)": lambda: defaultdict(int),
    r"PosixPath cannot.*; save str\(path\)": lambda: Path("x"),
}


@pytest.mark.parametrize("message", INSTEAD)
def test_what_to_save_instead(message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        lt.save({"a": INSTEAD[message]()}, "x.pt")


@pytest.mark.parametrize("message", UNSAVABLE)
def test_what_cannot_be_saved(message: str) -> None:
    with pytest.raises(LibtorchFFIError, match=message):
        lt.save({"a": UNSAVABLE[message]()}, "x.pt")
    assert not Path("x.pt").exists()


def test_objects_that_contain_themselves() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    lt.save(loop, "x.pt")
    again = lt.load("x.pt")
    assert again[0] == 1
    assert again[1] is again


def test_a_subclass_is_saved_as_a_plain_tensor() -> None:
    lt.save({"a": lt.nn.Parameter(lt.ones(2)), "b": lt.nn.Parameter(lt.ones(2), requires_grad=False)}, "x.pt")
    again = lt.load("x.pt")
    assert [(type(value), value.requires_grad) for value in again.values()] == [(lt.Tensor, True), (lt.Tensor, False)]
