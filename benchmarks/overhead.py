"""What it costs to call an operator: libtorch_ffi against torch, on the same libtorch, in one process.

Run with the extension built against an installed torch (``LIBTORCH_SOURCE=torch pip install '.[reference]'``):

    python benchmarks/overhead.py [--rounds N] [--json FILE]

Each case is one statement that people write, on tensors so small that the call is what takes the time; both sides run
on one thread. Prints a table with the median of paired rounds, the geometric mean and the worst case. With a C++
compiler at hand, `floor.cpp` gives the time of the bare C++ call, and so what each side adds to it.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import statistics
import sys
import tempfile
import timeit
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pairs
import torch

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Sequence

MEAN_LIMIT = 0.72
WORST_LIMIT = 1.05
ADDED_LIMIT = 0.35
ADD_LIMIT = 0.80
"""Of the very first case, which names the overload on our side."""

TELLING = 50e-9
"""Seconds that torch has to add to the bare call for its share to be told from noise."""


FLOOR_CALLS = 2000
"""Calls in one sample of a bare call."""


@dataclass(frozen=True)
class Added:
    """Medians of one case, in seconds: the bare C++ call, and what each side adds to it."""

    label: str
    bare: float
    ours: float
    theirs: float


@dataclass(frozen=True)
class Case:
    """One statement; ``$`` stands before each name that is ours on one side and torch's on the other."""

    label: str
    statement: str
    floor: str | None = None  # the function of floor.cpp that makes the bare C++ call
    theirs: str | None = None  # where torch's side is written differently

    @property
    def statements(self) -> tuple[str, str]:
        """Our statement and torch's."""
        return self.statement.replace("$", "ours_"), (self.theirs or self.statement).replace("$", "theirs_")


CASES = (
    Case("ops.aten.add.Tensor(a, b)", "$exact_add($a, $b)", "add", "$m.add($a, $b)"),
    Case("add(a, b)", "$m.add($a, $b)", "add"),
    Case("a + b", "$a + $b", "add"),
    Case("a * 2", "$a * 2", "mul_scalar"),
    Case("add_", "$a.add_($b)", "add_"),
    Case("relu", "$m.relu($a)", "relu"),
    Case("matmul 8x8", "$m.matmul($M, $M)", "matmul"),
    Case("linear 8x8", "$linear($M, $M, $v)", "linear"),
    Case("softmax", "$m.softmax($M, 1)", "softmax"),
    Case("sum", "$m.sum($M)", "sum"),
    Case("sum(dim, keepdim)", "$M.sum(1, keepdim=True)", "sum_dim"),
    Case("view", "$M.view(4, 16)", "view"),
    Case("transpose", "$M.transpose(0, 1)", "transpose"),
    Case("x[0]", "$M[0]", "select"),
    Case("x[1:3, None]", "$M[1:3, None]"),
    Case("x[mask]", "$M[$mask]"),
    Case("cat", "$m.cat([$a, $b])", "cat"),
    Case("stack", "$m.stack([$a, $b])"),
    Case("zeros(3)", "$m.zeros(3)", "zeros"),
    Case("empty(2, 3, dtype=)", "$m.empty(2, 3, dtype=$m.float64)"),
    Case("to(dtype)", "$a.to($m.float64)"),
    Case("item()", "$a.item()"),
    Case("shape", "$M.shape"),
    Case("size(0)", "$M.size(0)"),
    Case("clone", "$a.clone()", "clone"),
    Case("copy_", "$a.copy_($b)", "copy_"),
    Case("where", "$m.where($mask, $M, $N)", "where"),
    Case("topk", "$m.topk($v, 3)"),
    Case("split", "$m.split($v, 2)"),
    Case("einsum", "$m.einsum('ij,jk->ik', $M, $M)"),
    Case("tensor([1, 2, 3])", "$m.tensor([1, 2, 3])"),
    Case("MLP forward", "$forward($x)"),
    Case("MLP forward, backward", "$backward($x)"),
    Case("SGD step", "$step()"),
)


def vocabulary(module: Any, exact_add: Any, linear: Any) -> dict[str, Any]:
    """Return what the statements name, made with one of the two libraries."""
    module.manual_seed(0)
    matrix = module.randn(8, 8)
    sizes = (8, 16, 16, 4)
    weights = [module.randn(a, b).mul_(0.1).requires_grad_() for a, b in itertools.pairwise(sizes)]

    def forward(x: Any) -> Any:
        hidden = module.relu(x @ weights[0])
        return module.relu(hidden @ weights[1]) @ weights[2]

    def backward(x: Any) -> None:
        forward(x).sum().backward()

    def step() -> None:
        with module.no_grad():
            for weight in weights:
                weight.sub_(weight.grad, alpha=1e-6)

    x = module.randn(8, 8)
    backward(x)
    return {
        "m": module,
        "exact_add": exact_add,
        "linear": linear,
        "a": module.ones(1),
        "b": module.ones(1).mul_(1e-9),
        "M": matrix,
        "N": module.randn(8, 8),
        "v": module.randn(8),
        "x": x,
        "mask": matrix > 0,
        "forward": forward,
        "backward": backward,
        "step": step,
    }


def both_vocabularies() -> dict[str, Any]:
    """Return the names of both sides, prefixed."""
    ours = vocabulary(lt, lt.ops.aten.add.Tensor, lt.linear)
    theirs = vocabulary(torch, torch.ops.aten.add.Tensor, torch.nn.functional.linear)
    prefixed = {f"ours_{name}": value for name, value in ours.items()}
    return prefixed | {f"theirs_{name}": value for name, value in theirs.items()}


def measure(names: dict[str, Any], rounds: int) -> list[pairs.Paired]:
    """Time every case on both sides."""
    results = []
    for case in CASES:
        limit = ADD_LIMIT if case.theirs else WORST_LIMIT
        results.append(pairs.in_process(case.label, *case.statements, names=names, rounds=rounds, limit=limit))
    return results


class Floor:
    """The bare C++ calls, compiled from floor.cpp against the libtorch in this process."""

    def __init__(self, folder: Path) -> None:
        from libtorch_ffi.build import flags, process, toolchain
        from libtorch_ffi.provision import locate

        os.environ["LIBTORCH_SOURCE"] = "torch"
        libtorch = locate()
        compiler = toolchain.find_compiler(libtorch.cxx_standard)
        words = flags.flags(libtorch, system_headers=True, libstdcxx=compiler.libstdcxx, ld_classic=False)
        library = folder / "floor.so"
        source = Path(__file__).with_name("floor.cpp")
        answer = process.run(
            [
                *compiler.command,
                "-O2",
                "-fPIC",
                "-shared",
                *words.cxxflags,
                str(source),
                "-o",
                str(library),
                *words.ldflags,
            ]
        )
        if answer.returncode != 0:
            raise SystemExit(f"{source} did not compile:\n{answer.stderr}")
        self.library = ctypes.CDLL(str(library))

    def seconds(self, name: str) -> float:
        """Return the time of one bare call, over some thousand of them."""
        function = self.library[f"floor_{name}"]
        function.restype = ctypes.c_double
        return float(function(FLOOR_CALLS))


def added(names: dict[str, Any], rounds: int) -> list[Added]:
    """Time the bare call and both sides in turns, and keep the cases where torch adds enough to tell."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        floor = Floor(Path(folder))
        for case in CASES:
            if case.floor is None:
                continue
            timers = [timeit.Timer(statement, globals=names) for statement in case.statements]
            samples = [
                (floor.seconds(case.floor), *(timer.timeit(FLOOR_CALLS) / FLOOR_CALLS for timer in timers))
                for _ in range(rounds)
            ]
            row = Added(
                case.label,
                statistics.median(bare for bare, _, _ in samples),
                statistics.median(ours - bare for bare, ours, _ in samples),
                statistics.median(theirs - bare for bare, _, theirs in samples),
            )
            if row.theirs > TELLING:
                rows.append(row)
    return rows


def report_added(rows: Sequence[Added]) -> bool:
    """Print what each side adds to the bare calls; tells whether the limit is met."""
    table = [("above the bare C++ call", "bare", "ours adds", "torch adds", "ratio")]
    for row in rows:
        cells = [f"{value * 1e9:.0f} ns" for value in (row.bare, row.ours, row.theirs)]
        table.append((row.label, cells[0], cells[1], cells[2], f"{row.ours / row.theirs:.2f}"))
    print(pairs.markdown(table))
    total = statistics.median(row.ours / row.theirs for row in rows)
    print(f"\nadded, the median of these: {total:.2f} x (at most {ADDED_LIMIT})")
    return total <= ADDED_LIMIT


def main() -> int:
    """Measure, print, and return 1 where a limit is missed."""
    options = pairs.options(__doc__)
    for module in (lt, torch):
        module.set_num_threads(1)
    names = both_vocabularies()
    results = measure(names, options.rounds)
    print(pairs.table(results, ours="libtorch_ffi", theirs="torch"))
    mean, worst = pairs.geometric_mean(results), max(results, key=lambda result: result.ratio)
    print(f"\ngeometric mean: {mean:.2f} x (at most {MEAN_LIMIT}); worst: {worst.label}, {worst.ratio:.2f} x\n")
    met = mean <= MEAN_LIMIT and all(result.met for result in results)
    if shutil.which("g++") or shutil.which("clang++"):
        met = report_added(added(names, options.rounds)) and met
    if options.json is not None:
        pairs.write_json(options.json, results)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
