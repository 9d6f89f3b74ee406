"""Whole models, exported by torch several ways, run in a process that cannot import torch."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import encoders
import numpy as np
import pytest

import libtorch_ffi as lt

if TYPE_CHECKING:
    from types import ModuleType

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, while it exports

RUN = """
import sys
sys.modules["torch"] = None  # an import of it fails
import numpy as np
import libtorch_ffi as lt
from libtorch_ffi import aoti, export, jit

name, ways, batches, training = sys.argv[1], sys.argv[2].split(), sys.argv[3].split(), sys.argv[4:] == ["training"]
for way in ways:
    load = {"pt": jit.load, "pt2": export.load, "native.pt2": aoti.load_trusted, "fast.pt2": export.load}[way]
    program = load(f"{name}.{way.removeprefix('fast.')}")
    if way == "fast.pt2":
        program.optimize_for_inference()
    if training:
        program.train()
    for batch in batches:
        with np.load(f"in{batch}.npz") as file:
            inputs = [lt.from_numpy(file[key]) for key in sorted(file)]
        lt.manual_seed(5)
        with lt.no_grad():
            np.save(f"{way}{batch}.npy", program(*inputs).numpy())
"""


def compare(
    torch: ModuleType, model: Any, inputs: dict[int, tuple[Any, ...]], ways: tuple[str, ...], *, training: bool = False
) -> None:
    """Export a model, run it elsewhere on each batch of inputs, and compare with torch's results."""
    example = inputs[2]
    if "pt2" in ways:
        batch = torch.export.Dim("batch", min=1, max=64)
        program = torch.export.export(model, example, dynamic_shapes=tuple({0: batch} for _ in example))
        torch.export.save(program, "model.pt2")
    if "native.pt2" in ways:
        torch._inductor.aoti_compile_and_package(program, package_path=str(Path("model.native.pt2").resolve()))
    torch.jit.save(torch.jit.script(model), "model.pt")
    for size, values in inputs.items():
        np.savez(f"in{size}.npz", **{f"input{i}": value.numpy() for i, value in enumerate(values)})
    command = [
        sys.executable,
        "-c",
        RUN,
        "model",
        " ".join(ways),
        " ".join(map(str, inputs)),
        *(["training"] * training),
    ]
    subprocess.run(command, check=True)
    model.train(training)
    for way in ways:
        for size, values in inputs.items():
            torch.manual_seed(5)
            with torch.no_grad():
                expected = model(*values).numpy()
            np.testing.assert_allclose(np.load(f"{way}{size}.npy"), expected, atol=1e-5, err_msg=f"{way}, {size}")


def test_a_vision_network(torch: ModuleType) -> None:
    inputs = {size: (torch.randn(size, 3, 32, 32),) for size in (1, 2, 8)}
    compare(torch, encoders.vision(torch), inputs, ("pt", "pt2", "fast.pt2"))


def test_a_vision_network_with_branches(torch: ModuleType) -> None:
    inputs = {size: (torch.randn(size, 3, 32, 32),) for size in (1, 2, 8)}
    compare(torch, encoders.branching_vision(torch), inputs, ("pt2", "fast.pt2"))


@pytest.mark.slow
@pytest.mark.compile
def test_a_vision_network_in_native_code(torch: ModuleType) -> None:
    inputs = {size: (torch.randn(size, 3, 32, 32),) for size in (1, 2, 8)}
    compare(torch, encoders.vision(torch), inputs, ("pt2", "native.pt2"))


def test_a_vision_network_in_training_mode(torch: ModuleType) -> None:
    compare(torch, encoders.vision(torch), {2: (torch.randn(2, 3, 32, 32),)}, ("pt",), training=True)


@pytest.mark.slow
@pytest.mark.compile
def test_a_package_in_native_code(torch: ModuleType) -> None:
    from libtorch_ffi import aoti, export
    from libtorch_ffi.errors import ProgramError

    class Named(torch.nn.Module):  # type: ignore[name-defined,misc] # torch is a fixture
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def forward(self, x: Any, more: Any) -> Any:
            return {"y": self.layer(x) + more["z"], "z": (more["z"] * 2,)}

    program = torch.export.export(Named().eval(), (torch.ones(3, 2), {"z": torch.ones(3, 1)}))
    path = Path("model.native.pt2").resolve()
    torch._inductor.aoti_compile_and_package(program, package_path=str(path))
    loaded = aoti.load_trusted(path)
    assert loaded.metadata["AOTI_DEVICE_KEY"] == "cpu"
    assert "layer.weight" in loaded.constant_names
    loaded.update_constants({"layer.weight": lt.zeros(1, 2)})
    before = loaded(lt.ones(3, 2), {"z": lt.ones(3, 1)})
    assert before["y"].tolist() == loaded(lt.zeros(3, 2), {"z": lt.ones(3, 1)})["y"].tolist()
    assert before["z"][0].tolist() == [[2], [2], [2]]
    with pytest.raises(ProgramError, match="has no constant other"):
        loaded.update_constants({"other": lt.ones(1)})
    with pytest.raises(ProgramError, match="takes 2 arguments"):
        loaded(lt.ones(3, 2))
    with pytest.raises(ProgramError, match=r"aoti\.load_trusted"):
        export.load(path)


def fetched_encoder(torch: ModuleType) -> Any:
    """Return the sentence encoder; its weights are fetched once for all tests of this machine."""
    pytest.importorskip("safetensors")
    folder = Path(tempfile.gettempdir()) / "libtorch-ffi-models"
    folder.mkdir(exist_ok=True)
    return encoders.encoder(torch, encoders.fetched_weights(folder))


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.compile
def test_a_sentence_encoder_in_native_code(torch: ModuleType) -> None:
    inputs = {size: encoders.sentences(torch, size) for size in (1, 2, 5, 16)}
    compare(torch, fetched_encoder(torch), inputs, ("pt2", "native.pt2"))


@pytest.mark.network
@pytest.mark.slow
def test_a_sentence_encoder(torch: ModuleType) -> None:
    model = fetched_encoder(torch)
    inputs = {size: encoders.sentences(torch, size) for size in (1, 2, 5, 16)}
    compare(torch, model, inputs, ("pt", "pt2", "fast.pt2"))
    compare(torch, model, inputs, ("pt",), training=True)
