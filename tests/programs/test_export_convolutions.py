"""Convolutions of programs that `optimize_for_inference` has rewritten: the same results and strides as before."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from convolutions import (
    CHANNELS,
    STATISTICS,
    WIDE,
    assert_same,
    both,
    call,
    chain,
    conv,
    is_near,
    norm,
    program_of,
    relu,
    state,
    tail,
    uses_copy,
)

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Callable

    import exported

    from libtorch_ffi import export


@pytest.mark.parametrize(
    ("options", "groups", "kernel"),
    [
        ({}, 1, (3, 3)),
        ({"padding": [1, 1]}, 1, (3, 3)),
        ({"stride": [2, 1], "padding": [0, 2]}, 1, (2, 5)),
        ({"padding": [2, 2], "dilation": [2, 2]}, 1, (3, 3)),
        ({"stride": [2, 2], "dilation": [1, 3]}, 1, (3, 2)),
        ({"groups": 2, "padding": [1, 1]}, 2, (3, 3)),
        ({"groups": CHANNELS, "padding": [1, 1], "stride": [2, 2]}, CHANNELS, (3, 3)),
        ({}, 1, (1, 1)),
    ],
)
@pytest.mark.parametrize("kind", ["conv2d.default", "convolution.default"])
def test_shapes(kind: str, options: dict[str, Any], groups: int, kernel: tuple[int, int]) -> None:
    if kind == "convolution.default":
        whole = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
        options = {**whole, **options, "bias": None, "transposed": False, "output_padding": [0, 0]}
    plain, fast = both(chain(options, kind), state(groups, kernel), "y")
    for sizes in ((1, CHANNELS, 20, 19), (1, CHANNELS, 7, 9), (3, CHANNELS, 24, 31)):
        assert_same(plain, fast, lt.randn(*sizes))
    x = lt.randn(2, CHANNELS, 20, 20)
    assert not uses_copy(plain, "w", x)
    assert all(uses_copy(fast, name, x) for name in ("w", "v", *STATISTICS))


@pytest.mark.parametrize("kernel", [(3, 3), (2, 3), (1, 1)])
@pytest.mark.parametrize("word", ["same", "valid"])
def test_padding_by_a_word(word: str, kernel: tuple[int, int]) -> None:
    plain, fast = both(chain({"padding": word, "dilation": [2, 1]}, "conv2d.padding"), state(kernel=kernel), "y")
    assert_same(plain, fast, lt.randn(2, CHANNELS, 20, 19))
    assert uses_copy(fast, "w", lt.randn(2, CHANNELS, 20, 19))


@pytest.mark.parametrize("dims", [1, 3])
def test_other_ranks_have_their_normalization_folded(dims: int) -> None:
    nodes = [conv("x", "w", "c", f"conv{dims}d.default", bias="b", padding=[1] * dims), norm("c", "y")]
    tensors = state(kernel=(3,) * dims)
    tensors.pop("v")
    plain, fast = both(nodes, tensors, "y", dims=dims + 2)
    x = lt.randn(2, CHANNELS, *(7, 6, 5)[:dims])
    assert_same(plain, fast, x)
    assert all(uses_copy(fast, name, x) for name in ("w", "b", *STATISTICS))


def decomposed(outputs: int) -> list[exported.Document]:
    """Return a convolution and what ``run_decompositions()`` makes of its normalization."""
    names = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"}
    operator = "_native_batch_norm_legit_no_training.default"
    results = ("y", "saved_mean", "saved_deviation")[:outputs]
    return [conv("x", "w", "c", bias="b"), call(operator, *results, input="c", **names, momentum=0.1, eps=1e-5)]


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_normalization_that_was_decomposed(outputs: int) -> None:
    plain, fast = both(decomposed(outputs), state(), "y")
    x = lt.randn(2, CHANNELS, 7, 6)
    assert_same(plain, fast, x)
    assert uses_copy(fast, "w", x)


def test_a_normalization_whose_other_results_are_read_stays() -> None:
    plain, fast = both(decomposed(3), state(), "y", "saved_mean")
    x = lt.randn(2, CHANNELS, 7, 6)
    assert_same(plain, fast, x)
    assert not uses_copy(fast, "w", x)


@pytest.mark.parametrize("missing", ["weight", "bias"])
def test_a_normalization_without_weights(missing: str) -> None:
    normalization = norm("c", "y")
    for item in normalization["inputs"]:
        if item["name"] == missing:
            item["arg"] = {"as_none": True}
    plain, fast = both([conv("x", "w", "c"), normalization], state(), "y")
    assert_same(plain, fast, lt.randn(2, CHANNELS, 7, 6))
    assert uses_copy(fast, "mean", lt.randn(2, CHANNELS, 7, 6))


@pytest.mark.parametrize("more", [0, 2, 3])
def test_convolutions_that_are_few_are_not_laid_out(more: int) -> None:
    names = [*(f"r{i}" for i in range(more)), "y"]
    rest = [conv(read, "u", written, padding=[1, 1], groups=WIDE) for read, written in pairwise(names)]
    fast = program_of([conv("x", "w", "c"), relu("c", names[0]), *rest], state(), "y").optimize_for_inference()
    assert uses_copy(fast, "w", lt.randn(1, CHANNELS, 20, 20)) == (more == 3)


def test_a_small_input_goes_the_plain_way() -> None:
    plain, fast = both(chain(), state(), "y")
    x = lt.randn(1, CHANNELS, 9, 9)
    assert lt.equal(plain(x)[0], fast(x)[0])
    assert not uses_copy(fast, "v", x)


def test_a_convolution_that_something_else_reads_keeps_its_normalization() -> None:
    plain, fast = both([conv("x", "w", "c"), norm("c", "n"), relu("n", "r"), *tail("r", "y")], state(), "n", "c", "y")
    x = lt.randn(2, CHANNELS, 20, 20)
    assert_same(plain, fast, x)
    assert not uses_copy(fast, "gamma", x)


def test_a_normalization_in_training_stays() -> None:
    nodes = [conv("x", "w", "c"), norm("c", "y")]
    for item in nodes[1]["inputs"]:
        if item["name"] == "training":
            item["arg"] = {"as_bool": True}
    plain, fast = both(nodes, state(), "y")
    x = lt.randn(2, CHANNELS, 20, 20)
    assert_same(plain, fast, x)
    assert lt.equal(dict(plain.named_parameters())["mean"], dict(fast.named_parameters())["mean"])
    assert not uses_copy(fast, "gamma", x)


def test_an_infinite_factor_is_not_folded() -> None:
    tensors = state()
    tensors["variance"][0] = -1
    plain, fast = both(chain(), tensors, "n", "y")
    assert lt.isnan(plain(lt.randn(1, CHANNELS, 20, 20))[0]).any()
    assert not uses_copy(fast, "beta", lt.randn(1, CHANNELS, 20, 20).abs() * 0)


def test_what_is_not_a_number_stays_so() -> None:
    plain, fast = both(chain(), state(), "y")
    x = lt.randn(1, CHANNELS, 16, 16)
    x[0, 0, 8, 8] = float("nan")
    expected, found = lt.isnan(plain(x)[0]), lt.isnan(fast(x)[0])
    assert expected.any()
    assert lt.equal(expected, found)


@pytest.mark.parametrize("name", ["w", "b", "v", *STATISTICS])
@pytest.mark.parametrize(
    "change",
    [
        lambda program, name: dict(program.named_parameters())[name].detach().mul_(2),
        lambda program, name: program.load_state_dict({name: dict(program.named_parameters())[name] + 1}),
    ],
)
def test_a_tensor_that_changes_is_noticed(name: str, change: Callable[[export.ExportedProgram, str], Any]) -> None:
    plain, fast = both(chain(), state(), "y")
    x = lt.randn(2, CHANNELS, 20, 20)
    before = fast(x)[0].clone()
    for program in (plain, fast):
        change(program, name)
    assert not lt.equal(fast(x)[0], before)
    assert_same(plain, fast, x)
    assert not uses_copy(fast, name, x)
    assert_same(plain, fast.optimize_for_inference(), x)
    assert uses_copy(fast, name, x)


def test_gradients_go_the_plain_way() -> None:
    gradients = []
    for program in both(chain(), state(), "y"):
        x = lt.ones(2, CHANNELS, 20, 20).requires_grad_()
        parameters = {name: value for name, value in program.named_parameters() if name not in ("mean", "variance")}
        for parameter in parameters.values():
            parameter.requires_grad = True
        program(x)[0].sum().backward()
        gradients.append([x.grad, *(parameter.grad for parameter in parameters.values())])
    for plain, fast in zip(*gradients, strict=True):
        assert plain is not None
        assert fast is not None
        assert lt.equal(plain, fast)


def test_without_gradients_parameters_that_want_them_are_no_hindrance() -> None:
    plain, fast = both(chain(), state(), "y")
    fast.requires_grad_()
    with lt.no_grad():
        assert_same(plain, fast, lt.randn(2, CHANNELS, 20, 20).requires_grad_())
        assert uses_copy(fast, "w", lt.randn(2, CHANNELS, 20, 20))


def test_autocast_goes_the_plain_way() -> None:
    plain, fast = both(chain(), state(), "y")
    x = lt.randn(2, CHANNELS, 20, 20)
    with lt.autocast("cpu", dtype=lt.bfloat16):
        assert lt.equal(plain(x)[0], fast(x)[0])


def test_tangents_go_the_plain_way() -> None:
    found = []
    x, tangent = lt.randn(2, CHANNELS, 20, 20), lt.randn(2, CHANNELS, 20, 20)
    for program in both(chain(), state(), "y"):
        with lt.autograd.forward_ad.dual_level():
            result = program(lt.autograd.forward_ad.make_dual(x, tangent))[0]
            found.append(lt.autograd.forward_ad.unpack_dual(result).tangent)
    assert found[0] is not None
    assert found[1] is not None
    assert lt.equal(found[0], found[1])


def test_doubles_stay_as_they_are() -> None:
    plain, fast = both(chain(), state(dtype=lt.float64), "y")
    x = lt.randn(2, CHANNELS, 20, 20, dtype=lt.float64)
    assert lt.equal(plain(x)[0], fast(x)[0])


@pytest.mark.parametrize(
    "prepare",
    [
        lambda x: x.to(memory_format=lt.channels_last),
        lambda x: x.transpose(2, 3),
        lambda x: x[:, :, ::2],
        lambda x: x[:1].expand(3, -1, -1, -1),
        lambda x: x[:0],
    ],
)
def test_inputs_of_other_layouts(prepare: Callable[[lt.Tensor], lt.Tensor]) -> None:
    plain, fast = both(chain({"padding": [1, 1]}), state(), "y", "r")
    assert_same(plain, fast, prepare(lt.randn(2, CHANNELS, 24, 20)))


def test_the_results_of_a_region_have_the_strides_of_the_plain_program() -> None:
    nodes = [
        conv("x", "w", "c", padding=[1, 1]),
        relu("c", "r", "_"),
        conv("r", "s", "d", padding=[1, 1]),
        call("add_.Tensor", "e", self="d", other="c"),
        call("max_pool2d_with_indices.default", "m", "i", self="e", kernel_size=[2, 2]),
        call("mean.dim", "z", self="m", dim=[2, 3], keepdim=True),
        call("mul.Tensor", "g", self="m", other="z"),
        *tail("m", "q"),
        call("view.default", "y", self="g", size=[-1]),
    ]
    tensors = {**state(), "s": lt.randn(WIDE, WIDE, 3, 3)}
    plain, fast = both(nodes, tensors, "y", "c", "d", "i", "z", "q")
    for sizes in ((1, CHANNELS, 20, 20), (2, CHANNELS, 16, 22), (99, CHANNELS, 2, 2)):
        assert_same(plain, fast, lt.randn(*sizes))
    assert uses_copy(fast, "w", lt.randn(2, CHANNELS, 20, 20))


def test_what_is_written_in_place_stays_one_tensor() -> None:
    nodes = [
        conv("x", "w", "c"),
        relu("c", "r", "_"),
        *tail("r", "y"),
        call("mul_.Tensor", "after", self="r", other=2),
    ]
    plain, fast = both(nodes, state(), "y", "c", "r", "after")
    assert_same(plain, fast, lt.randn(2, CHANNELS, 20, 20))
    _, first, second, third = fast(lt.randn(2, CHANNELS, 20, 20))
    assert first.data_ptr() == second.data_ptr() == third.data_ptr()


def test_an_input_that_the_program_writes_to() -> None:
    nodes = [relu("x", "r", "_"), conv("r", "w", "c"), relu("c", "d"), *tail("d", "y")]
    x = lt.randn(1, CHANNELS, 20, 20)
    given = [x.clone(), x.clone()]
    results = [program(value)[0] for program, value in zip(both(nodes, state(), "y"), given, strict=True)]
    assert is_near(*results)
    assert lt.equal(given[0], given[1])
    assert lt.equal(given[1], lt.relu(x))


def test_a_slot_that_is_written_twice_is_no_sign_of_anything() -> None:
    nodes = [relu("x", "c"), conv("c", "w", "c"), norm("c", "n"), relu("n", "r"), *tail("r", "y")]
    plain, fast = both(nodes, state(), "y")
    assert_same(plain, fast, lt.randn(2, CHANNELS, 20, 20))
    nodes = [conv("x", "w", "c"), norm("c", "c"), relu("c", "y")]
    assert_same(*both(nodes, state(), "y"), lt.randn(2, CHANNELS, 20, 20))


def test_it_may_be_called_twice() -> None:
    plain, fast = both(chain(), state(), "y")
    x = lt.randn(1, CHANNELS, 20, 20)
    expected = fast(x)[0]
    assert lt.equal(fast.optimize_for_inference()(x)[0], expected)
    assert_same(plain, fast, x)


def test_threads_share_a_program() -> None:
    plain, fast = both(chain(), state(), "y")
    inputs = [lt.randn(1 + i % 3, CHANNELS, 20 + i % 5, 20) for i in range(24)]
    wrong: list[int] = []

    def work(start: int) -> None:
        turns = range(start, len(inputs), 4)
        wrong.extend(i for i in turns if not is_near(fast(inputs[i])[0], plain(inputs[i])[0]))

    workers = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []
