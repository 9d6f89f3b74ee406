"""Many calls of each kind leave resident memory, references and objects where they were.

The number of calls is small by default; the marker `campaign` has the version with a million.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("one_thread")

_PAGE = 4096
_MATRIX = lt.arange(6.0).reshape(2, 3)
_LEAF = lt.ones(3, requires_grad=True)
_ARRAY = np.arange(6.0)
_OUT = lt.empty(2, 3)
_PAIR = (lt.empty(0), lt.empty(0, dtype=lt.int64))


def _refused(call: Callable[..., object], *args: object, **named: object) -> None:
    try:
        call(*args, **named)
    except (TypeError, RuntimeError, IndexError, ValueError):
        return
    raise AssertionError("it should have raised")


def _grad() -> None:
    _LEAF.grad = None
    (_LEAF * 2).exp().sum().backward()
    lt.autograd.grad((_LEAF * _LEAF).sum(), _LEAF)


class Indexed:
    """No int, but it stands for one."""

    def __index__(self) -> int:
        return 1


KINDS: dict[str, Callable[[], Any]] = {
    "a function": lambda: lt.add(_MATRIX, _MATRIX, alpha=2),
    "a method": lambda: _MATRIX.sum(1, keepdim=True),
    "an exact name": lambda: lt.ops.aten.mul.Tensor(_MATRIX, _MATRIX),
    "an operator without an unboxed call": lambda: lt.ops.aten.logaddexp2.default(_MATRIX, _MATRIX),
    "arithmetic": lambda: (_MATRIX + 1) * 2 - _MATRIX**2 / 3 == 0,
    "in place": lambda: _OUT.add_(1).mul_(0),
    "keywords": lambda: lt.softmax(input=_MATRIX, dim=-1, dtype=lt.float64),
    "out=": lambda: lt.mul(_MATRIX, 2, out=_OUT),
    "out= of two": lambda: lt.max(_MATRIX, 1, out=_PAIR),
    "named results": lambda: lt.topk(_MATRIX, 2).values,
    "lists of tensors": lambda: lt.cat(lt.split(_MATRIX, 1)),
    "lists of optional tensors": lambda: lt.ops.aten.index.Tensor(_MATRIX, [None, lt.tensor([0, 1])]),
    "lists of numbers": lambda: lt.ops.aten._foreach_add.ScalarList([_MATRIX, _MATRIX], [1.5, 2]),
    "objects with __index__": lambda: lt.zeros(Indexed(), Indexed()),
    "factories": lambda: (lt.zeros(2, 3), lt.full((2,), 7), lt.empty(1, dtype=lt.int8, requires_grad=False)),
    "random": lambda: lt.rand(3, generator=lt.Generator().manual_seed(1)),
    "indexing": lambda: (_MATRIX[0], _MATRIX[:, 1:], _MATRIX[_MATRIX > 2], _MATRIX[[0, 1], None], list(_MATRIX)),
    "assignment": lambda: (_OUT.__setitem__(0, 1.5), _OUT.__setitem__((..., 1), [1, 2])),
    "tensor()": lambda: lt.tensor([[1, 2.5], (3, True)]),
    "tolist": _MATRIX.tolist,
    "item": lambda: (_MATRIX[0, 1].item(), float(_MATRIX[1, 1]), bool(_MATRIX[0, 0])),
    "numpy": lambda: (_MATRIX.numpy(), lt.from_numpy(_ARRAY), memoryview(_MATRIX)[0, 0]),
    "properties": lambda: (_MATRIX.shape, _MATRIX.dtype, _MATRIX.device, _MATRIX.T.stride(), _LEAF.grad_fn),
    "refused arguments": lambda: _refused(lt.add, _MATRIX, "text", alpha=object()),
    "refused keywords": lambda: _refused(lt.ops.aten.relu.default, _MATRIX, nothing=1),
    "errors of kernels": lambda: _refused(lt.matmul, _MATRIX, _MATRIX),
    "errors after allocation": lambda: _refused(lt.tensor, [[1, 2], [3]]),
    "autograd": _grad,
    "dtypes and devices": lambda: (
        lt.device("cpu"),
        lt.ops.aten.to.dtype(_MATRIX, lt.int32),
        lt.zeros(1, device="cpu"),
    ),
}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _watched() -> list[int]:
    return [
        sys.getrefcount(thing)
        for thing in (_MATRIX, _LEAF, _OUT, _PAIR, _PAIR[0], lt.float32, None.__class__, lt.Tensor)
    ]


def _repeat(call: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        call()


def _check(call: Callable[[], Any], calls: int) -> None:
    """Compare the third part of the calls with the second: the first fills caches."""
    _repeat(call, calls)
    gc.collect()
    resident, references, objects = _resident(), _watched(), len(gc.get_objects())
    _repeat(call, calls)
    gc.collect()
    assert _watched() == references
    assert abs(len(gc.get_objects()) - objects) < 20
    # A leak of one tensor a call would be some 300 bytes a call and more.
    assert _resident() - resident < max(64 * calls, 1 << 20)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to read resident memory from")
@pytest.mark.parametrize("kind", KINDS)
def test_memory_stays_flat(kind: str) -> None:
    """Some thousand calls of each kind."""
    _check(KINDS[kind], 4_000)


@pytest.mark.campaign
@pytest.mark.parametrize("kind", KINDS)
def test_memory_stays_flat_over_a_million_calls(kind: str) -> None:
    """A million of each."""
    _check(KINDS[kind], 500_000)
