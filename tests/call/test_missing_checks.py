"""Calls that end a process of torch are errors here; calls that mean something are answered as ever."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from schemas import all_schemas, crashing, refused

import libtorch_ffi as lt

if TYPE_CHECKING:
    from types import ModuleType

LAST = "m.tensor([0, 1]), False, 2, False, None, True"
SGD = "weight_decay=0.5, momentum=0.0, lr=2.0, dampening=0.0, nesterov=False, maximize=True, is_first_step=False"
ADAM = "lr=2.0, beta1=0.9, beta2=0.9, weight_decay=0.5, eps=0.1, amsgrad=False, maximize=True"
MOMENTS = "[m.ones(1)], [m.ones(1)], [], [m.ones(())]"
ADAGRAD = "lr=2.0, lr_decay=0.9, weight_decay=0.5, eps=0.1, maximize=True"
NOISE = "m.ones(1).expand(2000, 2000), 0.1, 0.3, True"
CELL = "m.ones(2, 1, 3), m.ones(2, 1, 3)"
BAGS = "m.ones(5, 3), m.zeros(2, 3000, dtype=m.int64), m.tensor([0, 1]), False, 2, False"
LSTM = "False, [], 2, 5000, 1, True, False, False, True"
WEIGHTS = "[m.ones(16384, 3), m.ones(16384, 4096), m.ones(16384), m.ones(16384)]"
IMAGES = "m.ones(4, 16, 32, 32).to(memory_format=m.channels_last)"
FAR = "[1, 1], [1, 2**31 - 1], [1, 2**31 - 1]"
LONG = "m.zeros(1, dtype=m.int64)"
STATES = ", ".join(["m.ones(2, 3)"] * 8)
PADDED = "m.ones(1, 3, 40, 40, 40), m.ones(1, 3, 36, 36, 36), [2] * 6, grad_input=m.ones(1).expand(1, 3, 36, 36, 36)"
PADDED2 = "m.ones(3, 700, 700), m.ones(3, 696, 696), [2] * 4, grad_input=m.ones(1).expand(3, 696, 696)"

ENDS = {
    "_batch_norm_impl_index_backward": f"(0, {CELL}, None, None, None, None, None, True, 0.5, [True] * 3, m.ones(3))",
    "_cholesky_solve_helper": "(m.ones(0, 3), m.ones(3, 0), True)",
    "_convert_indices_from_csr_to_coo": "(m.tensor([0, 2**40, 1]), m.tensor([0, 1]))",
    "_cummax_helper": f"(m.ones(20000, 3), m.ones(1), {LONG}, 0)",
    "_cummin_helper": f"(m.ones(20000, 3), m.ones(1), {LONG}, 0)",
    "_embedding_bag": f"({BAGS})",
    "_embedding_bag_forward_only": f"({BAGS})",
    "_fused_adagrad_": f"([m.ones(1).expand(9000000)], [m.ones(9000000)], [m.ones(9000000)], [m.ones(())], {ADAGRAD})",
    "_fused_adam_": f"([m.ones(1).expand(9000000)], *[[m.ones(9000000)]] * 3, [], [m.ones(())], {ADAM})",
    "_fused_adamw_": f"([m.ones(1).expand(9000000)], *[[m.ones(9000000)]] * 3, [], [m.ones(())], {ADAM})",
    "_fused_sgd_": f"([m.ones(1).expand(9000000)], [m.ones(9000000)], [], {SGD})",
    "_native_batch_norm_legit.no_stats": "(m.ones(2, 4, 4), None, None, False, 0.5, 0.0)",
    "_new_zeros_with_same_feature_meta": "(m.ones(4), m.ones(4), self_num_batch_dims=90000)",
    "_nnpack_spatial_convolution": "(m.ones(()), m.ones(()), None, [2, 2], [1, 1])",
    "_pad_packed_sequence": "(m.ones(5, 2), m.tensor([2, -100000]), True, 0, 0)",
    "_thnn_differentiable_gru_cell_backward": f"({CELL}, {CELL}, None, None)",
    "_thnn_differentiable_lstm_cell_backward": f"(None, {CELL}, m.ones(2, 1, 3), None, None, {CELL})",
    "_weight_norm": "(m.ones(0, 3), m.ones(3, 0), 0)",
    "_weight_norm_interface": "(m.ones(0, 3), m.ones(3, 0), 0)",
    "_convolution": f"({IMAGES}, m.ones(16, 16, 3, 3), None, {FAR}, False, [0, 0], 1, False, False, True, True)",
    "align_tensors": "([])",
    "batch_norm_backward": f"({CELL}, m.ones(1), None, None, None, None, True, 0.5, [True] * 3, m.ones(3))",
    "conv2d": f"({IMAGES}, m.ones(16, 16, 3, 3), None, {FAR})",
    "convolution": f"({IMAGES}, m.ones(16, 16, 3, 3), None, {FAR}, False, [0, 0], 1)",
    "convolution_backward": f"({IMAGES}, {IMAGES}, m.ones(16, 16, 3, 3), None, {FAR}, False, [0, 0], 1, [True] * 3)",
    "embedding_bag": f"({BAGS})",
    "fractional_max_pool2d_backward": "(m.ones(3, 2, 2), m.ones(3, 9, 9), [2, 2], [], m.zeros(3, 2, 2).long())",
    "fractional_max_pool3d_backward": f"(m.ones(3, 2, 2, 2), m.ones(3, 9, 9, 9), [2] * 3, [], {LONG}.view(1, 1, 1))",
    "log_sigmoid_forward.output": "(m.ones(4000, 900), output=m.ones(4000, 900), buffer=m.ones(1).expand(4000, 900))",
    "lstm.input": "(m.ones(5, 64, 3), [m.ones(1, 64, 4096)] * 2, [m.ones(4, 3), m.ones(4, 1), *[m.ones(4)] * 2], True, "
    "1, 0.0, False, False, False)",
    "mkldnn_rnn_layer": f"(m.ones(3, 2, 4), *[m.ones(1)] * 6, {LSTM})",
    "native_batch_norm_backward": f"({CELL}, None, None, None, None, None, True, 0.5, [True] * 3)",
    "pdist": "(m.ones(0, 3, requires_grad=True)).sum().backward()",
    "quantized_lstm_cell": f"(m.ones(2, 3), [], {STATES}, 1, 2, 1, 2)",
    "range.out": "(2, 3.0, 0.5, out=m.zeros(4, dtype=m.int64))",
    "reflection_pad2d_backward.grad_input": f"({PADDED2})",
    "reflection_pad3d_backward.grad_input": f"({PADDED})",
    "replication_pad2d_backward.grad_input": f"({PADDED2})",
    "replication_pad3d_backward.grad_input": f"({PADDED})",
    "rrelu_with_noise": f"(m.ones(2000, 2000), {NOISE})",
    "rrelu_with_noise.out": "(m.ones(2000, 2000), m.ones(2000, 2000), 0.1, 0.3, True, out=m.ones(1))",
    "rrelu_with_noise_": f"(m.ones(2000, 2000), {NOISE})",
    "tril.out": "(m.ones(9, 90, 90, 90), out=m.ones(90, 9, 90, 90).transpose(0, 1))",
    "triu.out": "(m.ones(90, 90, 20, 20), out=m.ones(90, 90, 20, 20).transpose(0, 1))",
    "unfold_backward": "(m.ones(2, 3), [4], 0, 2, 0)",
}
"""For each operator a call that ends a process of torch."""

ENDS_TOO = {
    "lstm.input": f"(m.ones(5, 64, 3), [m.ones(1, 64, 1)] * 2, {WEIGHTS}, True, 1, 0.0, False, False, False)",
    "lstm.data": "(m.ones(320, 3), m.tensor([64] * 5), [m.ones(1, 64, 4096)] * 2, [m.ones(4, 3), m.ones(4, 1), "
    "*[m.ones(4)] * 2], True, 1, 0.0, False, False)",
    "conv1d": "(m.ones(4, 16, 1024), m.ones(16, 16, 3), None, [2**32])",
    "conv_transpose2d": f"({IMAGES}, m.ones(16, 16, 3, 3), None, [1, 2**31])",
    "conv3d.padding": "(m.ones(4, 16, 8, 8, 8), m.ones(16, 16, 3, 3, 3), None, [1], 'same', [2**62])",
    "range.out": "(2**62, -2**62, -1, out=m.zeros(4, dtype=m.int64))",
    "_convert_indices_from_csr_to_coo": "(m.tensor([2, 1, 0], dtype=m.uint8), m.tensor([0, 1]))",
    "_fused_sgd": f"([m.ones(9000000)], [m.ones(1)], [], {SGD})",
    "embedding_bag": f"(m.ones(5, 3), m.zeros(90000, dtype=m.int64), {LAST})",
    "_weight_norm": "(m.ones(90000, 3), m.ones(1, 1), 0)",
    "set_.source_Tensor": "(m.zeros(3, dtype=m.int64), m.ones(2))",
    "native_batch_norm_backward": "(m.ones(1), m.ones(2, 9000, 3), None, None, None, *[m.ones(9000)] * 2, True, 0.5, "
    "[True] * 3)",
}
"""Other calls of some that are refused; what torch makes of them depends on what lies in memory."""

MENDED = {"align_tensors", "unfold_backward"}
"""Those that later releases than 2.5.0 refuse, or have no more."""

MEANT = {
    "_convert_indices_from_csr_to_coo": "(m.tensor([0, 2, 2, 3]), m.tensor([0, 1, 1]))",
    "_cummax_helper": "(m.arange(6.0).view(2, 3), m.empty(2, 3), m.empty(2, 3, dtype=m.int64), 1)",
    "conv2d": "(m.ones(1, 2, 9, 9), m.ones(2, 2, 1, 3), None, [2**31 - 1, 1], [0, 2], [2**31 - 1, 2])",
    "_fused_sgd": f"([m.ones(3)], [m.ones(3)], [], {SGD})",
    "_fused_adam": f"([m.ones(1)], [m.ones(1)], {MOMENTS}, {ADAM})",
    "_native_batch_norm_legit.no_stats": "(m.arange(24.0).view(2, 3, 4), m.ones(3), None, True, 0.5, 0.1)",
    "_pad_packed_sequence": "(m.arange(6.0).view(3, 2), m.tensor([2, 1]), True, 0, 0)",
    "_weight_norm": "(m.arange(1.0, 7.0).view(2, 3), m.ones(2, 1), 0)",
    "_weight_norm_interface": "(m.arange(1.0, 7.0).view(2, 3), m.ones(1, 3), 1)",
    "embedding_bag": f"(m.arange(15.0).view(5, 3), m.tensor([1, 4, 2]), {LAST.replace('1', '3', 1)})",
    "fractional_max_pool2d_backward": "(m.ones(3, 2, 2), m.ones(3, 9, 9), [2, 2], [2, 2], m.ones(3, 2, 2).long())",
    "log_sigmoid_forward.output": "(m.arange(6.0), output=m.empty(0), buffer=m.empty(0))",
    "lstm.data": "(m.arange(20.0).view(5, 4), m.tensor([3, 2]), [m.ones(1, 3, 2)] * 2, "
    "[m.ones(8, 4), m.ones(8, 2), m.ones(8), m.ones(8)], True, 1, 0.0, False, False)",
    "lstm.input": "(m.ones(2, 3, 4), [m.ones(4, 2, 1)] * 2, [*[m.ones(4, 4), m.ones(4, 1)] * 2, "
    "*[m.ones(4, 2), m.ones(4, 1)] * 2], False, 2, 0.0, False, True, True)",
    "mkldnn_rnn_layer": "(m.ones(3, 2, 4), m.ones(20, 4), m.ones(20, 5), m.ones(20), m.ones(20), "
    "*[m.zeros(1, 2, 5)] * 2, False, [], 2, 5, 1, True, False, False, False)[:3]",  # the fourth is memory of its own
    "native_batch_norm_backward": "(m.ones(2, 3), m.arange(6.0).view(2, 3), m.ones(3), None, None, *[m.ones(3)] * 2, "
    "True, 0.5, [True] * 3)",
    "native_batch_norm_backward.out": "(m.ones(2, 3), m.arange(6.0).view(2, 3), None, *[m.ones(3)] * 2, None, None, "
    "False, 0.5, [True] * 3, out0=m.empty(0), out1=m.empty(0), out2=m.empty(0))",
    "pdist": "(m.arange(6.0, requires_grad=True).view(3, 2))",
    "range.out": "(0, -3, -1, out=m.zeros(4, dtype=m.int64))",
    "replication_pad2d_backward.grad_input": "(m.ones(3, 7, 7), m.ones(3, 3, 3), [2] * 4, grad_input=m.empty(0))",
    "rrelu_with_noise": "(m.arange(3.0), m.empty(3), 0.25, 0.25, True)",
    "set_.source_Tensor": "(m.zeros(3), m.ones(2, 2))",
    "tril.out": "(m.ones(4, 5, 5), out=m.ones(5, 4, 5).transpose(0, 1))",
    "triu.out": "(m.ones(2, 1, 5, 5), out=m.ones(5, 5, 2, 1).permute(2, 3, 0, 1))",
    "unfold_backward": "(m.ones(3, 2), [4], 0, 2, 1)",
}
"""Calls of some of them that mean something."""


def _call(module: ModuleType, name: str, arguments: str) -> Any:
    return eval(f"m.ops.aten.{name}{arguments}", {"m": module})


def _operators() -> set[str]:
    return {schema.full_name.removeprefix("aten::") for schema in all_schemas()}


@pytest.mark.parametrize(("name", "arguments"), [*ENDS.items(), *ENDS_TOO.items()])
def test_a_call_that_would_end_the_process_is_an_error(name: str, arguments: str) -> None:
    if name.partition(".")[0] not in {one.partition(".")[0] for one in _operators()}:
        pytest.skip("this libtorch has no such operator")
    with pytest.raises((RuntimeError, ValueError), match=r"may end the process|must be > 0"):
        _call(lt, name, arguments)


def test_every_operator_that_is_listed_as_refused_has_such_a_call() -> None:
    listed = {name.removeprefix("aten::").partition(".")[0] for name in refused() if name.startswith("aten::")}
    assert {name.partition(".")[0] for name in ENDS} >= listed
    assert all(what.startswith(("refused: ", "open: ")) for what in crashing().values())


@pytest.mark.parametrize(("name", "arguments"), MEANT.items())
def test_a_call_that_means_something_is_answered(torch: ModuleType, name: str, arguments: str) -> None:
    ours, theirs = _call(lt, name, arguments), _call(torch, name, arguments)
    assert _plain(ours) == _plain(theirs)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value


@pytest.mark.slow
def test_torch_survives_none_of_them(torch: ModuleType) -> None:
    """Where one is survived a release of libtorch has the check itself, and ours can go."""
    calls = {name: arguments for name, arguments in ENDS.items() if name not in MENDED}
    done = subprocess.run(
        [sys.executable, "-c", FORKS, json.dumps(calls)], capture_output=True, text=True, check=True, timeout=500
    )
    assert set(done.stdout.split()) == set(), torch.__version__


FORKS = """
import json, os, resource, sys, torch as m
m.set_num_threads(1)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for name, arguments in json.loads(sys.argv[1]).items():
    child = os.fork()
    if not child:
        try:
            eval(f"m.ops.aten.{name}{arguments}")
        finally:
            os._exit(0)
    if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
        print(name)
"""
"""Makes each call in a child of one process of torch, and prints what came back."""
