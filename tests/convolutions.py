"""Programs of convolutions, made by hand, as they are and as `optimize_for_inference` rewrites them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import exported
import pytest
from exported import meta, node, tensor, tree

import libtorch_ffi as lt
from libtorch_ffi import export

CHANNELS, WIDE = 6, 12
STATISTICS = ("gamma", "beta", "mean", "variance")


def argument(value: Any) -> exported.Document:
    """Return an argument of a node for a constant; a text that is no word of padding is a tensor's name."""
    if isinstance(value, bool):
        return {"as_bool": value}
    if isinstance(value, str):
        return {"as_string": value} if value in ("same", "valid", "other") else tensor(value)
    if isinstance(value, float):
        return {"as_float": value}
    if value is None:
        return {"as_none": True}
    return {"as_ints": list(value)} if isinstance(value, (list, tuple)) else {"as_int": value}


def call(target: str, *outputs: str, **given: Any) -> exported.Document:
    """Return a node: an operator, its results, its arguments."""
    return node(f"aten.{target}", {name: argument(value) for name, value in given.items()}, *outputs)


def conv(source: str, weight: str, result: str, overload: str = "conv2d.default", **options: Any) -> exported.Document:
    """Return a convolution's node."""
    return call(overload, result, input=source, weight=weight, **options)


def norm(source: str, result: str) -> exported.Document:
    """Return the node of a batch normalization by running statistics."""
    names = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"}
    options = {"training": False, "momentum": 0.1, "eps": 1e-5, "cudnn_enabled": True}
    return call("batch_norm.default", result, input=source, **names, **options)


def relu(source: str, result: str, written: str = "") -> exported.Document:
    """Return an activation's node; in place with ``written="_"``."""
    return call(f"relu{written}.default", result, self=source)


def tail(source: str, result: str) -> list[exported.Document]:
    """Return as many convolutions as it takes for weights to be laid out, the last of them by ``v``."""
    names = [source, *(f"{source}{i}" for i in range(4))]
    wide = [conv(read, "u", written, padding=[1, 1], groups=WIDE) for read, written in pairwise(names)]
    return [*wide, conv(names[-1], "v", result)]


def chain(options: dict[str, Any] | None = None, kind: str = "conv2d.default") -> list[exported.Document]:
    """Return a convolution by ``w``, its normalization, an activation in place, and a `tail` that makes ``y``."""
    bias = {} if kind == "convolution.default" else {"bias": "b"}
    first = conv("x", "w", "c", kind, **bias, **(options or {}))
    return [first, norm("c", "n"), relu("n", "r", "_"), *tail("r", "y")]


def state(groups: int = 1, kernel: tuple[int, ...] = (3, 3), dtype: lt.dtype = lt.float32) -> dict[str, lt.Tensor]:
    """Return the tensors of `chain`, seeded."""
    lt.manual_seed(0)
    made = {"w": lt.randn(WIDE, CHANNELS // groups, *kernel), "b": lt.randn(WIDE), "v": lt.randn(5, WIDE, 1, 1)}
    made["u"] = lt.randn(WIDE, 1, 3, 3)
    made |= {name: lt.randn(WIDE) for name in ("gamma", "beta", "mean")}
    made["variance"] = lt.rand(WIDE) + 0.5
    return {name: value.to(dtype) for name, value in made.items()}


def program_of(
    nodes: list[exported.Document], tensors: dict[str, lt.Tensor], *outputs: str, dims: int = 4
) -> export.ExportedProgram:
    """Return a program of one argument ``x`` of any sizes that returns a tuple."""
    document = exported.program()
    module, graph = document["graph_module"], document["graph_module"]["graph"]
    graph["nodes"] = nodes
    graph["inputs"] = [tensor(name) for name in (*tensors, "x")]
    graph["outputs"] = [tensor(name) for name in outputs]
    number = 8 if tensors and next(iter(tensors.values())).dtype == lt.float64 else 7
    described = {name: meta(*value.shape, dtype=number) for name, value in tensors.items()}
    graph["tensor_values"] = {**described, "x": meta(*(f"s{i}" for i in range(dims)))}
    parameters = [{"parameter": {"arg": {"name": name}, "parameter_name": name}} for name in tensors]
    results = [{"user_output": {"arg": tensor(name)}} for name in outputs]
    module["signature"] = {
        "input_specs": [*parameters, {"user_input": {"arg": tensor("x")}}],
        "output_specs": results,
    }
    leaves = tree("builtins.tuple", [exported.LEAF] * len(outputs))
    module["module_call_graph"][0]["signature"]["out_spec"] = exported.spec(leaves)
    document["range_constraints"] = {}
    contents = {name: (value.numpy().tobytes(), described[name]) for name, value in tensors.items()}
    return export.load(exported.archive(document, contents))


def both(
    nodes: list[exported.Document], tensors: dict[str, lt.Tensor], *outputs: str, dims: int = 4
) -> tuple[export.ExportedProgram, export.ExportedProgram]:
    """Return a program as it is, and optimized."""
    plain, fast = (program_of(nodes, tensors, *outputs, dims=dims) for _ in range(2))
    return plain, fast.optimize_for_inference()


def assert_same(plain: export.ExportedProgram, fast: export.ExportedProgram, x: lt.Tensor) -> None:
    """Assert that two programs give the same results, with the same strides, to 1e-5 of the largest."""
    for expected, found in zip(plain(x), fast(x), strict=True):
        assert found.shape == expected.shape
        assert found.stride() == expected.stride()
        assert found.dtype == expected.dtype
        assert is_near(found, expected)


def is_near(found: lt.Tensor, expected: lt.Tensor) -> bool:
    """Whether two tensors are the same to 1e-5 of the largest number."""
    return not expected.numel() or bool((found - expected).abs().max() <= 1e-5 * expected.abs().max())


def assert_fails_alike(plain: export.ExportedProgram, fast: export.ExportedProgram, x: lt.Tensor) -> None:
    """Assert that two programs raise the same error."""
    messages = []
    for program in (plain, fast):
        with pytest.raises(RuntimeError) as caught:
            program(x)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def uses_copy(program: export.ExportedProgram, name: str, x: lt.Tensor) -> bool:
    """Whether the program runs on a copy of a tensor: what NumPy writes to it then goes unnoticed."""
    before = program(x)[0].clone()
    memory = dict(program.named_parameters())[name].detach().numpy()
    kept = memory.copy()
    memory[:] = kept * 2 + 1
    after = program(x)[0]
    memory[:] = kept
    return bool(lt.equal(before, after))
