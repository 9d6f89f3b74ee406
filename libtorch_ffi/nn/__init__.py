"""Networks: functions, modules, beginnings and clipping, under torch's names.

Owns nothing: `libtorch_ffi.nn.functional` has the functions; `libtorch_ffi.nn.module` a small `Module`, of which the
others are made, a file a kind; `libtorch_ffi.nn.init` fills parameters before training, and `libtorch_ffi.nn.utils`
clips gradients.
"""

import importlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libtorch_ffi.nn import functional as functional
    from libtorch_ffi.nn import init as init
    from libtorch_ffi.nn import utils as utils
    from libtorch_ffi.nn.activation import CELU as CELU
    from libtorch_ffi.nn.activation import ELU as ELU
    from libtorch_ffi.nn.activation import GELU as GELU
    from libtorch_ffi.nn.activation import GLU as GLU
    from libtorch_ffi.nn.activation import SELU as SELU
    from libtorch_ffi.nn.activation import Hardsigmoid as Hardsigmoid
    from libtorch_ffi.nn.activation import Hardswish as Hardswish
    from libtorch_ffi.nn.activation import Hardtanh as Hardtanh
    from libtorch_ffi.nn.activation import LeakyReLU as LeakyReLU
    from libtorch_ffi.nn.activation import LogSigmoid as LogSigmoid
    from libtorch_ffi.nn.activation import LogSoftmax as LogSoftmax
    from libtorch_ffi.nn.activation import Mish as Mish
    from libtorch_ffi.nn.activation import PReLU as PReLU
    from libtorch_ffi.nn.activation import ReLU as ReLU
    from libtorch_ffi.nn.activation import ReLU6 as ReLU6
    from libtorch_ffi.nn.activation import Sigmoid as Sigmoid
    from libtorch_ffi.nn.activation import SiLU as SiLU
    from libtorch_ffi.nn.activation import Softmax as Softmax
    from libtorch_ffi.nn.activation import Softplus as Softplus
    from libtorch_ffi.nn.activation import Softsign as Softsign
    from libtorch_ffi.nn.activation import Tanh as Tanh
    from libtorch_ffi.nn.attention import MultiheadAttention as MultiheadAttention
    from libtorch_ffi.nn.containers import ModuleDict as ModuleDict
    from libtorch_ffi.nn.containers import ModuleList as ModuleList
    from libtorch_ffi.nn.containers import ParameterList as ParameterList
    from libtorch_ffi.nn.containers import Sequential as Sequential
    from libtorch_ffi.nn.convolution import Conv1d as Conv1d
    from libtorch_ffi.nn.convolution import Conv2d as Conv2d
    from libtorch_ffi.nn.convolution import Conv3d as Conv3d
    from libtorch_ffi.nn.convolution import ConvTranspose1d as ConvTranspose1d
    from libtorch_ffi.nn.convolution import ConvTranspose2d as ConvTranspose2d
    from libtorch_ffi.nn.convolution import ConvTranspose3d as ConvTranspose3d
    from libtorch_ffi.nn.layers import Dropout as Dropout
    from libtorch_ffi.nn.layers import Dropout1d as Dropout1d
    from libtorch_ffi.nn.layers import Dropout2d as Dropout2d
    from libtorch_ffi.nn.layers import Dropout3d as Dropout3d
    from libtorch_ffi.nn.layers import Embedding as Embedding
    from libtorch_ffi.nn.layers import Flatten as Flatten
    from libtorch_ffi.nn.layers import Identity as Identity
    from libtorch_ffi.nn.layers import Linear as Linear
    from libtorch_ffi.nn.layers import Unflatten as Unflatten
    from libtorch_ffi.nn.loss import BCELoss as BCELoss
    from libtorch_ffi.nn.loss import BCEWithLogitsLoss as BCEWithLogitsLoss
    from libtorch_ffi.nn.loss import CrossEntropyLoss as CrossEntropyLoss
    from libtorch_ffi.nn.loss import HuberLoss as HuberLoss
    from libtorch_ffi.nn.loss import KLDivLoss as KLDivLoss
    from libtorch_ffi.nn.loss import L1Loss as L1Loss
    from libtorch_ffi.nn.loss import MSELoss as MSELoss
    from libtorch_ffi.nn.loss import NLLLoss as NLLLoss
    from libtorch_ffi.nn.loss import PoissonNLLLoss as PoissonNLLLoss
    from libtorch_ffi.nn.loss import SmoothL1Loss as SmoothL1Loss
    from libtorch_ffi.nn.loss import SoftMarginLoss as SoftMarginLoss
    from libtorch_ffi.nn.module import Module as Module
    from libtorch_ffi.nn.module import Parameter as Parameter
    from libtorch_ffi.nn.normalization import BatchNorm1d as BatchNorm1d
    from libtorch_ffi.nn.normalization import BatchNorm2d as BatchNorm2d
    from libtorch_ffi.nn.normalization import BatchNorm3d as BatchNorm3d
    from libtorch_ffi.nn.normalization import GroupNorm as GroupNorm
    from libtorch_ffi.nn.normalization import LayerNorm as LayerNorm
    from libtorch_ffi.nn.normalization import RMSNorm as RMSNorm
    from libtorch_ffi.nn.pooling import AdaptiveAvgPool1d as AdaptiveAvgPool1d
    from libtorch_ffi.nn.pooling import AdaptiveAvgPool2d as AdaptiveAvgPool2d
    from libtorch_ffi.nn.pooling import AdaptiveAvgPool3d as AdaptiveAvgPool3d
    from libtorch_ffi.nn.pooling import AdaptiveMaxPool1d as AdaptiveMaxPool1d
    from libtorch_ffi.nn.pooling import AdaptiveMaxPool2d as AdaptiveMaxPool2d
    from libtorch_ffi.nn.pooling import AdaptiveMaxPool3d as AdaptiveMaxPool3d
    from libtorch_ffi.nn.pooling import AvgPool1d as AvgPool1d
    from libtorch_ffi.nn.pooling import AvgPool2d as AvgPool2d
    from libtorch_ffi.nn.pooling import AvgPool3d as AvgPool3d
    from libtorch_ffi.nn.pooling import MaxPool1d as MaxPool1d
    from libtorch_ffi.nn.pooling import MaxPool2d as MaxPool2d
    from libtorch_ffi.nn.pooling import MaxPool3d as MaxPool3d
    from libtorch_ffi.nn.pooling import Upsample as Upsample
    from libtorch_ffi.nn.recurrent import GRU as GRU
    from libtorch_ffi.nn.recurrent import LSTM as LSTM
    from libtorch_ffi.nn.recurrent import RNN as RNN

_MODULES = ("functional", "init", "utils")
_CLASSES = {
    "activation": (
        "CELU",
        "ELU",
        "GELU",
        "GLU",
        "Hardsigmoid",
        "Hardswish",
        "Hardtanh",
        "LeakyReLU",
        "LogSigmoid",
        "LogSoftmax",
        "Mish",
        "PReLU",
        "ReLU",
        "ReLU6",
        "SELU",
        "SiLU",
        "Sigmoid",
        "Softmax",
        "Softplus",
        "Softsign",
        "Tanh",
    ),
    "attention": ("MultiheadAttention",),
    "containers": ("ModuleDict", "ModuleList", "ParameterList", "Sequential"),
    "convolution": ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"),
    "layers": (
        "Dropout",
        "Dropout1d",
        "Dropout2d",
        "Dropout3d",
        "Embedding",
        "Flatten",
        "Identity",
        "Linear",
        "Unflatten",
    ),
    "loss": (
        "BCELoss",
        "BCEWithLogitsLoss",
        "CrossEntropyLoss",
        "HuberLoss",
        "KLDivLoss",
        "L1Loss",
        "MSELoss",
        "NLLLoss",
        "PoissonNLLLoss",
        "SmoothL1Loss",
        "SoftMarginLoss",
    ),
    "module": ("Module", "Parameter"),
    "normalization": ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "LayerNorm", "RMSNorm"),
    "pooling": (
        "AdaptiveAvgPool1d",
        "AdaptiveAvgPool2d",
        "AdaptiveAvgPool3d",
        "AdaptiveMaxPool1d",
        "AdaptiveMaxPool2d",
        "AdaptiveMaxPool3d",
        "AvgPool1d",
        "AvgPool2d",
        "AvgPool3d",
        "MaxPool1d",
        "MaxPool2d",
        "MaxPool3d",
        "Upsample",
    ),
    "recurrent": ("GRU", "LSTM", "RNN"),
}
_HOMES = {name: home for home, names in _CLASSES.items() for name in names}
"""The classes, and which module defines them: it is imported when one is named."""


if not TYPE_CHECKING:  # for whom every name would be here

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            return importlib.import_module(f"libtorch_ffi.nn.{name}")
        if name in _HOMES:
            return getattr(importlib.import_module(f"libtorch_ffi.nn.{_HOMES[name]}"), name)
        hint = ": if torch has it, nn.functional has what it computes" if name[:1].isupper() else ""
        text = f"module 'libtorch_ffi.nn' has no attribute {name!r}{hint}"
        raise AttributeError(text, name=name, obj=sys.modules[__name__])  # Python looks for one that is spelled alike


def __dir__() -> list[str]:
    return sorted({*_MODULES, *_HOMES})
