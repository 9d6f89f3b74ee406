"""Convolutions that do not fit: a program fails after `optimize_for_inference` as it does before, by the same words."""

from __future__ import annotations

from typing import Any

import pytest
from convolutions import (
    CHANNELS,
    STATISTICS,
    WIDE,
    assert_fails_alike,
    assert_same,
    both,
    chain,
    relu,
    state,
    uses_copy,
)

import libtorch_ffi as lt


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
    assert_fails_alike(plain, fast, lt.randn(2, CHANNELS, 20, 20))


@pytest.mark.parametrize("options", [{"padding": "same", "stride": [2, 2]}, {"padding": "other"}])
def test_words_of_padding_that_are_wrong_fail_as_before(options: dict[str, Any]) -> None:
    plain, fast = both(chain(options, "conv2d.padding"), state(), "y")
    assert_fails_alike(plain, fast, lt.randn(2, CHANNELS, 20, 20))


@pytest.mark.parametrize("sizes", [(2, CHANNELS + 1, 20, 20), (2, CHANNELS, 2, 900), (0, 1, 9, 9), (2, CHANNELS, 0, 0)])
def test_inputs_that_do_not_fit_fail_as_before(sizes: tuple[int, ...]) -> None:
    plain, fast = both(chain(), state(), "y")
    assert_fails_alike(plain, fast, lt.randn(*sizes))


@pytest.mark.parametrize("dims", [2, 3, 5])
def test_inputs_of_another_rank_fail_or_run_as_before(dims: int) -> None:
    nodes = chain()
    del nodes[1]
    nodes[1] = relu("c", "r")
    plain, fast = both(nodes, state(), "y", dims=dims)
    x = lt.randn(*(CHANNELS, 20, 20, 9, 9)[:dims])
    if dims == 3:  # one image
        assert_same(plain, fast, x)
    else:
        assert_fails_alike(plain, fast, x)
    assert_fails_alike(*both(chain(), state(), "y", dims=dims), x)


@pytest.mark.parametrize("kind", ["conv1d.default", "conv3d.default"])
def test_a_weight_of_another_rank_fails_as_before(kind: str) -> None:
    plain, fast = both(chain(kind=kind), state(), "y")
    assert_fails_alike(plain, fast, lt.randn(2, CHANNELS, 20, 20))


@pytest.mark.parametrize("name", ["b", *STATISTICS])
def test_vectors_of_another_length_fail_as_before(name: str) -> None:
    tensors = {**state(), name: lt.ones(WIDE + 1)}
    assert_fails_alike(*both(chain(), tensors, "y"), lt.randn(2, CHANNELS, 20, 20))


def test_channels_that_do_not_fit_in_the_middle_fail_as_before() -> None:
    tensors = {**state(), "v": lt.randn(5, WIDE + 1, 1, 1)}
    assert_fails_alike(*both(chain(), tensors, "y"), lt.randn(2, CHANNELS, 20, 20))


def test_an_input_of_another_dtype_fails_as_before() -> None:
    assert_fails_alike(*both(chain(), state(), "y"), lt.randn(2, CHANNELS, 20, 20, dtype=lt.float64))


def test_a_transposed_convolution_stays() -> None:
    whole = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    options = {**whole, "bias": None, "transposed": True, "output_padding": [0, 0]}
    tensors = {**state(), "w": lt.randn(CHANNELS, WIDE, 3, 3)}
    plain, fast = both(chain(options, "convolution.default"), tensors, "y")
    x = lt.randn(2, CHANNELS, 20, 20)
    assert_same(plain, fast, x)
    assert not uses_copy(fast, "gamma", x)
