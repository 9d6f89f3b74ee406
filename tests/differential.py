"""Arguments for any operator, made from its schema; and what a call came to, in a form that two libraries share.

Owns the generator of the differential test: a `Blueprint` says what a tensor is, and builds it in torch or in
libtorch_ffi, bit for bit the same; `arguments` draws blueprints and plain values for a schema; `outcome` calls, and
turns results, changed arguments and exceptions into plain Python values. Never compares.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random
    from types import ModuleType
    from typing import Any

    from schemas import Argument, Schema

DTYPES = (
    "float32",
    "float64",
    "int64",
    "bool",
    "complex64",
    "bfloat16",
    "int32",
    "uint8",
    "float16",
    "complex128",
    "int16",
)
"""Those that operators are tried with, the likely ones first."""


@dataclass(frozen=True)
class Blueprint:
    """A strided tensor: the bytes of its storage and how to look at them."""

    storage: bytes
    dtype: str
    size: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool = False

    def build(self, library: ModuleType) -> Any:
        """Make it in a library (torch or ours)."""
        memory = library.from_numpy(np.frombuffer(bytearray(self.storage), np.uint8))
        tensor = memory.view(getattr(library, self.dtype)).as_strided(self.size, self.stride).detach()
        return tensor.requires_grad_() if self.requires_grad else tensor


@dataclass(frozen=True)
class Name:
    """A dtype, layout or memory format."""

    name: str

    def build(self, library: ModuleType) -> Any:
        """Look it up in a library."""
        return getattr(library, self.name)


@dataclass(frozen=True)
class Seed:
    """A generator."""

    seed: int

    def build(self, library: ModuleType) -> Any:
        """Make it in a library."""
        return library.Generator().manual_seed(self.seed)


@dataclass(frozen=True)
class Place:
    """A device."""

    device: str

    def build(self, library: ModuleType) -> Any:
        """Make it in a library."""
        return library.device(self.device)


def build(library: ModuleType, value: Any) -> Any:
    """Turn blueprints, and lists and dicts of them, into a library's objects."""
    if isinstance(value, (Blueprint, Name, Seed, Place)):
        return value.build(library)
    if isinstance(value, (list, tuple)):
        return type(value)(build(library, item) for item in value)
    if isinstance(value, dict):
        return {key: build(library, item) for key, item in value.items()}
    return value


def _elements(rng: Random, dtype: str, count: int, *, index: bool) -> bytes:
    """Small numbers, so that results are rarely out of range; indices are 0 or 1."""
    if index:
        numbers = np.array([rng.randrange(2) for _ in range(count)], dtype=np.float64)
    elif dtype in ("bool", "uint8"):
        numbers = np.array([rng.randrange(4) for _ in range(count)], dtype=np.float64)
    else:
        numbers = np.array([rng.randrange(-8, 9) / 4 for _ in range(count)], dtype=np.float64)
    if dtype == "bfloat16":
        return (numbers.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return (numbers != 0 if dtype == "bool" else numbers.astype(dtype)).tobytes()


_LAYOUTS = ("dense", "dense", "dense", "transposed", "strided", "expanded")


def blueprint(
    rng: Random, dtype: str, size: tuple[int, ...], *, index: bool = False, layouts: tuple[str, ...] = _LAYOUTS
) -> Blueprint:
    """Draw a tensor: dense, transposed, with gaps, or expanded."""
    layout = rng.choice(layouts)
    order = list(range(len(size)))
    if layout == "transposed":
        order.reverse()
    stride, step = [0] * len(size), 2 if layout == "strided" else 1
    for i in reversed(order):
        stride[i] = step
        step *= max(size[i], 1)
    if layout == "expanded" and size:
        stride[0] = 0
    reach = 1 + sum((length - 1) * skip for length, skip in zip(size, stride, strict=True)) if 0 not in size else 0
    return Blueprint(_elements(rng, dtype, reach, index=index), dtype, size, tuple(stride))


@dataclass(frozen=True)
class Profile:
    """What the tensors of one call have in common."""

    size: tuple[int, ...]
    dtype: str


_SIZES = (
    (2, 3),
    (3, 3),
    (2, 3),
    (4,),
    (),
    (2, 3, 4),
    (2, 3, 3),
    (0, 3),
    (1, 2, 4, 4),
    (2, 2, 5, 5),
    (2, 4, 4),
    (1, 2, 3, 4, 4),
)


def profile(rng: Random) -> Profile:
    """Draw one; floating point numbers twice as often as all else together."""
    return Profile(rng.choice(_SIZES), rng.choice(DTYPES if rng.random() < 0.4 else DTYPES[:2]))


_INDICES = (
    "index",
    "indices",
    "target",
    "offsets",
    "bucketize",
    "lengths",
    "segment_ids",
    "batch_sizes",
    "input_lengths",
)
_CHANNELS = (
    "bias",
    "running_mean",
    "running_var",
    "mean",
    "var",
    "invstd",
    "save_mean",
    "save_invstd",
    "scale",
    "scales",
)
_MASKS = ("mask", "condition", "found_inf", "attn_mask", "zero_point")


def _tensor(rng: Random, argument: Argument, common: Profile) -> Blueprint:
    size = common.size
    if argument.name in _INDICES:
        return blueprint(rng, "int64", size if rng.random() < 0.6 else (2,), index=True)
    if argument.name in _MASKS and rng.random() < 0.7:
        return blueprint(rng, "bool", size)
    if argument.name in _CHANNELS and len(size) > 1 and rng.random() < 0.8:
        # Statistics are written to, by many threads at once: each element needs a place of its own.
        return blueprint(rng, common.dtype, (size[1],), layouts=("dense", "strided"))
    if argument.name == "weight" and len(size) > 2 and rng.random() < 0.7:
        return blueprint(rng, common.dtype, (size[1], size[1], *(2,) * (len(size) - 2)))
    if argument.name == "weight" and len(size) == 2 and rng.random() < 0.5:
        return blueprint(rng, common.dtype, (2, size[1]))
    if rng.random() < 0.2:  # broadcasting
        size = rng.choice(
            ((), size[1:], tuple(1 if rng.random() < 0.5 else n for n in size), size[:-2] + size[-2:][::-1])
        )
    return blueprint(rng, common.dtype if rng.random() < 0.85 else rng.choice(DTYPES), size)


_TEXTS = {
    "reduce": ("sum", "mean", "amax", "prod"),
    "reduction": ("sum", "mean"),
    "rounding_mode": ("floor", "trunc"),
    "mode": ("reduced", "complete", "r", "wrap"),
    "UPLO": ("L", "U"),
    "driver": ("gelsd", "gels"),
    "approximate": ("none", "tanh"),
    "indexing": ("ij", "xy"),
    "equation": ("ij,ij->i", "ij->ji", "...i->..."),
    "padding": ("same", "valid"),
    "norm": ("ortho", "forward"),
    "side": ("left", "right"),
    "ord": ("fro", "nuc"),
    "p": ("fro",),
    "pad_mode": ("reflect", "constant"),
}
_POSITIVE = (
    "size",
    "kernel",
    "stride",
    "dilation",
    "output",
    "repeats",
    "groups",
    "chunks",
    "sections",
    "n",
    "steps",
    "blocks",
)


def _integer(rng: Random, name: str) -> int:
    if "dim" in name or "axis" in name:
        return rng.choice((0, -1, 1, 0, 2))
    if any(name.startswith(word) or name.endswith(word) for word in _POSITIVE):
        return rng.choice((1, 2, 3, 1))
    return rng.choice((0, 1, 2, -1, 3))


def _integers(rng: Random, argument: Argument, common: Profile) -> list[int]:
    name = argument.name
    if argument.length:
        length = rng.choice((argument.length, argument.length, 1))
        return [_integer(rng, name)] * length if rng.random() < 0.5 else [_integer(rng, name) for _ in range(length)]
    if "size" in name or name == "shape":
        return rng.choice((list(common.size), [-1], [2, 3], [1, *common.size], []))
    if name == "dims" and rng.random() < 0.5:
        return rng.sample(range(len(common.size)), len(common.size))
    return [_integer(rng, name) for _ in range(rng.choice((1, 2, 2, 4, 0)))]


_FORMATS = ("contiguous_format", "preserve_format", "channels_last")


def _plain(rng: Random, argument: Argument, common: Profile) -> Any:
    makers: dict[str, Callable[[], Any]] = {
        "int": lambda: _integer(rng, argument.name),
        "float": lambda: rng.choice((0.5, 1.0, 0.0, 2.0, -1.5)),
        "bool": lambda: rng.random() < 0.5,
        "complex": lambda: 1 + 2j,
        "str": lambda: rng.choice(_TEXTS.get(argument.name, ("mean",))),
        "Scalar": lambda: rng.choice((2, 0.5, 1, -1, 3.0, True, 1 + 2j)),
        "ScalarType": lambda: Name(rng.choice(DTYPES[:6])),
        "Layout": lambda: Name("strided"),
        "MemoryFormat": lambda: Name(rng.choice(_FORMATS)),
        "Device": lambda: Place("cpu"),
        "Generator": lambda: Seed(rng.randrange(100)),
        "int[]": lambda: _integers(rng, argument, common),
        "float[]": lambda: [rng.choice((0.5, 2.0)) for _ in range(rng.randrange(1, 3))],
        "bool[]": lambda: [rng.random() < 0.7 for _ in range(argument.length or 2)],
        "Scalar[]": lambda: [rng.choice((2, 0.5)) for _ in range(2)],
        "Tensor": lambda: _tensor(rng, argument, common),
        "Tensor[]": lambda: [_tensor(rng, argument, common) for _ in range(2)],
        "Tensor?[]": lambda: [blueprint(rng, "int64", (2,), index=True) if rng.random() < 0.6 else None],
    }
    return makers[argument.kind]()


class Unknown(Exception):  # noqa: N818 - no error: such an argument has no generator
    """An argument of a type that nothing is drawn for."""


def draw(rng: Random, argument: Argument, common: Profile) -> Any:
    """Draw one argument."""
    if argument.optional and rng.random() < 0.4:
        return None
    try:
        return _plain(rng, argument, common)
    except KeyError:
        raise Unknown(argument.type) from None


def arguments(rng: Random, schema: Schema) -> tuple[list[Any], dict[str, Any]]:
    """Draw the positional and the keyword arguments of one call; some that have defaults are left out."""
    common = profile(rng)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    leaves_out = False
    for argument in schema.arguments:
        if argument.has_default and (leaves_out or rng.random() < 0.4):
            leaves_out = leaves_out or not argument.keyword_only
            continue
        if argument.keyword_only:
            named[argument.name] = draw(rng, argument, common)
        else:
            positional.append(draw(rng, argument, common))
    return positional, named


def with_grad(value: Any) -> Any:
    """Let every floating tensor of a blueprint require grad."""
    if isinstance(value, Blueprint) and value.dtype in ("float64", "float32", "complex128"):
        return replace(value, requires_grad=True)
    return type(value)(map(with_grad, value)) if isinstance(value, (list, tuple)) else value


# What a call came to


def _bytes_of(library: ModuleType, tensor: Any) -> bytes:
    return bytes(tensor.contiguous().reshape(-1).view(library.uint8).numpy().tobytes())


def describe_tensor(library: ModuleType, tensor: Any, *, contents: bool) -> Any:
    """Everything that two equal tensors have in common."""
    grad = tensor.requires_grad
    tensor = tensor.detach()
    if tensor._is_zerotensor():  # zeros without memory
        tensor = tensor.clone()
    what = (str(tensor.dtype), tuple(tensor.shape), str(tensor.layout), str(tensor.device), bool(grad))
    if not contents or tensor.is_meta:
        return what
    if str(tensor.layout) == "torch.strided" and not tensor.is_quantized:
        flags = (tensor.is_conj(), tensor.is_neg())
        return (*what, tuple(tensor.stride()), *flags, _bytes_of(library, tensor.resolve_conj().resolve_neg()))
    return (*what, *(describe_tensor(library, part, contents=True) for part in _parts(tensor)))


def _parts(tensor: Any) -> list[Any]:
    """Return the strided tensors that a sparse or quantized one consists of."""
    layout = str(tensor.layout)
    if layout == "torch.sparse_coo":
        return [tensor._indices(), tensor._values()]
    if layout in ("torch.sparse_csr", "torch.sparse_bsr"):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if layout in ("torch.sparse_csc", "torch.sparse_bsc"):
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return [tensor.int_repr() if tensor.is_quantized else tensor.to_dense()]


def describe(library: ModuleType, value: Any, *, contents: bool = True) -> Any:
    """Turn a result into plain values that can be compared across libraries."""
    if isinstance(value, library.Tensor):
        return describe_tensor(library, value, contents=contents)
    if isinstance(value, (list, tuple)):
        kind = type(value).__name__ if isinstance(value, list) or not hasattr(value, "n_fields") else "named"
        return (kind, *(describe(library, item, contents=contents) for item in value))
    if isinstance(value, (float, complex)):
        number = complex(value)
        return (type(value).__name__, struct.pack("dd", number.real, number.imag))
    if isinstance(value, library.Generator):
        return describe(library, value.get_state())
    if value is None or isinstance(value, (bool, int, str)):
        return (type(value).__name__, value)
    return str(value)


@dataclass(frozen=True)
class Outcome:
    """What a call came to: a description of its result and of its arguments afterwards, or an exception."""

    value: Any
    error: str
    text: str = ""


def outcome(
    library: ModuleType, call: Callable[..., Any], args: list[Any], named: dict[str, Any], *, contents: bool
) -> Outcome:
    """Build the arguments, seed, call and describe."""
    built, built_named = build(library, args), build(library, named)
    library.manual_seed(7)
    try:
        result = call(*built, **built_named)
        after = describe(library, [*built, *built_named.values()], contents=contents)
        return Outcome((describe(library, result, contents=contents), after), "")
    except Exception as error:  # noqa: BLE001 - whatever it is, the other library must raise it too
        return Outcome(None, type(error).__name__.lstrip("_"), str(error))  # torch's LinAlgError is a private one


# Other forms of the same call, as torch's functions and methods take them


def _replaced(items: list[Any], index: int, value: Any) -> list[Any]:
    return [*items[:index], value, *items[index + 1 :]]


def _zero_dim(value: complex) -> Blueprint:
    """The 0-dim tensor of a number."""
    if isinstance(value, bool):
        return Blueprint(np.array(value).tobytes(), "bool", (), ())
    if isinstance(value, int):
        return Blueprint(np.array(value, np.int64).tobytes(), "int64", (), ())
    dtype = "float64" if isinstance(value, float) else "complex128"
    return Blueprint(np.array(value, dtype).tobytes(), dtype, (), ())


_ALIASES = {"self": "input", "dim": "axis", "keepdim": "keepdims", "other": "x2"}
# Not np.bool_, which torch reads as a float, nor np.complex64, of which torch drops the imaginary part: here they are
# what they are.
_NUMPY: dict[type, Callable[[Any], Any]] = {int: np.int64, float: np.float32, complex: np.complex128}


def forms(schema: Schema, args: list[Any], named: dict[str, Any]) -> list[tuple[str, list[Any], dict[str, Any]]]:
    """Each way of writing the same call, or one near it, that the schema makes possible; with its name."""
    found: list[tuple[str, list[Any], dict[str, Any]]] = []
    names = [argument.name for argument in schema.arguments]
    by_name = dict(zip(names, args, strict=False))
    if args:
        found.append(("keywords", [], {**by_name, **named}))
        found.append(
            ("all but the first by keyword", args[:1], {**dict(zip(names[1:], args[1:], strict=False)), **named})
        )
    if any(name in _ALIASES for name in names[: len(args)]):
        renamed = {_ALIASES.get(name, name): value for name, value in by_name.items()}
        found.append(("aliases", [], {**renamed, **named}))
    for i, (argument, value) in enumerate(zip(schema.arguments, args, strict=False)):
        found.extend((label, _replaced(args, i, other), named) for label, other in _other_values(argument, value))
    if args and schema.arguments[len(args) - 1].kind == "int[]" and isinstance(args[-1], list):
        found.append(("separate ints", [*args[:-1], *args[-1]], named))
    if "dtype" in names and "layout" in names:
        found.append(("requires_grad=", args, {**named, "requires_grad": True}))
    return found


def _other_values(argument: Argument, value: Any) -> list[tuple[str, Any]]:
    """Values that torch may take for `value`."""
    found: list[tuple[str, Any]] = []
    # No tensor for a bool: torch's functions read a 0-dim bool tensor as a list of dimensions, `std(x, tensor(True))`.
    if isinstance(value, (int, float, complex)) and not isinstance(value, bool):
        found.append(("NumPy scalar", _NUMPY[type(value)](value)))
        found.append(("0-dim tensor for a number", _zero_dim(value)))
        found.append(("bool for a number", bool(value)))
        if isinstance(value, int):
            found.append(("float for an int", float(value)))
    if isinstance(value, Blueprint) and argument.name != "self":
        found.extend((f"{type(number).__name__} for a Tensor", number) for number in (2, 0.5, True, 1j))
        found.append(("0-dim tensor of another dtype", _zero_dim(2.5 if "int" in value.dtype else 3)))
    if isinstance(value, list) and argument.kind == "int[]":
        found.append(("tuple", tuple(value)))
        found.append(("NumPy ints", [np.int64(item) for item in value]))
        if value and len(set(value)) == 1:
            found.append(("int for int[N]", value[0]))
    if isinstance(value, list) and argument.kind != "int[]":
        found.append(("tuple", tuple(value)))
    if argument.optional or argument.has_default:
        found.append(("None", None))
    return found
