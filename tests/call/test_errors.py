"""The exceptions of operators: torch's types, libtorch's words."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS: dict[str, tuple[type[Exception], str, Callable[[], object]]] = {
    "index": (IndexError, "Dimension out of range", lambda: lt.sum(lt.zeros(2), 3)),
    "subscript": (IndexError, "index 3 is out of bounds", lambda: lt.zeros(2)[3]),
    "type": (TypeError, "no overload takes these arguments", lambda: lt.relu("x")),
    "value": (ValueError, "step must be greater than zero", lambda: lt.zeros(2)[::-1]),
    "not implemented": (NotImplementedError, "aten::_indices", lambda: lt.zeros(1)._indices()),
    "shape": (RuntimeError, "mat1 and mat2 shapes cannot be multiplied", lambda: lt.mm(lt.zeros(2, 3), lt.zeros(2, 3))),
    "linear algebra": (RuntimeError, "singular", lambda: lt.linalg_inv(lt.zeros(2, 2))),
    "graph": (RuntimeError, "does not require grad", lambda: lt.zeros(1).sum().backward()),
    "memory": (RuntimeError, "can't allocate memory", lambda: lt.empty(10**15)),
}


@pytest.mark.skipif(lt.cuda.is_available(), reason="this machine has what is missed")
@pytest.mark.parametrize("move", [lambda: lt.zeros(2, device="cuda:7"), lambda: lt.zeros(2).cuda()])
def test_a_libtorch_without_cuda_says_so(move: Callable[[], object]) -> None:
    with pytest.raises(RuntimeError, match=r"no CUDA, and computes on device='cpu'.*LIBTORCH_CUDA_VERSION") as caught:
        move()
    assert "only available for these backends" not in str(caught.value)


@pytest.mark.parametrize("name", CALLS)
def test_types_and_texts(name: str) -> None:
    kind, text, call = CALLS[name]
    with pytest.raises(kind, match=text) as caught:
        call()
    message = str(caught.value)
    assert message.strip()
    for trace in ("Exception raised from", "frame #", "C++ CapturedTraceback"):
        assert trace not in message


def test_names_of_torch_s_own_types() -> None:
    assert issubclass(lt.LinAlgError, RuntimeError)
    assert issubclass(lt.OutOfMemoryError, RuntimeError)
    assert lt.linalg.LinAlgError is lt.LinAlgError
    with pytest.raises(lt.LinAlgError):
        lt.linalg_cholesky(-lt.eye(2))


REFUSALS: dict[str, tuple[str, Callable[[], object]]] = {
    "a text for a dtype": (
        r"'dtype' takes a dtype \(such as libtorch_ffi.float32\) or None, not str 'float32'",
        lambda: lt.zeros(2, dtype="float32"),
    ),
    "a number for a generator": ("'generator' takes a libtorch_ffi.Generator or None, not int 1", lambda: _seeded(1)),
    "an element of a list": (
        "'tensors' takes List.Tensor., not a list whose element 1 is int 3",
        lambda: lt.cat([lt.ones(2), 3]),
    ),
    "one of several sizes": (
        "'size' takes List.int., not a tuple whose element 1 is str 'a'",
        lambda: lt.zeros(2, "a"),
    ),
    "a name that is not there": ("it has no argument 'nope'", lambda: lt.ones(2, 3, nope=1)),
    "one of several sizes of a method": ("a tuple whose element 1 is float 0.5", lambda: lt.ones(2).view(2, 0.5)),
    "something long": ("'self' takes Tensor, not str\n?$", lambda: lt.relu("x" * 100)),
}


def _seeded(generator: Any) -> object:
    return lt.randn(2, generator=generator)


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_names_what_came_and_what_was_expected(name: str) -> None:
    text, call = REFUSALS[name]
    with pytest.raises(TypeError, match=text):
        call()


@pytest.mark.reference
@pytest.mark.parametrize("name", sorted(set(CALLS) - {"type", "value"}))
def test_as_torch_says_it(name: str) -> None:
    """The same words: libtorch's; only what torch's own argument parser says has other ones."""
    torch = pytest.importorskip("torch", exc_type=ImportError)
    kind, _, call = CALLS[name]
    calls: dict[str, Callable[[], object]] = {
        "index": lambda: torch.sum(torch.zeros(2), 3),
        "subscript": lambda: torch.zeros(2)[3],
        "not implemented": lambda: torch.zeros(1)._indices(),
        "shape": lambda: torch.mm(torch.zeros(2, 3), torch.zeros(2, 3)),
        "linear algebra": lambda: torch.linalg.inv(torch.zeros(2, 2)),
        "graph": lambda: torch.zeros(1).sum().backward(),
        "memory": lambda: torch.empty(10**15),
    }
    with pytest.raises(kind) as theirs:
        calls[name]()
    with pytest.raises(kind) as ours:
        call()
    assert type(theirs.value).__name__.lstrip("_") in (type(ours.value).__name__, "RuntimeError", "NotImplementedError")
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_a_variable_brings_the_backtrace_back(value: str, shown: bool) -> None:
    code = "import libtorch_ffi as lt\ntry: lt.mm(lt.zeros(2, 3), lt.zeros(2, 3))\nexcept RuntimeError as e: print(e)"
    environment = {**os.environ, "TORCH_SHOW_CPP_STACKTRACES": value}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)")
    assert ("Exception raised from" in answer.stdout) is shown
