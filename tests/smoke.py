"""A little of every part of the package, for a libtorch or a Python that the tests are not run on.

    python tests/smoke.py

Needs the installed package alone: neither pytest nor NumPy. `benchmarks/matrix.py` runs it against one release after
the other. What a release lacks has to be an error that names the release to build against. Prints one line, and ends
with a traceback where something is wrong. Not a test for pytest to collect.
"""

from __future__ import annotations

import io
import pickle
import sys
import warnings
from typing import TYPE_CHECKING

from exported import archive, program, weights

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Callable

    from libtorch_ffi import Tensor


def raised(kind: type[Exception], function: Callable[[], object]) -> str:
    """Return what an expected exception says."""
    try:
        function()
    except kind as error:
        return str(error)
    raise AssertionError(f"{kind.__name__} was expected, and nothing was raised")


def done_or_told(function: Callable[[], object]) -> bool:
    """Do what an old release may lack; tell whether it was done. What it lacks says what to build against."""
    try:
        function()
    except NotImplementedError as error:
        if "LIBTORCH_VERSION" not in str(error):
            raise
        return False
    return True


def operators() -> None:
    x = lt.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert lt.ops.aten.add.Tensor(x, x, alpha=2).tolist() == [[3.0, 6.0], [9.0, 12.0]]
    assert lt.add(x, 1).sum(dim=0).tolist() == [6.0, 8.0]
    assert x[:, 1].tolist() == [2.0, 4.0]
    assert repr(lt.zeros([2])) == "tensor([0., 0.])"
    assert "size mismatch" in raised(RuntimeError, lambda: x @ lt.zeros([3]))
    assert len(lt.operators()) > 2000, len(lt.operators())


def numbers() -> None:
    assert lt.tensor([1, 2]).dtype == lt.int64
    assert lt.tensor(1 + 2j).item() == 1 + 2j
    assert lt.tensor([True]).to(lt.uint8).tolist() == [1]
    assert "does not fit in an int64" in raised(ValueError, lambda: lt.tensor([2**63]))
    if hasattr(lt, "uint64"):
        assert lt.tensor([2**64 - 1], dtype=lt.uint64).tolist() == [2**64 - 1]


def gradients() -> None:
    x = lt.tensor([2.0, 3.0], requires_grad=True)
    (first,) = lt.autograd.grad((x**3).sum(), x, create_graph=True)
    first.sum().backward()
    assert x.grad.tolist() == [12.0, 18.0]

    class Twice(lt.autograd.Function):
        @staticmethod
        def forward(ctx: lt.autograd.FunctionCtx, value: Tensor) -> Tensor:
            ctx.save_for_backward(value)
            return value * 2

        @staticmethod
        def backward(ctx: lt.autograd.FunctionCtx, gradient: Tensor) -> Tensor:
            assert ctx.saved_tensors[0].tolist() == [1.0]
            return gradient * 2

    y = lt.ones(1).requires_grad_()
    seen: list[list[float]] = []
    y.register_hook(lambda gradient: seen.append(gradient.tolist()))
    Twice.apply(y).sum().backward()
    assert seen == [[2.0]]
    if done_or_told(lambda: y.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.tolist()))):
        (y * 3).sum().backward()
        assert seen[-1] == [5.0]


def context() -> None:
    with lt.autocast("cpu"):
        assert (lt.ones(2, 2) @ lt.ones(2, 2)).dtype == lt.bfloat16
    assert not lt.is_autocast_enabled("cpu")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        lt.zeros([1, 2, 3]).T  # noqa: B018 - it warns
    assert len(told) == 1, told
    lt.manual_seed(0)
    first = lt.randn([3]).tolist()
    lt.manual_seed(0)
    assert lt.randn([3]).tolist() == first
    generator = lt.Generator().manual_seed(1)
    state = generator.get_state()
    assert lt.rand([2], generator=generator).tolist() == lt.rand([2], generator=generator.set_state(state)).tolist()
    assert lt.get_num_threads() >= 1


def memory() -> None:
    x = lt.arange(4)
    shared = lt.from_dlpack(x)
    shared[0] = 9
    assert memoryview(x).tolist() == [9, 1, 2, 3]
    assert x.untyped_storage().data_ptr() == x.data_ptr()
    assert lt.asarray(bytearray(b"ab"), dtype=lt.uint8).tolist() == [97, 98]


def files() -> None:
    x = lt.arange(3)
    assert pickle.loads(pickle.dumps(x)).tolist() == [0, 1, 2]
    file = io.BytesIO()
    lt.save({"x": x, "half": x[1:]}, file)
    file.seek(0)
    assert lt.load(file)["half"].tolist() == [1, 2]


def programs() -> None:
    module = lt.jit.ScriptModule()
    module.define("def forward(self, x):\n    if x.sum() > 0:\n        return x + 1\n    return x")
    again = lt.jit.load(io.BytesIO(module.save_to_buffer()))
    assert again(lt.ones(1)).tolist() == [2.0]
    traced = lt.jit.trace(lambda x: x * 2, lt.ones(1))
    assert traced(lt.ones(2)).tolist() == [2.0, 2.0]
    run = lt.export.load(io.BytesIO(archive(program(), weights())))
    assert run(lt.ones(3, 2))["y"].tolist() == [[4.0, 6.0]] * 3


def training() -> None:
    x = lt.linspace(0, 1, 8)
    slope = lt.zeros([]).requires_grad_()
    optimizer = lt.optim.Adam([slope], lr=0.1)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = lt.nn.functional.mse_loss(slope * x, 2 * x)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10, losses
    model = lt.nn.Sequential(lt.nn.Linear(2, 3), lt.nn.ReLU())
    assert model(lt.ones(4, 2)).shape == (4, 3)
    assert list(model.state_dict()) == ["0.weight", "0.bias"]


def own_operators() -> None:
    lt.library.define("smoke::twice", "(Tensor x) -> Tensor")
    lt.library.impl("smoke::twice", "cpu", lambda x: x + x)
    assert lt.ops.smoke.twice(lt.ones(1)).tolist() == [2.0]


def processes() -> None:
    if lt.distributed.is_available():
        store = lt.distributed.TCPStore("127.0.0.1", 0, 1, is_master=True)
        store.set("key", b"value")
        assert store.get("key") == b"value"


def main() -> None:
    for part in (operators, numbers, gradients, context, memory, files, programs, training, own_operators, processes):
        part()
    assert "torch" not in sys.modules
    sys.stdout.write(f"{len(lt.operators()):,} overloads\n")


if __name__ == "__main__":
    main()
