"""A worker of the fuzzer: throws arguments of all kinds at the overloads that it is given.

Owns what is thrown. Plausible arguments come from the generator of the differential test, wild ones from the list
below; hypothesis mixes them. A call may answer or raise any Exception; that it comes back is what counts.
"""

from __future__ import annotations

import importlib
import os
import resource
import warnings
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import hypothesis.strategies as st
from differential import Blueprint, Name, Place, Seed, Unknown, blueprint, build, draw, profile
from hypothesis import HealthCheck, Phase, given, settings
from schemas import parse
from workers import answer, each_name

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from schemas import Argument, Schema
    from workers import Journal

CALLS = 6
"""Calls that one example of hypothesis makes."""
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1"))
LIBRARY = os.environ.get("FUZZ_LIBRARY", "libtorch_ffi")
MEMORY = 12 << 30
"""Bytes of address space that a worker may take: an operator that asks for more raises, and the machine lives."""


_SPECIAL: dict[str, Callable[[Any, Any], Any]] = {
    "sparse": lambda m, x: m.ops.aten.to_sparse.default(x),
    "csr": lambda m, x: m.ops.aten.to_sparse_csr.default(x),
    "quantized": lambda m, x: m.ops.aten.quantize_per_tensor.default(x, 0.5, 3, m.quint8),
    "meta": lambda m, x: m.ops.aten.to.device(x, m.device("meta"), m.float32),
    "conjugated": lambda m, x: m.ops.aten._conj.default(m.tensor([[1j, 2.0], [0.5, 1j]])),
    "negative": lambda m, x: m.ops.aten._neg_view.default(x),
    "zero": lambda m, x: m.ops.aten._efficientzerotensor.default([2, 2]),
    "grad": lambda m, x: m.tensor([[0.5, 1.5]], requires_grad=True),
    "nan": lambda m, x: m.tensor([[float("nan"), float("inf")], [-float("inf"), 0.0]]),
    "large ints": lambda m, x: m.tensor([2**62, -(2**62), -1, 7]),
    "many dimensions": lambda m, x: m.ops.aten.reshape.default(m.tensor([1.0]), [1] * 70),
    "huge empty": lambda m, x: m.ops.aten.empty.memory_format([2**40, 0, 3]),
    "nested": lambda m, x: m.ops.aten._nested_tensor_from_tensor_list.default([x, x]),
}
"""Tensors that are not plain strided memory, made from a module and a plain one."""


@dataclass(frozen=True)
class Special:
    """One of them."""

    kind: str

    def build(self, m: ModuleType) -> Any:
        """Make it in a library."""
        return _SPECIAL[self.kind](m, m.tensor([[0.0, 1.5], [-2.0, 0.0]]))


_HUGE = (2**31, -(2**31), 2**63 - 1, -(2**63), 2**63, 2**64, -(10**30), 2**40)
_WILD: tuple[Any, ...] = (
    None, True, -1, 0, 1, *_HUGE, float("nan"), float("inf"), -0.0, 1e308, 1j, complex("nan"),
    "", "mean", "\0", "cpu", "cuda:99", "\ud800", "x" * 1000, b"", b"bytes", bytearray(3),
    [], [[]], [None], [1, [2]], (), (1,), [2**63], [True], [0.5], ["a"], [object()], [-1] * 70, [0, 2**40], {}, {1: 2},
    float, int, object, object(), Ellipsis, slice(None), range(3), Name("float32"), Name("quint8"), Name("strided"),
    Name("sparse_coo"), Name("channels_last"), Place("cpu"), Place("meta"), Seed(1),
    Blueprint(b"", "float32", (0,), (1,)), Blueprint(bytes(8), "int64", (), ()),
    Blueprint(bytes(1), "bool", (1,), (1,)), Blueprint(bytes(16), "complex128", (), ()),
    Blueprint(b"\xff" * 32, "int64", (4,), (1,)), Blueprint(bytes(4), "float32", (3, 3), (0, 0)),
    *(Special(kind) for kind in _SPECIAL),
)  # fmt: skip


def _plausible(argument: Argument, seed: int) -> Any:
    rng = Random(seed)
    try:
        return draw(rng, argument, profile(rng))
    except Unknown:
        return None


def _value(argument: Argument) -> st.SearchStrategy[Any]:
    plausible = st.integers(0, 2**16).map(lambda seed: _plausible(argument, seed))
    wild = st.sampled_from(_WILD)
    lists = st.lists(wild, max_size=3) if argument.kind.endswith("[]") else wild
    return st.one_of(plausible, plausible, plausible, wild, lists)


@st.composite
def _call(pick: st.DrawFn, schema: Schema) -> tuple[list[Any], dict[str, Any]]:
    """Draw one call: the right number of arguments mostly, of one common shape half the time."""
    if pick(st.booleans()):
        rng = Random(pick(st.integers(0, 2**16)))
        common = profile(rng)
        values = {a.name: _common(rng, a, common) for a in schema.arguments}
        wild = pick(st.booleans())
        if values and wild:
            victim = pick(st.sampled_from(schema.arguments))
            values[victim.name] = pick(_value(victim))
    else:
        values = {a.name: pick(_value(a)) for a in schema.arguments}
    split = pick(st.integers(0, sum(not a.keyword_only for a in schema.arguments)))
    args = [values[a.name] for a in schema.arguments[:split]]
    named = {a.name: values[a.name] for a in schema.arguments[split:]}
    mistake = pick(st.sampled_from(("none", "none", "none", "extra", "unknown", "missing", "twice")))
    if mistake == "extra":
        args.append(pick(st.sampled_from(_WILD)))
    elif mistake == "unknown":
        named["no_such_argument"] = 1
    elif mistake == "missing" and named:
        named.pop(pick(st.sampled_from(sorted(named))))
    elif mistake == "twice" and split:
        named[schema.arguments[0].name] = args[0]
    return args, named


def _common(rng: Random, argument: Argument, common: Any) -> Any:
    try:
        return draw(rng, argument, common)
    except Unknown:
        return blueprint(rng, "float32", (2, 2))


def _make(library: ModuleType, value: Any) -> Any:
    if isinstance(value, Special):
        return value.build(library)
    if isinstance(value, list):
        return [_make(library, item) for item in value]
    return build(library, value)


def _throw(schema: Schema, faces: list[Any], library: ModuleType, journal: Journal) -> list[int]:
    """Let hypothesis make the calls; return how many came back, and how many of them answered."""
    counts = [0, 0]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(_call(schema), min_size=CALLS, max_size=CALLS))
    def throw(calls: list[tuple[list[Any], dict[str, Any]]]) -> None:
        for args, named in calls:
            for face in faces:
                journal.note(schema.full_name, f"{face!r} {args} {named}")
                counts[0] += 1
                try:
                    face(*(_make(library, v) for v in args), **{k: _make(library, v) for k, v in named.items()})
                    counts[1] += 1
                except Exception:  # noqa: BLE001, S110 - it may raise whatever it likes
                    pass

    throw()
    return counts


def main() -> None:
    """Throw at what the parent names, in the library that the environment names."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 24, 1 << 24))
    library: Any = importlib.import_module(LIBRARY)
    for name, journal in each_name():
        namespace, _, rest = name.partition("::")
        operator, _, overload = rest.partition(".")
        packet = getattr(getattr(library.ops, namespace), operator)
        schema = parse(getattr(getattr(getattr(lt.ops, namespace), operator), overload).schema)
        answer(name, _throw(schema, [getattr(packet, overload), packet], library, journal))


if __name__ == "__main__":
    main()
