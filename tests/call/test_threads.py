"""Threads: eight of them with mixed calls and checked results, and others that go on while one computes."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHARED = lt.arange(12.0).reshape(3, 4)
_THREADS = 8


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    """Let the interpreter switch threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def _arithmetic(seed: int) -> None:
    x = lt.full((3, 4), seed)
    assert ((_SHARED + x) * 2 - x).tolist() == [[2.0 * (4 * i + j) + seed for j in range(4)] for i in range(3)]


def _overloads(seed: int) -> None:
    values, indices = lt.max(_SHARED + seed, dim=1)
    assert (values.tolist(), indices.tolist()) == ([3.0 + seed, 7.0 + seed, 11.0 + seed], [3, 3, 3])
    assert lt.cat([_SHARED, _SHARED[:1]]).shape == (4, 4)


def _data(seed: int) -> None:
    rows = [[seed, seed + 1.5], [2.0, -seed]]
    assert lt.tensor(rows).tolist() == rows
    assert _SHARED[lt.tensor([0, 2]), 1:3].tolist() == [[1.0, 2.0], [9.0, 10.0]]
    assert memoryview(_SHARED)[2, 3] == 11.0


def _gradients(seed: int) -> None:
    x = lt.full((4,), float(seed), requires_grad=True)
    (x**2 * _SHARED).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0 * seed * total for total in (12.0, 15.0, 18.0, 21.0)]


def _modes(seed: int) -> None:
    x = lt.ones(2, requires_grad=True)
    with lt.no_grad():
        assert not (x * seed).requires_grad
    assert (x * seed).requires_grad


def _errors(seed: int) -> None:
    with pytest.raises(RuntimeError):
        lt.matmul(_SHARED, lt.zeros(seed % 3 + 1, 2))
    with pytest.raises(TypeError):
        lt.add(_SHARED, "text")


def _random(seed: int) -> None:
    first = lt.rand(5, generator=lt.Generator().manual_seed(seed)).tolist()
    assert lt.rand(5, generator=lt.Generator().manual_seed(seed)).tolist() == first


_WORK: tuple[Callable[[int], None], ...] = (_arithmetic, _overloads, _data, _gradients, _modes, _errors, _random)


def test_mixed_calls_from_eight_threads() -> None:
    """Each thread goes through all kinds in an order of its own; every result is checked."""
    start = threading.Barrier(_THREADS)

    def work(thread: int) -> int:
        start.wait()
        for i in range(210):
            _WORK[(i * (thread + 1) + thread) % len(_WORK)](i % 11)
        return thread

    with ThreadPoolExecutor(_THREADS) as pool:
        assert list(pool.map(work, range(_THREADS))) == list(range(_THREADS))


def test_operators_are_first_met_by_eight_threads_at_once() -> None:
    """Plans, packets and named tuples are made when they are first asked for: by whoever comes first."""
    names = ["sort", "kthvalue", "mode", "cummax", "aminmax", "frexp", "slogdet"]
    takes_number = ("kthvalue", "cummax")
    square = lt.eye(3)
    start = threading.Barrier(_THREADS)

    def meet(_: int) -> list[Any]:
        start.wait()
        return [type(getattr(lt, name)(square, *((1,) if name in takes_number else ()))) for name in names]

    with ThreadPoolExecutor(_THREADS) as pool:
        kinds = list(pool.map(meet, range(_THREADS)))
    assert all(found == kinds[0] for found in kinds)
    assert kinds[0][0].__name__ == "sort"


def _progress_of_another(call: Callable[[], object]) -> int:
    """Return in how many of 20 calls another thread went on."""
    counter, done = [0], threading.Event()

    def count() -> None:
        while not done.is_set():
            counter[0] += 1
            time.sleep(0)  # lets go of the GIL

    # No thread is ever told to make room for another: the other goes on only where this one lets go of the GIL.
    sys.setswitchinterval(1000)
    thread = threading.Thread(target=count)
    thread.start()
    progress = 0
    for _ in range(20):
        before = counter[0]
        call()
        progress += counter[0] > before
    done.set()
    thread.join()
    return progress


_LARGE = lt.rand(700, 700)
_LOSS = (_LARGE.clone().requires_grad_() @ _LARGE).sum()
LARGE: dict[str, Callable[[], object]] = {
    "function": lambda: lt.matmul(_LARGE, _LARGE),
    "method": lambda: _LARGE.matmul(_LARGE),
    "operator": lambda: lt.ops.aten.mm.default(_LARGE, _LARGE),
    "arithmetic": lambda: _LARGE @ _LARGE,
    "backward": lambda: _LOSS.backward(retain_graph=True),
}


@pytest.mark.parametrize("large", LARGE)
def test_others_go_on_while_one_computes(large: str) -> None:
    assert _progress_of_another(LARGE[large]) > 0


def test_others_wait_while_one_holds_the_interpreter() -> None:
    """What the test above would find, were the GIL held."""
    assert _progress_of_another(lambda: sum(range(100_000))) == 0
