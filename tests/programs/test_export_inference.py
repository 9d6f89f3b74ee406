"""Programs that `optimize_for_inference` has rewritten: the same results, on weights that are laid out once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import exported
import pytest
from exported import meta, node, tensor

import libtorch_ffi as lt
from libtorch_ffi import export

if TYPE_CHECKING:
    from collections.abc import Callable

INPUTS, OUTPUTS = 512, 256


def linear(dtype: lt.dtype = lt.float32, bias: str | None = None) -> export.ExportedProgram:
    """Return a program of one linear layer: ``{"y": relu(x @ w.T) + b}`` for x of any number of rows.

    The count of its runs, ``b``, may be the layer's bias, too.
    """
    given = {"input": tensor("x"), "weight": tensor("w"), **({"bias": tensor(bias)} if bias else {})}
    return program_of([node("aten.linear.default", given, "product")], dtype)


def decomposed(turn: str = "permute", options: dict[str, int] | None = None) -> export.ExportedProgram:
    """Return what ``run_decompositions()`` makes of `linear` with the bias ``b``."""
    dims = {"dims": {"as_ints": [1, 0]}} if turn == "permute" else {}
    given = {"self": tensor("b"), "mat1": tensor("x"), "mat2": tensor("turned")}
    given |= {name: {"as_int": value} for name, value in (options or {}).items()}
    nodes = [node(f"aten.{turn}.default", {"self": tensor("w"), **dims}, "turned")]
    return program_of([*nodes, node("aten.addmm.default", given, "product")])


def program_of(layer: list[exported.Document], dtype: lt.dtype = lt.float32) -> export.ExportedProgram:
    """Return the program with these nodes for its layer, which make ``product``."""
    document = exported.program()
    graph = document["graph_module"]["graph"]
    graph["nodes"][:1] = layer
    graph["tensor_values"]["x"] = meta("s0", INPUTS)
    document["range_constraints"] = {}
    lt.manual_seed(0)
    weight = lt.randn(OUTPUTS, INPUTS, dtype=dtype)
    number = {lt.float32: 7, lt.float64: 8}[dtype]
    tensors = {
        "layer.weight": (weight.numpy().tobytes(), meta(OUTPUTS, INPUTS, dtype=number)),
        "count": (bytes(4 * OUTPUTS), meta(OUTPUTS)),
    }
    return export.load(exported.archive(document, tensors))


def weight_of(program: export.ExportedProgram) -> lt.Tensor:
    """Return the weight of `linear`."""
    weight: lt.Tensor
    [(_, weight)] = program.named_parameters()
    return weight


def expected(program: export.ExportedProgram, x: lt.Tensor) -> lt.Tensor:
    """Return what `linear` makes of an input, by the operators themselves; the count is not among it."""
    result: lt.Tensor = lt.relu(lt.linear(x, weight_of(program).detach()))
    return result


def counted(program: export.ExportedProgram, x: lt.Tensor) -> lt.Tensor:
    """Return what the program makes of an input where it counts from 0."""
    program.state_dict()["count"].zero_()
    result: lt.Tensor = program(x)["y"]
    return result


def copies_weights(program: export.ExportedProgram) -> bool:
    """Whether the program runs on a copy of its weight: what NumPy writes to the weight then goes unnoticed."""
    x = lt.ones(2, INPUTS)
    before = counted(program, x)
    memory = weight_of(program).detach().numpy()
    kept = memory.copy()
    memory[:] = 0
    after = counted(program, x)
    memory[:] = kept
    return bool(lt.allclose(before, after, atol=1e-4))


def test_it_returns_the_program_and_works_on_a_copy_of_the_weights() -> None:
    program = linear()
    assert not copies_weights(program)
    assert program.optimize_for_inference() is program
    assert copies_weights(program)


@pytest.mark.parametrize("rows", [0, 1, 2, 17, 300])
def test_any_number_of_rows(rows: int) -> None:
    program = linear().optimize_for_inference()
    x = lt.randn(rows, INPUTS)
    for _ in range(2):
        assert lt.allclose(counted(program, x), expected(program, x), atol=1e-4)


def test_inputs_that_are_not_contiguous() -> None:
    program = linear().optimize_for_inference()
    x = lt.randn(INPUTS, 6).t()[::2]
    assert lt.allclose(counted(program, x), expected(program, x), atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        lambda program: program.load_state_dict({"layer.weight": lt.ones(OUTPUTS, INPUTS)}),
        lambda program: weight_of(program).detach().mul_(2),
    ],
)
def test_a_weight_that_changes_is_noticed(change: Callable[[export.ExportedProgram], Any]) -> None:
    program = linear().optimize_for_inference()
    x = lt.randn(4, INPUTS)
    change(program)
    assert not copies_weights(program)
    assert lt.allclose(counted(program, x), expected(program, x), atol=1e-4)
    program.optimize_for_inference()
    assert copies_weights(program)
    assert lt.allclose(counted(program, x), expected(program, x), atol=1e-4)


def test_gradients_go_the_plain_way() -> None:
    program = linear().optimize_for_inference().requires_grad_()
    x = lt.randn(4, INPUTS)
    program(x)["y"].sum().backward()
    weight = weight_of(program)
    other = weight.detach().clone().requires_grad_()
    lt.relu(lt.linear(x, other)).sum().backward()
    assert weight.grad is not None
    assert other.grad is not None
    assert lt.equal(weight.grad, other.grad)
    with lt.no_grad():
        assert copies_weights(program)


def test_autocast_goes_the_plain_way() -> None:
    program, plain = linear().optimize_for_inference(), linear()
    x = lt.randn(4, INPUTS)
    with lt.autocast("cpu", dtype=lt.bfloat16):
        assert lt.equal(program(x)["y"], plain(x)["y"])


def test_a_bias() -> None:
    program, plain = linear(bias="b").optimize_for_inference(), linear(bias="b")
    x = lt.randn(4, INPUTS)
    for _ in range(3):
        assert lt.allclose(program(x)["y"], plain(x)["y"], atol=1e-4)


@pytest.mark.parametrize("way", ["none", "tanh"])
def test_an_activation_that_is_done_with_the_product(way: str) -> None:
    layer = node("aten.linear.default", {"input": tensor("x"), "weight": tensor("w")}, "sum")
    nodes = [layer, node("aten.gelu.default", {"self": tensor("sum"), "approximate": {"as_string": way}}, "product")]
    program, plain = program_of(nodes).optimize_for_inference(), program_of(nodes)
    assert copies_weights(program)
    x = lt.randn(3, INPUTS)
    x[0, 0], x[1, 0] = float("nan"), float("-inf")
    assert lt.allclose(counted(program, x), counted(plain, x), atol=1e-4, equal_nan=True)
    weight_of(program).detach().mul_(2)
    weight_of(plain).detach().mul_(2)
    assert not copies_weights(program)
    assert lt.allclose(counted(program, x), counted(plain, x), atol=1e-4, equal_nan=True)


def test_an_activation_beside_which_the_product_is_read_stays() -> None:
    nodes = [
        node("aten.linear.default", {"input": tensor("x"), "weight": tensor("w")}, "sum"),
        node("aten.gelu.default", {"self": tensor("sum")}, "positive"),
        node("aten.mul.Tensor", {"self": tensor("positive"), "other": tensor("sum")}, "product"),
    ]
    program, plain = program_of(nodes).optimize_for_inference(), program_of(nodes)
    x = lt.randn(3, INPUTS)
    assert lt.allclose(counted(program, x), counted(plain, x), rtol=1e-4, atol=1e-3)
    assert copies_weights(program)


@pytest.mark.parametrize("turn", ["permute", "t"])
def test_a_layer_that_was_decomposed(turn: str) -> None:
    program, plain = decomposed(turn).optimize_for_inference(), decomposed(turn)
    assert copies_weights(program)
    for rows in (1, 5):
        x = lt.randn(rows, INPUTS)
        assert lt.allclose(counted(program, x), counted(plain, x), atol=1e-4)
        assert lt.allclose(program(x)["y"], plain(x)["y"], atol=1e-4)  # with another bias
    weight_of(program).detach().mul_(2)
    assert not copies_weights(program)


@pytest.mark.parametrize("options", [{"beta": 2}, {"alpha": 2}])
def test_a_product_that_is_no_layer_stays(options: dict[str, int]) -> None:
    program = decomposed(options=options).optimize_for_inference()
    assert not copies_weights(program)
    count = program.state_dict()["count"].clone()
    x = lt.randn(3, INPUTS)
    product = lt.addmm(count, x, weight_of(program).detach().t(), **options)
    assert lt.allclose(program(x)["y"], lt.relu(product) + count, atol=1e-4)


def test_a_bias_that_does_not_fit_fails_as_before() -> None:
    messages = []
    for program in (linear(bias="x"), linear(bias="x").optimize_for_inference()):
        with pytest.raises(RuntimeError) as caught:
            program(lt.randn(3, INPUTS))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_tangents_go_the_plain_way() -> None:
    program = linear().optimize_for_inference()
    x, tangent = lt.randn(4, INPUTS), lt.randn(4, INPUTS)
    with lt.autograd.forward_ad.dual_level():
        result = program(lt.autograd.forward_ad.make_dual(x, tangent))["y"]
        found = lt.autograd.forward_ad.unpack_dual(result).tangent
        assert found is not None
        positive = lt.linear(x, weight_of(program).detach()) > 0
        assert lt.allclose(found, lt.linear(tangent, weight_of(program).detach()) * positive, atol=1e-4)


def test_other_dtypes_stay_as_they_are() -> None:
    program = linear(lt.float64).optimize_for_inference()
    x = lt.randn(3, INPUTS, dtype=lt.float64)
    assert lt.equal(counted(program, x), expected(program, x))


def test_an_input_of_another_dtype_fails_as_before() -> None:
    x = lt.randn(3, INPUTS, dtype=lt.float64)
    messages = []
    for program in (linear(), linear().optimize_for_inference()):
        with pytest.raises(RuntimeError) as caught:
            program(x)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_program_without_linear_layers() -> None:
    program = export.load(exported.archive(exported.program(), exported.weights())).optimize_for_inference()
    assert program(lt.ones(3, 2))["y"].tolist() == [[4, 6]] * 3
