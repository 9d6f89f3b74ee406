"""All of libtorch, none of torch.

``import libtorch_ffi`` opens no file and loads no library: every name is resolved when it is first asked for. Names are
torch's. What is asked for is looked up, in this order: the modules of this package, the functions written in Python,
the compiled core (Tensor, the dtypes, `tensor`), and the operators of libtorch's ``aten`` namespace.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # what type checkers take for true; importing `typing` for it would cost 2 ms
if TYPE_CHECKING:
    from typing import Any

    from libtorch_ffi import amp as amp
    from libtorch_ffi import aoti as aoti
    from libtorch_ffi import autograd as autograd
    from libtorch_ffi import backends as backends
    from libtorch_ffi import cuda as cuda
    from libtorch_ffi import distributed as distributed
    from libtorch_ffi import export as export
    from libtorch_ffi import jit as jit
    from libtorch_ffi import nn as nn
    from libtorch_ffi import ops as ops
    from libtorch_ffi import optim as optim
    from libtorch_ffi import random as random
    from libtorch_ffi import utils as utils
    from libtorch_ffi._C import Generator as Generator
    from libtorch_ffi._C import LinAlgError as LinAlgError
    from libtorch_ffi._C import OutOfMemoryError as OutOfMemoryError
    from libtorch_ffi._C import Size as Size
    from libtorch_ffi._C import Tensor as Tensor
    from libtorch_ffi._C import device as device
    from libtorch_ffi._C import dtype as dtype
    from libtorch_ffi._C import layout as layout
    from libtorch_ffi._C import memory_format as memory_format
    from libtorch_ffi.errors import LibtorchFFIError as LibtorchFFIError

__version__ = "0.1.0"

_MODULES = (
    "__config__",
    "amp",
    "aoti",
    "array_api",
    "autograd",
    "backends",
    "build",
    "cuda",
    "distributed",
    "errors",
    "export",
    "fft",
    "jit",
    "library",
    "linalg",
    "nn",
    "npz",
    "ops",
    "optim",
    "provision",
    "random",
    "safetensors",
    "serialization",
    "sparse",
    "special",
    "types",
    "utils",
)
"""The public modules, imported when they are named."""

_HOMES = {
    "LibtorchFFIError": "errors",
    "asarray": "_functions.creation",
    "atleast_1d": "_functions.shapes",
    "atleast_2d": "_functions.shapes",
    "atleast_3d": "_functions.shapes",
    "autocast": "amp",
    "block_diag": "_functions.products",
    "broadcast_shapes": "_functions.shapes",
    "broadcast_tensors": "_functions.shapes",
    "cartesian_prod": "_functions.products",
    "cdist": "_functions.algebra",
    "chain_matmul": "_functions.products",
    "e": "_constants",
    "einsum": "_functions.products",
    "enable_grad": "autograd",
    "finfo": "_dtypes",
    "frombuffer": "_functions.creation",
    "from_dlpack": "_dlpack",
    "get_printoptions": "_printing",
    "get_rng_state": "random",
    "has_cuda": "backends",
    "has_cudnn": "backends",
    "has_lapack": "backends",
    "has_mkl": "backends",
    "has_mkldnn": "backends",
    "has_mps": "backends",
    "has_openmp": "backends",
    "iinfo": "_dtypes",
    "inf": "_constants",
    "inference_mode": "autograd",
    "initial_seed": "random",
    "is_conj": "_functions.questions",
    "is_inference": "_functions.questions",
    "is_neg": "_functions.questions",
    "is_storage": "_functions.questions",
    "is_tensor": "_functions.questions",
    "load": "serialization",
    "lu": "_functions.algebra",
    "manual_seed": "random",
    "meshgrid": "_functions.shapes",
    "nan": "_constants",
    "newaxis": "_constants",
    "no_grad": "autograd",
    "nonzero": "_functions.searching",
    "norm": "_functions.algebra",
    "pi": "_constants",
    "save": "serialization",
    "seed": "random",
    "set_grad_enabled": "autograd",
    "set_printoptions": "_printing",
    "set_rng_state": "random",
    "sparse_bsc_tensor": "_functions.sparse",
    "sparse_bsr_tensor": "_functions.sparse",
    "sparse_compressed_tensor": "_functions.sparse",
    "sparse_coo_tensor": "_functions.sparse",
    "sparse_csc_tensor": "_functions.sparse",
    "sparse_csr_tensor": "_functions.sparse",
    "split": "_functions.shapes",
    "stft": "_functions.algebra",
    "tensordot": "_functions.products",
    "typename": "_functions.questions",
    "unique": "_functions.searching",
    "unique_consecutive": "_functions.searching",
    "unravel_index": "_functions.shapes",
}
"""Public names that a module of this package defines, and which."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"libtorch_ffi.{name}")
    if name.startswith("__"):
        raise AttributeError(f"module 'libtorch_ffi' has no attribute {name!r}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"libtorch_ffi.{_HOMES[name]}"), name)
    else:
        value = _from_libtorch(name)
    globals()[name] = value
    return value


def _from_libtorch(name: str) -> Any:
    from libtorch_ffi._binding import core

    value = getattr(core, name, None)
    if value is None:
        value = core.function_packet(f"aten::{name}")
    if value is None:
        raise AttributeError(
            f"module 'libtorch_ffi' has no attribute {name!r}: it is no name of this package, and the libtorch that it "
            f"was built against has no operator aten::{name}"
        )
    return value


def __dir__() -> list[str]:
    from libtorch_ffi._binding import core

    operators = {
        name.removeprefix("aten::").partition(".")[0] for name in core.operators() if name.startswith("aten::")
    }
    callable_here = {name for name in operators if not name.startswith("__")}
    return sorted({*globals(), *_MODULES, *_HOMES, *dir(core), *callable_here})
