"""C++ from a string for the second time, against torch's: a fresh process that imports, finds the module and calls it.

    python benchmarks/load_inline.py [rounds]

Needs libtorch_ffi, and torch, which may be of another libtorch: the two never share a process. Each compiles once into
a folder that is thrown away at the end. Exits with 1 where the ratio is past its limit.
"""

from __future__ import annotations

import os
import sys
import tempfile

import pairs

SOURCE = "at::Tensor twice(const at::Tensor& x) { return x + x; }"
OURS = f"""
import libtorch_ffi as lt
from libtorch_ffi.build import load_inline
assert load_inline({SOURCE!r}, ["twice"]).twice(lt.ones([2])).tolist() == [2.0, 2.0]
"""
THEIRS = f"""
import torch
from torch.utils.cpp_extension import load_inline
assert load_inline("second_time", {SOURCE!r}, functions=["twice"]).twice(torch.ones(2)).tolist() == [2.0, 2.0]
"""
LIMIT = 0.5
"""Of torch's time."""


def main() -> int:
    """Measure, print, and judge."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    with tempfile.TemporaryDirectory() as folder:
        folders = {"LIBTORCH_EXTENSIONS_DIR": f"{folder}/ours", "TORCH_EXTENSIONS_DIR": f"{folder}/theirs"}
        results = pairs.processes(
            "load_inline, the second time",
            [sys.executable, "-c", OURS],
            [sys.executable, "-c", THEIRS],
            environment={**os.environ, **folders},
            rounds=rounds,
            limits=(LIMIT, None),
        )
    print(pairs.table(results, theirs="torch"))
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
