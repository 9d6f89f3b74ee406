"""Convolutions of programs that `optimize_for_inference` has rewritten: the same results and strides as before."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import exported
import pytest
from exported import meta, node, tensor, tree

import libtorch_ffi as lt
from libtorch_ffi import export

if TYPE_CHECKING:
    from collections.abc import Callable

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


def chain(options: dict[str, Any] | None = None, kind: str = "conv2d.default") -> list[exported.Document]:
    """Return a convolution, its normalization, an activation in place, and a convolution that makes ``y``."""
    bias = {} if kind == "convolution.default" else {"bias": "b"}
    first = conv("x", "w", "c", kind, **bias, **(options or {}))
    return [first, norm("c", "n"), relu("n", "r", "_"), conv("r", "v", "y")]


def state(groups: int = 1, kernel: tuple[int, ...] = (3, 3), dtype: lt.dtype = lt.float32) -> dict[str, lt.Tensor]:
    """Return the tensors of `chain`, seeded."""
    lt.manual_seed(0)
    made = {"w": lt.randn(WIDE, CHANNELS // groups, *kernel), "b": lt.randn(WIDE), "v": lt.randn(5, WIDE, 1, 1)}
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
        if expected.numel():
            assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


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


needs_onednn = pytest.mark.skipif(
    not (hasattr(lt.ops, "mkldnn") and hasattr(lt.ops.mkldnn, "_convolution_pointwise")), reason="there is no oneDNN"
)


@needs_onednn
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
    for sizes in ((1, CHANNELS, 9, 8), (3, CHANNELS, 24, 31)):
        assert_same(plain, fast, lt.randn(*sizes))
    x = lt.randn(2, CHANNELS, 12, 12)
    assert not uses_copy(plain, "w", x)
    assert all(uses_copy(fast, name, x) for name in ("w", "v", *STATISTICS))


@pytest.mark.parametrize("kernel", [(3, 3), (2, 3), (1, 1)])
@pytest.mark.parametrize("word", ["same", "valid"])
def test_padding_by_a_word(word: str, kernel: tuple[int, int]) -> None:
    plain, fast = both(chain({"padding": word, "dilation": [2, 1]}, "conv2d.padding"), state(kernel=kernel), "y")
    assert_same(plain, fast, lt.randn(2, CHANNELS, 9, 8))
    assert uses_copy(fast, "w", lt.randn(2, CHANNELS, 9, 8))


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


def test_a_convolution_that_stands_alone_is_not_copied() -> None:
    fast = program_of([conv("x", "w", "c"), relu("c", "y")], state(), "y").optimize_for_inference()
    assert not uses_copy(fast, "w", lt.randn(1, CHANNELS, 9, 9))


def test_a_convolution_that_something_else_reads_keeps_its_normalization() -> None:
    plain, fast = both(
        [conv("x", "w", "c"), norm("c", "n"), relu("n", "r"), conv("r", "v", "y")], state(), "n", "c", "y"
    )
    x = lt.randn(2, CHANNELS, 9, 9)
    assert_same(plain, fast, x)
    assert not uses_copy(fast, "gamma", x)


def test_a_normalization_in_training_stays() -> None:
    nodes = [conv("x", "w", "c"), norm("c", "y")]
    for item in nodes[1]["inputs"]:
        if item["name"] == "training":
            item["arg"] = {"as_bool": True}
    plain, fast = both(nodes, state(), "y")
    x = lt.randn(2, CHANNELS, 9, 9)
    assert_same(plain, fast, x)
    assert lt.equal(dict(plain.named_parameters())["mean"], dict(fast.named_parameters())["mean"])
    assert not uses_copy(fast, "gamma", x)


def test_an_infinite_factor_is_not_folded() -> None:
    tensors = state()
    tensors["variance"][0] = -1
    plain, fast = both(chain(), tensors, "n", "y")
    assert lt.isnan(plain(lt.randn(1, CHANNELS, 9, 9))[0]).any()
    assert not uses_copy(fast, "beta", lt.randn(1, CHANNELS, 9, 9).abs() * 0)


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
    x = lt.randn(2, CHANNELS, 9, 9)
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
        x = lt.ones(2, CHANNELS, 9, 9).requires_grad_()
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
        assert_same(plain, fast, lt.randn(2, CHANNELS, 9, 9).requires_grad_())
        assert uses_copy(fast, "w", lt.randn(2, CHANNELS, 9, 9))


def test_autocast_goes_the_plain_way() -> None:
    plain, fast = both(chain(), state(), "y")
    x = lt.randn(2, CHANNELS, 9, 9)
    with lt.autocast("cpu", dtype=lt.bfloat16):
        assert lt.equal(plain(x)[0], fast(x)[0])


def test_tangents_go_the_plain_way() -> None:
    found = []
    x, tangent = lt.randn(2, CHANNELS, 9, 9), lt.randn(2, CHANNELS, 9, 9)
    for program in both(chain(), state(), "y"):
        with lt.autograd.forward_ad.dual_level():
            result = program(lt.autograd.forward_ad.make_dual(x, tangent))[0]
            found.append(lt.autograd.forward_ad.unpack_dual(result).tangent)
    assert found[0] is not None
    assert found[1] is not None
    assert lt.equal(found[0], found[1])


def test_doubles_stay_as_they_are() -> None:
    plain, fast = both(chain(), state(dtype=lt.float64), "y")
    x = lt.randn(2, CHANNELS, 9, 9, dtype=lt.float64)
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
    assert_same(plain, fast, prepare(lt.randn(2, CHANNELS, 12, 10)))


def test_the_results_of_a_region_have_the_strides_of_the_plain_program() -> None:
    nodes = [
        conv("x", "w", "c", padding=[1, 1]),
        relu("c", "r", "_"),
        conv("r", "u", "d", padding=[1, 1]),
        call("add_.Tensor", "e", self="d", other="c"),
        call("max_pool2d_with_indices.default", "m", "i", self="e", kernel_size=[2, 2]),
        call("mean.dim", "z", self="m", dim=[2, 3], keepdim=True),
        call("mul.Tensor", "g", self="m", other="z"),
        call("view.default", "y", self="g", size=[-1]),
    ]
    tensors = {"w": state()["w"], "u": lt.randn(WIDE, WIDE, 3, 3)}
    plain, fast = both(nodes, tensors, "y", "c", "d", "i", "z")
    for sizes in ((1, CHANNELS, 8, 8), (2, CHANNELS, 6, 10), (2, CHANNELS, 2, 2)):
        assert_same(plain, fast, lt.randn(*sizes))
    results = fast(lt.randn(1, CHANNELS, 8, 8))
    assert results[1].is_contiguous()
    assert uses_copy(fast, "w", lt.randn(2, CHANNELS, 8, 8))


def test_what_is_written_in_place_stays_one_tensor() -> None:
    nodes = [
        conv("x", "w", "c"),
        relu("c", "r", "_"),
        conv("r", "v", "y"),
        call("mul_.Tensor", "after", self="r", other=2),
    ]
    plain, fast = both(nodes, state(), "y", "c", "r", "after")
    assert_same(plain, fast, lt.randn(2, CHANNELS, 9, 9))
    _, first, second, third = fast(lt.randn(2, CHANNELS, 9, 9))
    assert first.data_ptr() == second.data_ptr() == third.data_ptr()


def test_an_input_that_the_program_writes_to() -> None:
    nodes = [relu("x", "r", "_"), conv("r", "w", "c"), relu("c", "d"), conv("d", "v", "y")]
    x = lt.randn(1, CHANNELS, 9, 9)
    given = [x.clone(), x.clone()]
    results = [program(value)[0] for program, value in zip(both(nodes, state(), "y"), given, strict=True)]
    assert lt.allclose(*results, atol=1e-4)
    assert lt.equal(given[0], given[1])
    assert lt.equal(given[1], lt.relu(x))


def test_a_slot_that_is_written_twice_is_no_sign_of_anything() -> None:
    nodes = [relu("x", "c"), conv("c", "w", "c"), norm("c", "n"), relu("n", "r"), conv("r", "v", "y")]
    plain, fast = both(nodes, state(), "y")
    assert_same(plain, fast, lt.randn(2, CHANNELS, 9, 9))
    nodes = [conv("x", "w", "c"), norm("c", "c"), relu("c", "y")]
    assert_same(*both(nodes, state(), "y"), lt.randn(2, CHANNELS, 9, 9))


def test_it_may_be_called_twice() -> None:
    plain, fast = both(chain(), state(), "y")
    x = lt.randn(1, CHANNELS, 9, 9)
    expected = fast(x)[0]
    assert lt.equal(fast.optimize_for_inference()(x)[0], expected)
    assert_same(plain, fast, x)


def test_threads_share_a_program() -> None:
    plain, fast = both(chain(), state(), "y")
    inputs = [lt.randn(1 + i % 3, CHANNELS, 8 + i % 5, 9) for i in range(24)]
    wrong: list[int] = []

    def work(start: int) -> None:
        turns = range(start, len(inputs), 4)
        wrong.extend(i for i in turns if not lt.allclose(plain(inputs[i])[0], fast(inputs[i])[0], atol=1e-3))

    workers = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


@pytest.mark.parametrize(
    "options",
    [
        {"groups": 0},
        {"groups": -1},
        {"groups": 5},
        {"groups": 2},
        {"groups": 1 << 62},
        {"stride": [0, 1]},
        {"stride": [-1, 1]},
        {"dilation": [0, 0]},
        {"dilation": [1 << 40, 1]},
        {"dilation": [1 << 62, 1 << 62]},
        {"padding": [-1, 0]},
        {"stride": [1, 1, 1]},
        {"padding": [1, 1, 1]},
    ],
)
def test_nodes_that_claim_wrong_sizes_fail_as_before(options: dict[str, Any]) -> None:
    plain, fast = both(chain(options), state(), "y")
    assert_fails_alike(plain, fast, lt.randn(2, CHANNELS, 9, 9))


@pytest.mark.parametrize("options", [{"padding": "same", "stride": [2, 2]}, {"padding": "other"}])
def test_words_of_padding_that_are_wrong_fail_as_before(options: dict[str, Any]) -> None:
    plain, fast = both(chain(options, "conv2d.padding"), state(), "y")
    assert_fails_alike(plain, fast, lt.randn(2, CHANNELS, 9, 9))


@pytest.mark.parametrize("sizes", [(2, CHANNELS + 1, 9, 9), (2, CHANNELS, 2, 9), (0, 1, 9, 9), (2, CHANNELS, 0, 0)])
def test_inputs_that_do_not_fit_fail_as_before(sizes: tuple[int, ...]) -> None:
    plain, fast = both(chain(), state(), "y")
    assert_fails_alike(plain, fast, lt.randn(*sizes))


@pytest.mark.parametrize("dims", [2, 3, 5])
def test_inputs_of_another_rank_fail_or_run_as_before(dims: int) -> None:
    nodes = chain()
    del nodes[1]
    nodes[1] = relu("c", "r")
    plain, fast = both(nodes, state(), "y", dims=dims)
    x = lt.randn(*(CHANNELS, 9, 9, 9, 9)[:dims])
    if dims == 3:  # one image
        assert_same(plain, fast, x)
    else:
        assert_fails_alike(plain, fast, x)
    assert_fails_alike(*both(chain(), state(), "y", dims=dims), x)


@pytest.mark.parametrize("kind", ["conv1d.default", "conv3d.default"])
def test_a_weight_of_another_rank_fails_as_before(kind: str) -> None:
    plain, fast = both(chain(kind=kind), state(), "y")
    assert_fails_alike(plain, fast, lt.randn(2, CHANNELS, 9, 9))


@pytest.mark.parametrize("name", ["b", *STATISTICS])
def test_vectors_of_another_length_fail_as_before(name: str) -> None:
    tensors = {**state(), name: lt.ones(WIDE + 1)}
    assert_fails_alike(*both(chain(), tensors, "y"), lt.randn(2, CHANNELS, 9, 9))


def test_channels_that_do_not_fit_in_the_middle_fail_as_before() -> None:
    tensors = {**state(), "v": lt.randn(5, WIDE + 1, 1, 1)}
    assert_fails_alike(*both(chain(), tensors, "y"), lt.randn(2, CHANNELS, 9, 9))


def test_an_input_of_another_dtype_fails_as_before() -> None:
    assert_fails_alike(*both(chain(), state(), "y"), lt.randn(2, CHANNELS, 9, 9, dtype=lt.float64))


def test_a_transposed_convolution_stays() -> None:
    whole = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    options = {**whole, "bias": None, "transposed": True, "output_padding": [0, 0]}
    tensors = {**state(), "w": lt.randn(CHANNELS, WIDE, 3, 3)}
    plain, fast = both(chain(options, "convolution.default"), tensors, "y")
    x = lt.randn(2, CHANNELS, 9, 9)
    assert_same(plain, fast, x)
    assert not uses_copy(fast, "gamma", x)
