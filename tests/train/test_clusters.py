"""Tensors that travel through Dask and Ray: out of band, and inference fanned out over a real local cluster of each."""

from __future__ import annotations

import importlib
import pickle
import warnings
from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt
from libtorch_ffi.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

pytestmark = pytest.mark.slow


def _installed(name: str) -> ModuleType:
    """Import a package, or skip the test. What it warns of is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(name)
        return importlib.import_module(name)


def _worker() -> Any:
    """Return a network of two layers: one within another function is pickled by value, which workers need."""

    def infer(images: Any, weights: Any) -> Any:
        first, bias, second = weights
        with lt.no_grad():
            hidden = functional.relu(functional.linear(images, first, bias))
            return functional.softmax(functional.linear(hidden, second), 1)

    return infer


def _network() -> tuple[Any, Any, Any]:
    lt.manual_seed(0)
    return lt.randn(256, 64), lt.randn(256).requires_grad_(), lt.randn(10, 256)


def _batches() -> list[Any]:
    return [lt.full((32, 64), float(number)).sin() for number in range(8)]


def _expected() -> list[Any]:
    return [_worker()(images, _network()) for images in _batches()]


@pytest.fixture
def dask() -> Iterator[Any]:
    """A Dask cluster of two processes."""
    distributed = _installed("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
        with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
            yield client


@pytest.mark.filterwarnings("ignore")
def test_inference_fanned_out_over_dask(dask: Any) -> None:
    [weights] = dask.scatter([_network()], broadcast=True)
    answers = dask.gather(dask.map(_worker(), _batches(), weights=weights))
    for answer, expected in zip(answers, _expected(), strict=True):
        assert lt.allclose(answer, expected)
    assert dask.submit(lambda network: [w.requires_grad for w in network], weights).result() == [False, True, False]


@pytest.mark.filterwarnings("ignore")
def test_dask_takes_a_tensor_apart_without_copying() -> None:
    protocol = _installed("distributed.protocol")
    tensor = lt.randn(1000, 100)
    header, frames = protocol.serialize(tensor)
    [address] = [lt.from_numpy(view).data_ptr() for frame in frames if (view := memoryview(frame)).nbytes == 400_000]
    assert address == tensor.data_ptr()
    writable = [bytearray(frame) for frame in frames]
    again = protocol.deserialize(header, writable)
    assert lt.equal(again, tensor)
    assert again.data_ptr() in {lt.from_numpy(frame).data_ptr() for frame in writable}


@pytest.fixture
def ray() -> Iterator[Any]:
    """A Ray cluster on two processors."""
    ray = _installed("ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, _node_ip_address="127.0.0.1")
        try:
            yield ray
        finally:
            ray.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_inference_fanned_out_over_ray(ray: Any) -> None:
    infer = ray.remote(_worker())
    weights = ray.put(_network())
    answers = ray.get([infer.remote(images, weights) for images in _batches()], timeout=120)
    for answer, expected in zip(answers, _expected(), strict=True):
        assert lt.allclose(answer, expected)


def test_elements_are_one_buffer_beside_the_pickle() -> None:
    """What both rely on: the memory itself goes out, and what comes in is used where it may be written to."""
    tensor = lt.randn(500, 200)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(tensor, protocol=5, buffer_callback=buffers.append)
    assert len(data) < 1000
    [view] = [buffer.raw() for buffer in buffers]
    assert (view.nbytes, lt.from_numpy(view).data_ptr()) == (400_000, tensor.data_ptr())
    received = bytearray(view)
    again = pickle.loads(data, buffers=[received])
    assert lt.equal(again, tensor)
    received[:4] = b"\0\0\0\0"
    assert again[0, 0].item() == 0.0
