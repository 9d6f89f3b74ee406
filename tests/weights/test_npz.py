"""NumPy's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import libtorch_ffi as lt
from libtorch_ffi.errors import ArchiveError

NAMES = ("bool", "uint8", "uint16", "int8", "int64", "float16", "float32", "float64", "complex64", "complex128")


@pytest.mark.parametrize("name", NAMES)
def test_npy(name: str) -> None:
    array = np.array([[0, 1], [1, 0]], dtype=name)
    np.save("x.npy", array)
    tensor = lt.npz.load_npy("x.npy")
    assert str(tensor.dtype) == f"torch.{name}"
    assert tensor.tolist() == array.tolist()
    lt.npz.save_npy("y.npy", tensor)
    assert Path("x.npy").read_bytes() == Path("y.npy").read_bytes()


def test_npz() -> None:
    tensors = {"a": lt.arange(6.0).reshape(2, 3).T, "file": lt.tensor(3), "empty": lt.zeros(0, 2)}
    lt.npz.save_npz("x.npz", tensors)
    with np.load("x.npz") as arrays:
        assert {name: arrays[name].tolist() for name in arrays.files} == {k: v.tolist() for k, v in tensors.items()}
    np.savez_compressed("y.npz", a=np.arange(3))
    assert lt.npz.load_npz("y.npz")["a"].tolist() == [0, 1, 2]


def test_a_mapping_is_private() -> None:
    np.save("x.npy", np.arange(1000.0))
    tensor = lt.npz.load_npy("x.npy", mmap=True)
    tensor.zero_()
    assert lt.npz.load_npy("x.npy").sum().item() == 499_500


def test_other_byte_order() -> None:
    np.save("x.npy", np.arange(3, dtype=">i4"))
    assert lt.npz.load_npy("x.npy").tolist() == [0, 1, 2]


def test_objects_are_refused_unread() -> None:
    class Runs:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path("pwned"),)  # type: ignore[return-value]

    np.save("x.npy", np.array([Runs()], dtype=object), allow_pickle=True)
    np.savez("x.npz", a=np.array([Runs()], dtype=object))
    for load, path in ((lt.npz.load_npy, "x.npy"), (lt.npz.load_npz, "x.npz")):
        with pytest.raises(ArchiveError, match="object"):
            load(path)
    assert not Path("pwned").exists()


FAULTS = {
    "no bytes": b"",
    "a zip": b"PK\3\4" + bytes(50),
    "a text": b"hello",
    "half a header": b"\x93NUMPY\1\0v\0{'descr': '<f8', ",
    "a header that calls": b"\x93NUMPY\1\0\x20\0" + b"__import__('os').system('touch x')"[:32],
    "too few elements": b"\x93NUMPY\1\0\x46\0"
    + b"{'descr': '<f8', 'fortran_order': False, 'shape': (9,), }".ljust(69)
    + b"\n",
}


@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mapped"])
@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_files(fault: str, mmap: bool) -> None:
    Path("x.npy").write_bytes(FAULTS[fault])
    with pytest.raises(ArchiveError):
        lt.npz.load_npy("x.npy", mmap=mmap)


def test_the_other_kind_of_file() -> None:
    np.save("x.npy", np.arange(3))
    np.savez("x.npz", a=np.arange(3))
    with pytest.raises(ArchiveError, match="load_npz"):
        lt.npz.load_npy("x.npz")
    with pytest.raises(ArchiveError, match="load_npy"):
        lt.npz.load_npz("x.npy")


def test_elements_that_no_tensor_has() -> None:
    np.save("x.npy", np.array(["a"]))
    with pytest.raises(ArchiveError, match="no tensor has"):
        lt.npz.load_npy("x.npy")


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("shape", ["(1180591620717411303424,)", "(True,)", "(-1,)", "(1e3,)", "('a',)", "3", "(9,)"])
def test_a_shape_that_no_file_has(shape: str, mmap: bool) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    Path("x.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(16))
    with pytest.raises(ArchiveError, match=r"'x\.npy' is no file of NumPy's"):
        lt.npz.load_npy("x.npy", mmap=mmap)


def test_what_is_no_file_of_arrays() -> None:
    lt.save({"a": lt.ones(2)}, "x.pt")
    with pytest.raises(ArchiveError, match=r"'x.pt'.*without an array in it; .* libtorch_ffi.load"):
        lt.npz.load_npz("x.pt")
    lt.npz.save_npz("none.npz", {})
    assert lt.npz.load_npz("none.npz") == {}
    with pytest.raises(TypeError, match="a file and then a dict of tensors, not str"):
        lt.npz.save_npz({"a": lt.ones(2)}, "x.npz")
