"""Archives of exported programs, made by hand: what torch.export.save would write of small graphs.

Owns the documents (`program`) and the layouts (`archive`, `old_archive`). The tests of hostile files change them.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

Document = dict[str, Any]

LEAF: Document = {"type": None, "context": None, "children_spec": []}


def tree(kind: str, children: list[Document], context: object = None) -> Document:
    """Return one node of a tree specification."""
    return {"type": kind, "context": json.dumps(context), "children_spec": children}


def spec(root: Document) -> str:
    """Return a tree specification as a program has it."""
    return json.dumps([1, root])


def tensor(name: str) -> Document:
    """Return an argument that is a tensor."""
    return {"as_tensor": {"name": name}}


def node(target: str, inputs: Document, *outputs: str) -> Document:
    """Return a node: its arguments by name, and the tensors that it makes."""
    return {
        "target": f"torch.ops.{target}",
        "inputs": [{"name": name, "arg": argument, "kind": 1} for name, argument in inputs.items()],
        "outputs": [tensor(name) for name in outputs],
        "metadata": {},
    }


def meta(*sizes: int | str, dtype: int = 7) -> Document:
    """Return what a document says of a contiguous tensor; a size that is a text is a symbol."""
    described = [{"as_int": s} if isinstance(s, int) else {"as_expr": {"expr_str": s}} for s in sizes]
    strides = [1]
    for size in reversed(sizes[1:]):
        strides.insert(0, strides[0] * (size if isinstance(size, int) else 1))
    return {
        "dtype": dtype,
        "sizes": described,
        "strides": [{"as_int": stride} for stride in strides[: len(sizes)]],
        "storage_offset": {"as_int": 0},
        "device": {"type": "cpu", "index": None},
        "layout": 7,
        "requires_grad": False,
    }


def program() -> Document:
    """Return a program of one argument ``x`` of shape (n, 2): ``{"y": relu(x @ w) + b}``; ``b`` counts the runs."""
    graph = {
        "inputs": [tensor("w"), tensor("b"), tensor("x")],
        "outputs": [tensor("counted"), tensor("y")],
        "nodes": [
            node("aten.matmul.default", {"self": tensor("x"), "other": tensor("w")}, "product"),
            node("aten.relu.default", {"self": tensor("product")}, "positive"),
            node("aten.add.Tensor", {"self": tensor("positive"), "other": tensor("b")}, "y"),
            node("aten.add.Tensor", {"self": tensor("b"), "other": {"as_int": 1}}, "counted"),
        ],
        "tensor_values": {"w": meta(2, 2), "b": meta(2), "x": meta("s0", 2)},
        "sym_int_values": {},
        "sym_bool_values": {},
    }
    inputs = [
        {"parameter": {"arg": {"name": "w"}, "parameter_name": "layer.weight"}},
        {"buffer": {"arg": {"name": "b"}, "buffer_name": "count", "persistent": True}},
        {"user_input": {"arg": tensor("x")}},
    ]
    outputs = [
        {"buffer_mutation": {"arg": {"name": "counted"}, "buffer_name": "count"}},
        {"user_output": {"arg": tensor("y")}},
    ]
    arguments = tree("builtins.tuple", [tree("builtins.tuple", [LEAF]), tree("builtins.dict", [], [])])
    signature = {"in_spec": spec(arguments), "out_spec": spec(tree("builtins.dict", [LEAF], ["y"]))}
    return {
        "graph_module": {
            "graph": graph,
            "signature": {"input_specs": inputs, "output_specs": outputs},
            "module_call_graph": [{"fqn": "", "signature": {**signature, "forward_arg_names": ["x"]}}],
        },
        "range_constraints": {"s0": {"min_val": 3, "max_val": 10}},
        "schema_version": {"major": 8, "minor": 20},
        "torch_version": "2.13.0",
        "opset_version": {"aten": 10},
    }


def weights() -> dict[str, tuple[bytes, Document]]:
    """Return the bytes and the description of each tensor of `program`."""
    import struct

    return {
        "layer.weight": (struct.pack("<4f", 1, 2, 3, 4), meta(2, 2)),
        "count": (struct.pack("<2f", 0, 0), meta(2)),
    }


def archive(document: Document, tensors: dict[str, tuple[bytes, Document]], compression: int = 0) -> bytes:
    """Return a PT2 archive with raw weights."""
    config = {
        name: {"path_name": f"weight_{i}", "is_param": True, "use_pickle": False, "tensor_meta": described}
        for i, (name, (_, described)) in enumerate(tensors.items())
    }
    members = {
        "archive_format": b"pt2",
        "archive_version": b"0",
        "models/model.json": json.dumps(document).encode(),
        "data/weights/model_weights_config.json": json.dumps({"config": config}).encode(),
        "data/constants/model_constants_config.json": b'{"config": {}}',
        **{f"data/weights/weight_{i}": content for i, (content, _) in enumerate(tensors.values())},
    }
    return zipped({f"model/{name}": content for name, content in members.items()}, compression)


def zipped(members: dict[str, bytes], compression: int = 0) -> bytes:
    """Return a zip file of members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()
