"""Networks as objects: torch's names, first numbers and results; state dicts both ways; what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import libtorch_ffi as lt
from libtorch_ffi import nn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType


def network(module: Any) -> Any:
    """A network of every kind of layer, for images of shape (batch, 2, 8, 8)."""
    layers = module.nn

    class Net(layers.Module):  # type: ignore[name-defined,misc] # it is of either side
        def __init__(self) -> None:
            super().__init__()
            self.words = layers.Embedding(7, 8, padding_idx=2)
            self.body = layers.Sequential(
                layers.Conv2d(2, 4, 3, stride=2, padding=1, groups=2),
                layers.BatchNorm2d(4),
                layers.ReLU(),
                layers.Conv2d(4, 6, (1, 3), bias=False, padding="same"),
                layers.BatchNorm2d(6, momentum=None, affine=False),
                layers.BatchNorm2d(6, track_running_stats=False),
                layers.GELU(),
            )
            self.heads = layers.ModuleList([layers.Linear(96, 8), layers.Linear(8, 3, bias=False)])
            self.norm = layers.LayerNorm((3, 8), eps=1e-3)
            self.plain = layers.LayerNorm(3, elementwise_affine=False)
            self.drop = layers.Dropout(0.3)
            self.register_buffer("scale", module.ones(1), persistent=False)
            self.register_parameter("absent", None)

        def forward(self, images: Any, words: Any) -> Any:
            x = self.heads[0](self.body(images).flatten(1))
            x = self.norm(self.words(words) + x[:, None])
            return self.plain(self.heads[1](self.drop(x))) * self.scale

    module.manual_seed(3)
    return Net()


def inputs(module: Any, seed: int = 0) -> tuple[Any, Any]:
    """Images and words, the same on either side."""
    chance = np.random.default_rng(seed)
    images = chance.standard_normal((5, 2, 8, 8)).astype("float32")
    return module.from_numpy(images), module.from_numpy(chance.integers(0, 7, (5, 3)))


def state_of(net: Any) -> dict[str, np.ndarray[Any, Any]]:
    return {name: value.numpy().copy() for name, value in net.state_dict().items()}


def test_names_and_first_numbers_are_torchs(torch: ModuleType) -> None:
    ours, theirs = network(lt), network(torch)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in state_of(theirs).items():
        np.testing.assert_array_equal(state_of(ours)[name], value, err_msg=name)
    for kind in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [name for name, _ in getattr(ours, kind)()] == [name for name, _ in getattr(theirs, kind)()], kind


def test_training_is_torchs(torch: ModuleType) -> None:
    seen = []
    for module in (lt, torch):
        net = network(module)
        optimizer = module.optim.SGD(net.parameters(), lr=0.05)  # Adam would scale up rounding
        losses = []
        for step in range(4):
            net.zero_grad()
            result = net(*inputs(module, step))
            loss = (result * module.arange(3.0)).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with module.no_grad():
            seen.append((losses, net.eval()(*inputs(module)).numpy(), state_of(net)))
    assert seen[0][0] == pytest.approx(seen[1][0], rel=1e-5)
    np.testing.assert_allclose(seen[0][1], seen[1][1], atol=1e-4)
    for name, value in seen[1][2].items():
        np.testing.assert_allclose(seen[0][2][name], value, atol=1e-4, err_msg=name)


def test_state_dicts_travel_in_files_both_ways(torch: ModuleType, tmp_path: Path) -> None:
    ours, theirs = network(lt), network(torch)
    theirs(*inputs(torch))  # its running means move
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    found = ours.load_state_dict(lt.load(tmp_path / "theirs.pt"))
    assert found == ([], [])
    lt.save(ours.state_dict(), tmp_path / "ours.pt")
    fresh = network(torch)
    fresh.load_state_dict(torch.load(tmp_path / "ours.pt", weights_only=True))
    for name, value in state_of(theirs).items():
        np.testing.assert_array_equal(state_of(fresh)[name], value, err_msg=name)


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm2d(3))
    before = state_of(net)
    state = {name: value + 1 for name, value in net.state_dict().items()}
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: 0\.weight; Unexpected key.*: w"):
        net.load_state_dict({**{name: value for name, value in state.items() if name != "0.weight"}, "w": lt.ones(1)})
    with pytest.raises(RuntimeError, match=r"size mismatch for 0\.bias: the state has \(2,\), the module \(3,\)"):
        net.load_state_dict({**state, "0.bias": lt.ones(2)}, strict=False)
    for name, value in before.items():
        np.testing.assert_array_equal(state_of(net)[name], value)
    assert net.load_state_dict({"0.bias": lt.full((3,), 5.0), "other": lt.ones(1)}, strict=False).unexpected_keys == [
        "other"
    ]
    assert net[0].bias.tolist() == [5, 5, 5]


def test_what_is_assigned_is_held_by_its_kind() -> None:
    net = nn.Module()
    net.weight = nn.Parameter(lt.ones(2))
    net.frozen = nn.Parameter(lt.ones(2), requires_grad=False)
    net.inner = nn.Linear(1, 1)
    net.plain = lt.ones(2)
    net.register_buffer("mean", lt.zeros(2))
    net.mean = lt.ones(2)
    assert [name for name, _ in net.named_parameters()] == ["weight", "frozen", "inner.weight", "inner.bias"]
    assert [(name, value.tolist()) for name, value in net.named_buffers()] == [("mean", [1, 1])]
    assert [p.requires_grad for p in net.parameters()] == [True, False, True, True]
    net.weight = None
    assert net.weight is None
    del net.inner
    assert [name for name, _ in net.named_parameters()] == ["frozen"]
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'inner'"):
        _ = net.inner
    net.plain = nn.Parameter(lt.ones(1))
    assert "plain" in net.state_dict()
    assert "plain" not in vars(net)


def test_a_parameter_that_two_modules_share_is_one() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    net[0].again = net
    assert len(list(net.modules())) == 3


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: nn.Module()(1), NotImplementedError, "has no forward"),
        (lambda: nn.Module().register_buffer("a.b", lt.ones(1)), KeyError, "without a dot"),
        (lambda: nn.Module().register_buffer("train", lt.ones(1)), KeyError, "'train' of Module exists already"),
        (lambda: nn.Module().register_parameter("w", lt.ones(1)), TypeError, "'w' takes a Parameter or None"),
        (lambda: setattr(nn.Linear(1, 1), "weight", lt.ones(1)), TypeError, "cannot be a Tensor"),
        (lambda: nn.Linear(1, 1).to(lt.int32), TypeError, r"not (\w+\.)?int32"),
        (lambda: nn.Dropout(1.5), ValueError, "between 0 and 1"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, "not 3"),
        (lambda: nn.Conv2d(3, 4, 1, groups=2), ValueError, "groups has to divide"),
        (lambda: nn.BatchNorm2d(3)(lt.ones(3)), ValueError, "expected 4D input"),
        (lambda: setattr(nn.Linear(1, 1), "weight", lt.ones(1)), TypeError, r"nn.Parameter\(tensor\) is a parameter"),
        (lambda: nn.Linear(1, 1).load_state_dict([1]), TypeError, "not list"),  # type: ignore[arg-type]
        (lambda: nn.Linear(1, 1).load_state_dict(nn.ReLU()), TypeError, "not ReLU"),  # type: ignore[arg-type]
        (lambda: nn.Linear(1, 1).load_state_dict({"bias": np.ones(1)}), TypeError, "'bias' is ndarray"),  # type: ignore[dict-item]
        (lambda: nn.Sequential(nn.ReLU()).get_parameter("1.weight"), AttributeError, r"no module '1': there is no '1'"),
        (lambda: nn.Linear(1, 1).get_buffer("weight"), AttributeError, "no 'weight' among its buffers"),
        (lambda: nn.Sequential([nn.ReLU()]), TypeError, r"unpack it, Sequential\(\*layers\)"),  # type: ignore[arg-type]
        (lambda: nn.Sequential(3), TypeError, "Sequential holds modules, not int"),  # type: ignore[arg-type]
        (lambda: nn.Sequential()[0], IndexError, "out of range"),
    ],
)
def test_bad_input_is_refused(wrong: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()


def test_a_module_begins_with_super() -> None:
    class Forgets(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"has to call super\(\)\.__init__\(\)"):
        Forgets()


def test_it_moves_to_a_dtype() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm2d(2))
    optimizer = lt.optim.SGD(net.parameters(), lr=1.0)
    net[0](lt.ones(1, 2)).sum().backward()
    assert net.to(lt.float64) is net
    assert {value.dtype for value in net.state_dict().values()} == {lt.float64, lt.int64}
    before = net[0].bias.tolist()
    optimizer.step()  # its parameters are the module's still, and their gradients went along
    assert net[0].bias.tolist() == [value - 1 for value in before]
    assert net.to("cpu", lt.float16)[0].weight.dtype == lt.float16


def test_modes_and_gradients() -> None:
    net = nn.Sequential(nn.Dropout(1.0), nn.Linear(2, 2))
    assert net.train() is net
    assert net[0](lt.ones(2)).tolist() == [0, 0]
    assert not any(module.training for module in net.eval().modules())
    assert net[0](lt.ones(2)).tolist() == [1, 1]
    net(lt.ones(2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net[1].weight.grad.tolist() == [[0, 0], [0, 0]]
    net.zero_grad()
    assert net[1].weight.grad is None
    assert not net.requires_grad_(requires_grad=False)(lt.ones(2)).requires_grad


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_of_their_own(duplicate: Callable[[Any], Any]) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm2d(2))
    other = duplicate(net)
    assert isinstance(other[0].weight, nn.Parameter)
    assert lt.equal(other[0].weight, net[0].weight)
    with lt.no_grad():
        other[0].weight.zero_()
    assert net[0].weight.abs().sum().item() > 0
    assert list(other.state_dict()) == list(net.state_dict())


def test_it_shows_its_layers() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))
    assert repr(net) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Sequential(\n    (0): ReLU()\n  )\n)"
    )

    class Named(nn.Module):
        def extra_repr(self) -> str:
            return "k=3"

    named = Named()
    assert repr(named) == "Named(k=3)"
    named.inner = nn.Tanh()
    assert repr(named) == "Named(\n  k=3\n  (inner): Tanh()\n)"
    assert repr(nn.Parameter(lt.ones(1))) == "Parameter containing:\ntensor([1.], requires_grad=True)"


def test_hooks_before_and_after() -> None:
    net = nn.Linear(2, 2, bias=False)
    x = lt.ones(1, 2)
    plain = net(x)
    before = net.register_forward_pre_hook(lambda _, args: args[0] * 2)
    after = net.register_forward_hook(lambda module, args, result: (module is net, args[0].tolist(), result))
    own, seen, result = net(x)
    assert own
    assert seen == [[2, 2]]
    assert lt.equal(result, plain * 2)
    before.remove()
    with after:
        assert lt.equal(net(x)[2], plain)
    before.remove()
    assert lt.equal(net(x), plain)
    silent = net.register_forward_hook(lambda *_: None)
    assert lt.equal(net(x), plain)
    assert silent is not after


def test_parts_by_their_names() -> None:
    net: Any = nn.Sequential(nn.Linear(1, 2), nn.Sequential(nn.BatchNorm1d(2)))
    assert net.get_submodule("") is net
    assert net.get_submodule("1.0") is net[1][0]
    assert net.get_parameter("1.0.weight") is net[1][0].weight
    assert net.get_buffer("1.0.running_mean") is net[1][0].running_mean
    assert {"weight", "bias", "forward"} <= set(dir(net[0]))
    seen: list[nn.Module] = []
    assert net.apply(seen.append) is net
    assert seen == [net[0], net[1][0], net[1], net]


def test_rows_change() -> None:
    row = nn.ModuleList([nn.ReLU()]).extend([nn.Tanh(), nn.GELU()])
    row.insert(1, nn.Sigmoid())
    row[0] = nn.SiLU()
    del row[2]
    assert [type(module).__name__ for module in row] == ["SiLU", "Sigmoid", "GELU"]
    assert list(row.state_dict()) == []
    assert [name for name, _ in row.named_children()] == ["0", "1", "2"]
    part = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.GELU())[1:]
    assert isinstance(part, nn.Sequential)
    assert lt.equal(part(lt.ones(2)), nn.GELU()(lt.ones(2).tanh()))
    assert [type(module).__name__ for module in part + nn.ModuleList([nn.Sigmoid()])] == ["Tanh", "GELU", "Sigmoid"]
    named = nn.Sequential({"first": nn.Linear(1, 1), "second": nn.ReLU()})
    assert list(named.state_dict()) == ["first.weight", "first.bias"]
    assert named.second is named[1]


def test_modules_and_parameters_by_name_and_in_a_list() -> None:
    held = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.ReLU()})
    held["c"] = nn.Tanh()
    assert list(held) == list(held.keys()) == ["a", "b", "c"]
    assert [name for name, _ in held.items()] == ["a", "b", "c"]
    assert held.pop("b") not in held.values()
    del held["c"]
    assert "c" not in held
    assert len(held) == 1
    assert list(held.state_dict()) == ["a.weight", "a.bias"]
    weights = nn.ParameterList([nn.Parameter(lt.ones(2)), lt.zeros(3)])
    assert [tuple(p.shape) for p in weights.parameters()] == [(2,), (3,)]
    assert weights[1].requires_grad
    assert repr(weights) == "ParameterList(\n  (0): Parameter of size (2,)\n  (1): Parameter of size (3,)\n)"


def test_it_moves_by_short_names_and_after_a_tensor() -> None:
    net = nn.Linear(1, 1)
    for move, dtype in ((net.double, lt.float64), (net.half, lt.float16), (net.bfloat16, lt.bfloat16)):
        assert move() is net
        assert net.weight.dtype == dtype
    assert net.float().cpu().weight.dtype == lt.float32
    assert net.to(lt.ones(1, dtype=lt.float64)).weight.dtype == lt.float64
    assert net.to("cpu", non_blocking=True) is net
