"""What is called when a device has no memory left. An operator that says so stands for a device that is full."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from custom_operators import compile_library, running_libtorch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.compile

SOURCE = """
#include <ATen/core/Tensor.h>
#include <torch/library.h>

at::Tensor full(const at::Tensor& x) {
    TORCH_CHECK_WITH(OutOfMemoryError, x.dim() == 7, "the device is full");
    return x;
}

TORCH_LIBRARY(memory, m) { m.def("full(Tensor x) -> Tensor", full); }
"""

PROGRAM = """
import sys, threading
import libtorch_ffi as lt
from libtorch_ffi import cuda, ops
ops.load_library(sys.argv[1])
x = lt.ones(2)
calls = []

def attempt():
    try:
        ops.memory.full(x)
    except cuda.OutOfMemoryError as error:
        return str(error)

def failing(error):
    calls.append(("failing", str(error)))
    raise ValueError("dropped")

unraisable = []
sys.unraisablehook = lambda found: unraisable.append(found.exc_value)
assert attempt() == "the device is full"
def second(error):
    calls.append(("second", type(error)))

with cuda.on_out_of_memory(failing) as first, cuda.on_out_of_memory(second):
    assert attempt() == "the device is full"
    first.remove()
    first.remove()
    # It may use tensors, and meet the same error.
    with cuda.on_out_of_memory(lambda error: calls.append(lt.ones(3).sum().item())):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
assert attempt() == "the device is full"
assert calls == [
    ("failing", "the device is full"), ("second", lt.OutOfMemoryError), ("second", lt.OutOfMemoryError), 3.0
], calls
assert [str(error) for error in unraisable] == ["dropped"]
"""


def test_hooks_are_called_before_the_error_comes_out(tmp_path: Path) -> None:
    library = compile_library(tmp_path, SOURCE, "memory", libtorch=running_libtorch())
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(library)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
