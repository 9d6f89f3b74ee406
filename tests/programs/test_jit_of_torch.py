"""TorchScript that torch compiled: it computes here what it computes there."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import io
from collections import namedtuple
from typing import TYPE_CHECKING

import numpy as np
import pytest

import libtorch_ffi as lt
from libtorch_ffi import jit
from libtorch_ffi.errors import ProgramError

if TYPE_CHECKING:
    from types import ModuleType

    import torch

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of its own TorchScript


Pair = namedtuple("Pair", ["first", "second"])  # noqa: PYI024 - torch's compiler would look the annotations up


def loaded(torch: ModuleType, scripted: torch.jit.ScriptModule) -> jit.ScriptModule:
    """Return a module of torch, moved through an archive."""
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer)
    return jit.load(buffer.getvalue())


def ours(tensor: torch.Tensor) -> lt.Tensor:
    """Return a tensor of torch's values."""
    made: lt.Tensor = lt.from_numpy(tensor.detach().numpy().copy())
    return made


def test_a_convolutional_network_in_both_modes(torch: ModuleType) -> None:
    nn = torch.nn
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.LazyLinear(5)
    )
    network(torch.ones(1, 3, 8, 8))
    script = loaded(torch, torch.jit.script(network.eval()))
    for batch in (1, 2, 7):
        x = torch.randn(batch, 3, 8, 8)
        np.testing.assert_allclose(script(ours(x)).detach().numpy(), network(x).detach().numpy(), atol=1e-5)
    network.train()
    script.train()
    x = torch.randn(4, 3, 8, 8)
    torch.manual_seed(7)
    expected = network(x)
    lt.manual_seed(7)
    np.testing.assert_allclose(script(ours(x)).detach().numpy(), expected.detach().numpy(), atol=1e-5)
    means = script.state_dict()["1.running_mean"].numpy()
    np.testing.assert_allclose(means, network.state_dict()["1.running_mean"].numpy(), atol=1e-6)


def test_values_of_every_kind(torch: ModuleType) -> None:

    class Every(torch.nn.Module):  # type: ignore[name-defined,misc] # torch is a fixture
        def forward(self, x):  # noqa: ANN001, ANN202 - likewise
            return Pair(x + 1, x), {1: [x]}, ("s", None, 2.5, True)

    script = loaded(torch, torch.jit.script(Every()))
    pair, table, rest = script(lt.zeros(2))
    assert type(pair).__name__ == "Pair"
    assert (pair.first.tolist(), pair.second.tolist()) == ([1, 1], [0, 0])
    assert table[1][0].tolist() == [0, 0]
    assert rest == ("s", None, 2.5, True)


def test_saved_here_and_loaded_by_torch(torch: ModuleType) -> None:
    made = jit.ScriptModule("Scale")
    made.register_parameter("by", lt.tensor([2.0, 3.0]))
    made.define("def forward(self, x): return x * self.by")
    assert torch.jit.load(io.BytesIO(made.save_to_buffer()))(torch.ones(2)).tolist() == [2, 3]


def test_mobile_files_are_refused(torch: ModuleType) -> None:
    script = torch.jit.script(torch.nn.Linear(2, 2))
    for flatbuffer in (False, True):
        content = script._save_to_buffer_for_lite_interpreter(_use_flatbuffer=flatbuffer)
        with pytest.raises(ProgramError, match="mobile interpreter"):
            jit.load(content)
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(2)}, buffer)
    with pytest.raises(ProgramError, match="holds tensors and no program"):
        jit.load(buffer.getvalue())
