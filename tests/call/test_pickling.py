"""Tensors survive pickles and copies, and share memory where they are to."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt
from libtorch_ffi.errors import LibraryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


class Named(lt.Tensor):
    """A subclass with an attribute."""

    label = ""


def equal(left: lt.Tensor, right: lt.Tensor) -> bool:
    same = left.shape == right.shape and left.dtype == right.dtype and left.requires_grad == right.requires_grad
    return same and bool(lt.equal(left.detach(), right.detach()))


STRIDED = {
    "float": lambda: lt.arange(6.0).reshape(2, 3),
    "0-dim": lambda: lt.tensor(3),
    "empty": lambda: lt.zeros(0, 3),
    "bool": lambda: lt.tensor([True, False]),
    "bfloat16": lambda: lt.arange(4, dtype=lt.bfloat16),
    "complex": lambda: lt.tensor([1 + 2j, 3]),
    "conjugate": lambda: lt.tensor([1 + 2j, 3]).conj(),
    "negative": lambda: lt.tensor([1 + 2j, 3]).conj().imag,
    "transposed": lambda: lt.arange(6).reshape(2, 3).T,
    "strided": lambda: lt.arange(10)[::3],
    "expanded": lambda: lt.ones(1).expand(3),
    "gradient": lambda: lt.ones(3, requires_grad=True),
    "computed": lambda: lt.ones(3, requires_grad=True) * 2,
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("case", STRIDED)
def test_strided(case: str, protocol: int) -> None:
    tensor = STRIDED[case]()
    again = pickle.loads(pickle.dumps(tensor, protocol))
    assert equal(again, tensor)
    assert again.is_leaf
    if tensor._is_dense():
        assert again.stride() == tensor.stride()
    again.detach().zero_()  # its memory may be written to


@pytest.mark.parametrize("case", STRIDED)
def test_copies(case: str) -> None:
    tensor = STRIDED[case]()
    assert equal(copy.copy(tensor), tensor)
    assert copy.copy(tensor).data_ptr() == tensor.data_ptr()
    if not tensor.is_leaf:
        with pytest.raises(RuntimeError, match="graph leaves"):
            copy.deepcopy(tensor)
        return
    deep = copy.deepcopy(tensor)
    assert equal(deep, tensor)
    assert deep.stride() == tensor.stride() or tensor.is_neg()
    assert tensor.numel() == 0 or deep.data_ptr() != tensor.data_ptr()


def test_out_of_band_moves_no_bytes() -> None:
    tensor = lt.arange(1000.0)
    buffers: list[pickle.PickleBuffer] = []
    text = pickle.dumps(tensor, 5, buffer_callback=buffers.append)
    assert len(text) < 500
    assert memoryview(buffers[0]).nbytes == 4000
    again = pickle.loads(text, buffers=buffers)
    assert again.data_ptr() == tensor.data_ptr()


def test_a_view_takes_only_its_own_elements() -> None:
    assert len(pickle.dumps(lt.zeros(100_000)[:10], 5)) < 1000


def test_read_only_buffers_are_copied() -> None:
    buffers: list[pickle.PickleBuffer] = []
    text = pickle.dumps(lt.ones(4), 5, buffer_callback=buffers.append)
    frozen = [bytes(buffer) for buffer in buffers]
    pickle.loads(text, buffers=frozen).mul_(2)
    assert lt.equal(pickle.loads(text, buffers=frozen), lt.ones(4))


def test_the_buffer_outlives_its_pickle() -> None:
    again = pickle.loads(pickle.dumps(lt.arange(1000), 5))
    gc.collect()
    assert again.sum().item() == 499_500


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr", "to_sparse_csc"])
def test_sparse(layout: str, protocol: int) -> None:
    tensor = getattr(lt.eye(3), layout)()
    again = pickle.loads(pickle.dumps(tensor, protocol))
    assert again.layout == tensor.layout
    assert lt.equal(again.to_dense(), tensor.to_dense())
    assert lt.equal(copy.deepcopy(tensor).to_dense(), tensor.to_dense())


@pytest.mark.filterwarnings("ignore")
def test_quantized() -> None:
    whole = lt.quantize_per_tensor(lt.tensor([1.0, 2.0]), 0.1, 3, lt.quint8)
    rows = lt.quantize_per_channel(lt.ones(2, 2), lt.tensor([0.1, 0.2]), lt.tensor([1, 2]), 0, lt.qint8)
    for tensor in (whole, rows):
        again = pickle.loads(pickle.dumps(tensor, 5))
        assert again.dtype == tensor.dtype
        assert lt.equal(again.dequantize(), tensor.dequantize())


def test_meta() -> None:
    again = pickle.loads(pickle.dumps(lt.empty(2, 3, device="meta").T))
    assert again.is_meta
    assert again.stride() == (1, 3)


@pytest.mark.filterwarnings("ignore")
def test_nested() -> None:
    tensor = lt._nested_tensor_from_tensor_list([lt.ones(2), lt.zeros(3)])
    again = pickle.loads(pickle.dumps(tensor))
    assert again.is_nested
    assert [part.tolist() for part in again.unbind()] == [[1, 1], [0, 0, 0]]


@pytest.mark.filterwarnings("ignore")
def test_a_layout_that_cannot_be_pickled_says_what_to_do() -> None:
    if not lt.ones(1).to_mkldnn().is_mkldnn:
        pytest.skip("this libtorch has no oneDNN")
    with pytest.raises(NotImplementedError, match="to_dense"):
        pickle.dumps(lt.ones(2, 2).to_mkldnn())


def test_subclasses_keep_their_type_and_attributes() -> None:
    tensor = lt.ones(2).as_subclass(Named)
    tensor.label = "a"
    again = pickle.loads(pickle.dumps(tensor))
    assert type(again) is Named
    assert again.label == "a"


def test_deepcopy_keeps_views_of_one_memory_together() -> None:
    base = lt.zeros(4)
    pair = copy.deepcopy([base, base[1:3]])
    pair[0].fill_(7)
    assert pair[1].tolist() == [7, 7]
    assert base.tolist() == [0, 0, 0, 0]


def test_deepcopy_of_one_tensor_twice_is_one_tensor() -> None:
    x = lt.ones(2)
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]


def test_deepcopy_takes_the_gradient_along() -> None:
    x = lt.ones(2, requires_grad=True)
    x.grad = lt.full((2,), 3.0)
    y = copy.deepcopy(x)
    assert y.grad.tolist() == [3, 3]
    assert y.grad.data_ptr() != x.grad.data_ptr()


def test_values_of_the_vocabulary() -> None:
    for value in (lt.float32, lt.strided, lt.channels_last, lt.device("cpu"), lt.Size([2, 3])):
        assert pickle.loads(pickle.dumps(value)) == value


def test_gradients_of_many_tensors_are_copied_each_to_its_own() -> None:
    """The handle of a gradient lives as long as its copying; another must not be taken for it."""
    tensors = [lt.full((n,), float(n)).requires_grad_() for n in range(1, 40)]
    for tensor in tensors:
        (tensor * tensor).sum().backward()
    for n, twin in enumerate(copy.deepcopy(tensors), 1):
        assert twin.grad.tolist() == [2.0 * n] * n


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_results_keep_their_names(protocol: int) -> None:
    for results in (lt.max(lt.eye(2), 1), lt.linalg.slogdet(lt.eye(2)), lt.ops.aten.sort.default(lt.ones(3))):
        for twin in (pickle.loads(pickle.dumps(results, protocol)), copy.deepcopy(results), copy.copy(results)):
            assert type(twin) is type(results)
            assert [x.tolist() for x in twin] == [x.tolist() for x in results]
    assert pickle.loads(pickle.dumps(lt.max(lt.eye(2), 1))).indices.tolist() == [0, 1]


OPERATORS: dict[str, Callable[[], Any]] = {
    "function": lambda: lt.add,
    "function of another name": lambda: lt.nn.functional.gelu,
    "method": lambda: lt.Tensor.add,
    "packet": lambda: lt.ops.aten.add,
    "overload": lambda: lt.ops.aten.add.Tensor,
    "the only overload": lambda: lt.ops.aten.relu.default,
}


@pytest.mark.parametrize("kind", OPERATORS)
def test_operators_travel_by_their_names(kind: str) -> None:
    operator = OPERATORS[kind]()
    again = pickle.loads(pickle.dumps(operator))
    assert type(again) is type(operator)
    assert repr(again) == repr(operator)
    arguments = (lt.ones(2),) * (2 if "add" in repr(operator) else 1)
    assert lt.equal(again(*arguments), operator(*arguments))
    assert copy.deepcopy(operator) is operator
    assert copy.copy(operator) is operator


def test_a_module_that_holds_a_function_is_copied_and_pickled() -> None:
    net = lt.nn.Linear(2, 2)
    net.activation = lt.nn.functional.gelu
    assert copy.deepcopy(net).activation is net.activation
    x = lt.ones(2)
    assert lt.equal(pickle.loads(pickle.dumps(net)).activation(x), net.activation(x))


def test_operators_are_called_in_processes_that_are_spawned(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import multiprocessing, libtorch_ffi as lt\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print([x.item() for x in pool.map(lt.sqrt, [lt.tensor(4.0), lt.tensor(9.0)])])\n"
    )
    run = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert run.stdout == "[2.0, 3.0]\n"


def test_an_operator_that_this_process_has_not_is_told() -> None:
    lt.library.define("pickles::once", "(Tensor x) -> Tensor")
    text = pickle.dumps(lt.ops.pickles.once).replace(b"pickles::once", b"pickles::none")
    with pytest.raises(LibraryError, match=r"no operator pickles::none.*load its library first"):
        pickle.loads(text)
