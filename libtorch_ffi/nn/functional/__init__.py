"""The functions that networks are made of, under torch's names: ``nn.functional.relu`` and its like.

Owns the table of names that are one operator of aten each, with the operator's own arguments. The others, which torch
writes in Python around operators, are in the modules here, one a topic. Left out: multi-head attention as one
function (`scaled_dot_product_attention` is here), fractional pooling, unpooling, and what torch has deprecated.
"""

from __future__ import annotations

import sys

from libtorch_ffi._binding import core
from libtorch_ffi.nn.functional.activation import (
    alpha_dropout,
    celu,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    elu,
    feature_alpha_dropout,
    glu,
    gumbel_softmax,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    mish,
    relu,
    relu6,
    rrelu,
    selu,
    silu,
    softmax,
    softmin,
    softsign,
    tanhshrink,
    threshold,
)
from libtorch_ffi.nn.functional.image import affine_grid, fold, grid_sample, interpolate, unfold, upsample
from libtorch_ffi.nn.functional.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cross_entropy,
    ctc_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    margin_ranking_loss,
    mse_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
    triplet_margin_loss,
)
from libtorch_ffi.nn.functional.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    normalize,
    rms_norm,
)
from libtorch_ffi.nn.functional.pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    lp_pool1d,
    lp_pool2d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from libtorch_ffi.nn.functional.sparse import embedding, embedding_bag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libtorch_ffi._C import OverloadPacket

    adaptive_avg_pool1d: OverloadPacket
    avg_pool1d: OverloadPacket
    avg_pool2d: OverloadPacket
    avg_pool3d: OverloadPacket
    bilinear: OverloadPacket
    celu_: OverloadPacket
    channel_shuffle: OverloadPacket
    conv1d: OverloadPacket
    conv2d: OverloadPacket
    conv3d: OverloadPacket
    conv_tbc: OverloadPacket
    conv_transpose1d: OverloadPacket
    conv_transpose2d: OverloadPacket
    conv_transpose3d: OverloadPacket
    cosine_similarity: OverloadPacket
    elu_: OverloadPacket
    gelu: OverloadPacket
    hardshrink: OverloadPacket
    hardtanh_: OverloadPacket
    leaky_relu_: OverloadPacket
    linear: OverloadPacket
    logsigmoid: OverloadPacket
    one_hot: OverloadPacket
    pad: OverloadPacket
    pairwise_distance: OverloadPacket
    pdist: OverloadPacket
    pixel_shuffle: OverloadPacket
    pixel_unshuffle: OverloadPacket
    prelu: OverloadPacket
    relu_: OverloadPacket
    rrelu_: OverloadPacket
    scaled_dot_product_attention: OverloadPacket
    selu_: OverloadPacket
    sigmoid: OverloadPacket
    softplus: OverloadPacket
    softshrink: OverloadPacket
    tanh: OverloadPacket
    threshold_: OverloadPacket

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "affine_grid",
    "alpha_dropout",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "cosine_embedding_loss",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "fold",
    "gaussian_nll_loss",
    "glu",
    "grid_sample",
    "group_norm",
    "gumbel_softmax",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "local_response_norm",
    "log_softmax",
    "lp_pool1d",
    "lp_pool2d",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "poisson_nll_loss",
    "relu",
    "relu6",
    "rms_norm",
    "rrelu",
    "selu",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softsign",
    "tanhshrink",
    "threshold",
    "triplet_margin_loss",
    "unfold",
    "upsample",
]

_OPERATORS = {
    "adaptive_avg_pool1d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "bilinear",
    "celu_",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_tbc",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_similarity",
    "elu_",
    "gelu",
    "hardshrink",
    "hardtanh_",
    "leaky_relu_",
    "linear",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pdist",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "relu_",
    "rrelu_",
    "scaled_dot_product_attention",
    "selu_",
    "sigmoid",
    "softplus",
    "softshrink",
    "tanh",
    "threshold_",
}
"""Names that are an operator's of aten."""

_RENAMED = {"logsigmoid": "log_sigmoid"}
"""Names whose operator is called otherwise."""


if not TYPE_CHECKING:  # for whom every name would be here

    def __getattr__(name: str) -> object:
        known = name in _OPERATORS or name in _RENAMED
        packet = core.function_packet(f"aten::{_RENAMED.get(name, name)}") if known else None
        if packet is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        setattr(sys.modules[__name__], name, packet)
        return packet


def __dir__() -> list[str]:
    return sorted({*__all__, *_OPERATORS, *_RENAMED})
