"""Files of the safetensors format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt
from libtorch_ffi.errors import ArchiveError, LibtorchFFIError

if TYPE_CHECKING:
    from types import ModuleType

DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64")
LATER = ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2")


def tensors(m: Any) -> dict[str, Any]:
    plain = {name: m.tensor([[0, 1, 1], [1, 0, 1]]).to(getattr(m, name)) for name in (*DTYPES, *LATER)}
    return {**plain, "0-dim": m.tensor(3.5), "empty": m.zeros(0, 3), "transposed": m.arange(6.0).reshape(2, 3).T}


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    def facts(these: dict[str, Any]) -> dict[str, Any]:
        return {name: (str(x.dtype), tuple(x.shape), x.tolist()) for name, x in these.items()}

    return facts(left) == facts(right)


@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mapped"])
def test_a_round_trip(mmap: bool) -> None:
    lt.safetensors.save_file(tensors(lt), "x.safetensors", {"format": "pt"})
    loaded = lt.safetensors.load_file("x.safetensors", mmap=mmap)
    assert same(loaded, tensors(lt))
    assert lt.safetensors.metadata("x.safetensors") == {"format": "pt"}
    for tensor in loaded.values():
        assert tensor.is_contiguous()
        tensor.zero_()
    assert same(lt.safetensors.load_file(Path("x.safetensors")), tensors(lt))  # nothing was written to the file


def test_both_ways_with_torch(torch: ModuleType) -> None:
    theirs: Any = pytest.importorskip("safetensors.torch")
    lt.safetensors.save_file(tensors(lt), "x.safetensors")
    assert same(theirs.load_file("x.safetensors"), tensors(torch))
    theirs.save_file({name: tensor.contiguous() for name, tensor in tensors(torch).items()}, "y.safetensors")
    assert same(lt.safetensors.load_file("y.safetensors"), tensors(lt))


def test_a_mapping_is_the_memory_of_the_tensors() -> None:
    lt.safetensors.save_file(
        {"a": lt.arange(1000.0), "b": lt.ones(7), "c": lt.ones(3, dtype=lt.int16)}, "x.safetensors"
    )
    header = Path("x.safetensors").read_bytes()[8:]
    offsets = {
        name: part["data_offsets"][0]
        for name, part in json.JSONDecoder().raw_decode(header.decode("latin1"))[0].items()
    }
    loaded = lt.safetensors.load_file("x.safetensors")
    addresses = {name: loaded[name].data_ptr() - offsets[name] for name in loaded}
    assert len(set(addresses.values())) == 1
    Path("x.safetensors").unlink()
    assert loaded["a"].sum().item() == 499_500


@pytest.mark.parametrize("make", [lambda: lt.eye(2).to_sparse(), lambda: lt.ones(2, device="meta")])
def test_what_the_format_lacks(make: Any) -> None:
    with pytest.raises(ArchiveError, match="the tensor 'a' "):
        lt.safetensors.save_file({"a": make()}, "x.safetensors")


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises((ArchiveError, OSError)):
        lt.safetensors.save_file({"a": lt.ones(1)}, "missing/x.safetensors")
    with pytest.raises(FileNotFoundError):
        lt.safetensors.load_file("x.safetensors")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(LibtorchFFIError, match=r"libtorch-ffi\[models\]"):
        lt.safetensors.save_file({}, "x.safetensors")


def test_meta_device() -> None:
    lt.safetensors.save_file({"a": lt.ones(2, 3)}, "x.safetensors")
    assert lt.safetensors.load_file("x.safetensors", device="meta")["a"].is_meta


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([1], "a dict, not list"),
        ({"a": {"b": 1}}, "'a' is dict: the format has no dicts within dicts"),
        ({1: 2}, "1 is int"),
    ],
)
def test_what_are_no_tensors_by_names(tensors: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        lt.safetensors.save_file(tensors, "x.safetensors")


def test_a_file_of_torchs_is_told() -> None:
    lt.save({"a": lt.ones(2)}, "x.pt")
    with pytest.raises(ArchiveError, match=r"zip archive, as torch.save's are: libtorch_ffi.load reads those"):
        lt.safetensors.load_file("x.pt")
