"""Calls of the array API standard, written once for every namespace that keeps to it.

Owns the calls, as functions of a namespace, by a label that says what is called; `array_api_strict`, which refuses what
the standard does not allow, says which of them there are and what they answer. Never compares anything.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Call = Callable[[Any], Any]

INTEGERS = ("int8", "int16", "int32", "int64", "uint8")
REALS = ("float32", "float64")
COMPLEX = ("complex64", "complex128")
DTYPES = ("bool", *INTEGERS, *REALS, *COMPLEX)

ELEMENTS: dict[str, list[Any]] = {
    "bool": [True, False, True, True, False, False],
    "int8": [0, 1, -2, 3, 100, -128],
    "uint8": [0, 1, 2, 3, 200, 255],
    "real": [0.0, 1.5, -2.5, 0.25, 3e5, -0.0],
    "complex": [0j, 1 + 2j, -2.5 - 1j, 0.5j, 3 + 0j, -1 + 1j],
}
SPECIAL = [float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1.0]

UNARY = (
    *("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_invert", "ceil", "conj", "cos", "cosh", "exp"),
    *("expm1", "floor", "imag", "isfinite", "isinf", "isnan", "log", "log1p", "log2", "log10", "logical_not"),
    *("negative", "positive", "real", "reciprocal", "round", "sign", "signbit", "sin", "sinh", "sqrt", "square"),
    *("tan", "tanh", "trunc"),
)
BINARY = (
    *("add", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor"),
    *("copysign", "divide", "equal", "floor_divide", "greater", "greater_equal", "hypot", "less", "less_equal"),
    *("logaddexp", "logical_and", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "nextafter"),
    *("not_equal", "pow", "remainder", "subtract"),
)
ORDERED = ("greater", "greater_equal", "less", "less_equal", "maximum", "minimum")
"""Functions that complex numbers have not, whatever a namespace may let through."""

REDUCTIONS = ("all", "any", "count_nonzero", "max", "mean", "min", "prod", "std", "sum", "var")
AXES: tuple[dict[str, Any], ...] = (
    {},
    {"axis": 0},
    {"axis": -1, "keepdims": True},
    {"axis": (0, 1)},
    {"axis": ()},
    {"keepdims": True},
)


def elements(dtype: str) -> list[Any]:
    """Return six elements of a dtype."""
    kind = "int8" if dtype.startswith("int") else "real" if dtype in REALS else "complex" if dtype in COMPLEX else dtype
    return ELEMENTS[kind]


def array(xp: Any, dtype: str, shape: tuple[int, ...] = (2, 3)) -> Any:
    """Return an array of a dtype and a shape."""
    count = 1
    for length in shape:
        count *= length
    values = [elements(dtype)[i % 6] for i in range(count)]
    return xp.reshape(xp.asarray(values, dtype=getattr(xp, dtype)), shape)


def small(xp: Any, dtype: str, shape: tuple[int, ...] = (2, 3)) -> Any:
    """Return an array of small numbers, other than zero and positive, that no sum overflows."""
    count = 1
    for length in shape:
        count *= length
    values = [bool(i % 2) if dtype == "bool" else 1 + i % 5 for i in range(count)]
    return xp.reshape(xp.asarray(values, dtype=getattr(xp, dtype)), shape)


def calls() -> Iterator[tuple[str, Call]]:
    """Yield each call with its label."""
    for part in (
        _unary,
        _binary,
        _numbers,
        _reductions,
        _dtypes,
        _creation,
        _grids,
        _shapes,
        _searching,
        _linalg,
        _products,
        _fft,
    ):
        yield from part()


def _unary() -> Iterator[tuple[str, Call]]:
    for name, dtype, shape in itertools.product(UNARY, DTYPES, ((2, 3), (), (0, 2))):
        yield f"{name} {dtype} {shape}", lambda xp, n=name, d=dtype, s=shape: getattr(xp, n)(array(xp, d, s))
    for name, dtype in itertools.product(UNARY, REALS):
        yield (
            f"{name} {dtype} special",
            lambda xp, n=name, d=dtype: getattr(xp, n)(xp.asarray(SPECIAL, dtype=getattr(xp, d))),
        )


def _binary() -> Iterator[tuple[str, Call]]:
    shapes = (((2, 3), (2, 3)), ((), (2, 3)), ((2, 3), ()), ((3,), (2, 1)), ((), ()))
    for name, left, right in itertools.product(BINARY, DTYPES, DTYPES):
        for first, second in shapes:
            yield (
                f"{name} {left} {first} {right} {second}",
                lambda xp, n=name, a=(left, first), b=(right, second): getattr(xp, n)(small(xp, *a), small(xp, *b)),
            )
    for name, dtype in itertools.product(("maximum", "minimum", "equal", "less", "add", "multiply", "atan2"), REALS):
        yield (
            f"{name} {dtype} special",
            lambda xp, n=name, d=dtype: getattr(xp, n)(
                xp.asarray(SPECIAL, dtype=getattr(xp, d)), xp.asarray(SPECIAL[::-1], dtype=getattr(xp, d))
            ),
        )


def _numbers() -> Iterator[tuple[str, Call]]:
    for name, dtype, number in itertools.product(BINARY, DTYPES, (True, 2, 0.5, 1 + 2j)):
        if isinstance(number, complex) and name in ORDERED:
            continue
        yield f"{name} {dtype} {number}", lambda xp, n=name, d=dtype, v=number: getattr(xp, n)(small(xp, d), v)
        yield f"{name} {number} {dtype}", lambda xp, n=name, d=dtype, v=number: getattr(xp, n)(v, small(xp, d))
    for dtype in (*INTEGERS, *REALS):
        bounds: dict[str, dict[str, Any]] = {
            "min": {"min": 1},
            "max": {"max": 2},
            "both": {"min": 0, "max": 2},
            "none": {},
        }
        for label, options in bounds.items():
            yield f"clip {dtype} {label}", lambda xp, d=dtype, o=options: xp.clip(array(xp, d), **o)
        yield (
            f"clip {dtype} arrays",
            lambda xp, d=dtype: xp.clip(array(xp, d), small(xp, d, (3,)), small(xp, d, (2, 1))),
        )
        yield f"clip {dtype} mixed", lambda xp, d=dtype: xp.clip(array(xp, d), 0, small(xp, d, (3,)))
    for dtype, number in itertools.product(DTYPES, (True, 2, 0.5)):
        yield f"where {dtype} {number}", lambda xp, d=dtype, v=number: xp.where(small(xp, "bool"), small(xp, d), v)


def _reductions() -> Iterator[tuple[str, Call]]:
    for name, dtype, options in itertools.product(REDUCTIONS, DTYPES, AXES):
        yield f"{name} {dtype} {options}", lambda xp, n=name, d=dtype, o=options: getattr(xp, n)(small(xp, d), **o)
    for name, dtype in itertools.product(("sum", "prod"), DTYPES):
        yield f"{name} {dtype} ()", lambda xp, n=name, d=dtype: getattr(xp, n)(small(xp, d, ()))
        yield f"{name} {dtype} empty", lambda xp, n=name, d=dtype: getattr(xp, n)(small(xp, d, (0, 2)), axis=0)
        for wanted in ("int64", "float64"):
            yield (
                f"{name} {dtype} as {wanted}",
                lambda xp, n=name, d=dtype, w=wanted: getattr(xp, n)(small(xp, d), dtype=getattr(xp, w)),
            )
    for name, dtype in itertools.product(("std", "var"), REALS):
        yield (
            f"{name} {dtype} correction",
            lambda xp, n=name, d=dtype: getattr(xp, n)(small(xp, d), axis=1, correction=1),
        )
    for name, dtype in itertools.product(("cumulative_sum", "cumulative_prod"), DTYPES):
        for options in ({"axis": 0}, {"axis": -1, "include_initial": True}):
            yield f"{name} {dtype} {options}", lambda xp, n=name, d=dtype, o=options: getattr(xp, n)(small(xp, d), **o)
        yield f"{name} {dtype} vector", lambda xp, n=name, d=dtype: getattr(xp, n)(small(xp, d, (4,)))
    for name, dtype in itertools.product(("argmax", "argmin"), (*INTEGERS, *REALS)):
        for options in ({}, {"axis": 0}, {"axis": 1, "keepdims": True}, {"keepdims": True}):
            yield f"{name} {dtype} {options}", lambda xp, n=name, d=dtype, o=options: getattr(xp, n)(array(xp, d), **o)
    for options in ({}, {"axis": 0}, {"n": 2}, {"n": 0}):
        yield f"diff {options}", lambda xp, o=options: xp.diff(array(xp, "int64"), **o)
    yield (
        "diff both",
        lambda xp: xp.diff(
            array(xp, "float64"), prepend=small(xp, "float64", (2, 1)), append=small(xp, "float64", (2, 2))
        ),
    )


def _dtypes() -> Iterator[tuple[str, Call]]:
    for left, right in itertools.product(DTYPES, DTYPES):
        yield f"result_type {left} {right}", lambda xp, a=left, b=right: xp.result_type(getattr(xp, a), getattr(xp, b))
        yield f"can_cast {left} {right}", lambda xp, a=left, b=right: xp.can_cast(getattr(xp, a), getattr(xp, b))
        yield f"can_cast array {left} {right}", lambda xp, a=left, b=right: xp.can_cast(array(xp, a), getattr(xp, b))
        yield f"astype {left} {right}", lambda xp, a=left, b=right: xp.astype(small(xp, a), getattr(xp, b))
    kinds = ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric")
    for dtype in DTYPES:
        for kind in (*kinds, ("integral", "bool"), ("complex floating",), "nonsense"):
            yield f"isdtype {dtype} {kind}", lambda xp, d=dtype, k=kind: xp.isdtype(getattr(xp, d), k)
        for number in (True, 2, 0.5, 1j):
            yield f"result_type {dtype} {number}", lambda xp, d=dtype, v=number: xp.result_type(getattr(xp, d), v)
    for dtype in (*REALS, *COMPLEX):
        for name in ("bits", "eps", "max", "min", "smallest_normal", "dtype"):
            yield f"finfo {dtype} {name}", lambda xp, d=dtype, n=name: getattr(xp.finfo(getattr(xp, d)), n)
    for dtype, name in itertools.product(INTEGERS, ("bits", "max", "min", "dtype")):
        yield f"iinfo {dtype} {name}", lambda xp, d=dtype, n=name: getattr(xp.iinfo(getattr(xp, d)), n)


def _creation() -> Iterator[tuple[str, Call]]:
    for arguments in ((3,), (1, 4), (5, 0, -2), (3, 0), (0, 10, 3)):
        yield f"arange {arguments}", lambda xp, a=arguments: xp.arange(*a)
    for name, dtype in itertools.product(("zeros", "ones"), DTYPES):
        for shape in (3, (2, 3), (), (0, 2)):
            yield (
                f"{name} {shape} {dtype}",
                lambda xp, n=name, s=shape, d=dtype: getattr(xp, n)(s, dtype=getattr(xp, d)),
            )
        yield f"{name}_like {dtype}", lambda xp, n=name, d=dtype: getattr(xp, f"{n}_like")(array(xp, d))
    for reals in ((0, 1, 0.25), (2.0, 2.0), (1.5,)):
        yield f"arange {reals}", lambda xp, a=reals: xp.arange(*a, dtype=xp.float64)
    for value in (2.5, 1j):
        yield f"full {value}", lambda xp, v=value: xp.full((2, 2), v, dtype=xp.complex128)
    for value in (True, 3):
        yield f"full {value}", lambda xp, v=value: xp.full((2, 2), v)
        yield f"full_like {value}", lambda xp, v=value: xp.full_like(array(xp, "complex128"), v)
        yield f"asarray {value}", lambda xp, v=value: xp.asarray([v, v])
    for name in ("zeros", "ones"):
        yield f"{name} default", lambda xp, n=name: getattr(xp, n)(2, dtype=xp.float64)


def _grids() -> Iterator[tuple[str, Call]]:
    for options in ((3,), (2, 4), (4, 2), (0,)):
        for k in (-5, -1, 0, 1, 5):
            yield f"eye {options} {k}", lambda xp, o=options, k=k: xp.eye(*o, k=k, dtype=xp.float64)
    for num, endpoint in itertools.product((0, 1, 2, 5), (True, False)):
        yield (
            f"linspace {num} {endpoint}",
            lambda xp, n=num, e=endpoint: xp.linspace(0.0, 2.0, n, endpoint=e, dtype=xp.float64),
        )
    for indexing in ("xy", "ij"):
        yield f"meshgrid {indexing}", lambda xp, i=indexing: xp.meshgrid(xp.arange(2), xp.arange(3), indexing=i)
    yield "meshgrid one", lambda xp: xp.meshgrid(xp.arange(3))
    yield "meshgrid three", lambda xp: xp.meshgrid(xp.arange(2), xp.arange(3), xp.arange(4))
    for name, k in itertools.product(("tril", "triu"), (-1, 0, 1)):
        yield f"{name} {k}", lambda xp, n=name, k=k: getattr(xp, n)(small(xp, "float64", (2, 3, 3)), k=k)
    yield "asarray copy", lambda xp: xp.asarray(array(xp, "int32"), copy=True)
    yield "from_dlpack", lambda xp: xp.from_dlpack(array(xp, "float64"))


def _shapes() -> Iterator[tuple[str, Call]]:
    def a(xp: Any) -> Any:
        return array(xp, "float64")

    def b(xp: Any) -> Any:
        return small(xp, "int64", (2, 3))

    yield "broadcast_arrays", lambda xp: xp.broadcast_arrays(a(xp), small(xp, "int8", (3,)), small(xp, "bool", ()))
    yield "broadcast_to", lambda xp: xp.broadcast_to(a(xp), (4, 2, 3))
    for axis in (0, 1, -1, None):
        yield f"concat {axis}", lambda xp, x=axis: xp.concat([a(xp), small(xp, "float32")], axis=x)
    yield "concat ()", lambda xp: xp.concat([small(xp, "int8", ()), small(xp, "int16", ())], axis=None)
    for axis in (0, 1, -1, 2):
        yield f"stack {axis}", lambda xp, x=axis: xp.stack([b(xp), small(xp, "int32")], axis=x)
        yield f"expand_dims {axis}", lambda xp, x=axis: xp.expand_dims(a(xp), axis=x)
    for axis in (0, 1, -1):
        yield f"unstack {axis}", lambda xp, x=axis: xp.unstack(a(xp), axis=x)
        yield f"sort {axis}", lambda xp, x=axis: xp.sort(a(xp), axis=x)
        yield f"flip {axis}", lambda xp, x=axis: xp.flip(a(xp), axis=x)
    yield "flip", lambda xp: xp.flip(a(xp))
    yield "flip both", lambda xp: xp.flip(a(xp), axis=(0, 1))
    yield "moveaxis", lambda xp: xp.moveaxis(small(xp, "int8", (2, 3, 4)), 0, -1)
    yield "moveaxis several", lambda xp: xp.moveaxis(small(xp, "int8", (2, 3, 4)), (0, 1), (-1, 0))
    yield "permute_dims", lambda xp: xp.permute_dims(small(xp, "int8", (2, 3, 4)), (2, 0, 1))
    for options in ({}, {"axis": 0}, {"axis": 1}):
        yield f"repeat {options}", lambda xp, o=options: xp.repeat(a(xp), 2, **o)
    yield "repeat array", lambda xp: xp.repeat(a(xp), xp.asarray([1, 0, 2]), axis=1)
    for copy in (None, True, False):
        yield f"reshape {copy}", lambda xp, c=copy: xp.reshape(a(xp), (3, -1), copy=c)
    for shift, places in ((1, None), (-2, 0), (1, 1), ((1, 2), (0, 1)), (1, (0, 1))):
        yield f"roll {shift} {places}", lambda xp, s=shift, x=places: xp.roll(a(xp), s, axis=x)
    yield "squeeze", lambda xp: xp.squeeze(small(xp, "int8", (1, 2, 1)), axis=0)
    yield "squeeze both", lambda xp: xp.squeeze(small(xp, "int8", (1, 2, 1)), axis=(0, 2))
    for repetitions in ((2,), (2, 1), (1, 2, 3)):
        yield f"tile {repetitions}", lambda xp, r=repetitions: xp.tile(a(xp), r)
    yield "take", lambda xp: xp.take(a(xp), xp.asarray([2, 0, 2]), axis=1)
    yield "take vector", lambda xp: xp.take(small(xp, "int8", (4,)), xp.asarray([3, 1]))
    yield "take_along_axis", lambda xp: xp.take_along_axis(a(xp), xp.asarray([[0, 2], [1, 1]]), axis=1)


def _searching() -> Iterator[tuple[str, Call]]:
    for name, dtype in itertools.product(("sort", "argsort"), (*INTEGERS, *REALS)):
        for descending in (False, True):
            yield (
                f"{name} {dtype} {descending}",
                lambda xp, n=name, d=dtype, r=descending: getattr(xp, n)(
                    array(xp, d, (3, 4)), descending=r, stable=True
                ),
            )
    for dtype in DTYPES:
        yield f"nonzero {dtype}", lambda xp, d=dtype: xp.nonzero(array(xp, d))
        yield f"where {dtype}", lambda xp, d=dtype: xp.where(small(xp, "bool"), small(xp, d), small(xp, d, ()))
    for side in ("left", "right"):
        yield (
            f"searchsorted {side}",
            lambda xp, s=side: xp.searchsorted(
                xp.asarray([1.0, 2.0, 2.0, 3.0]), xp.asarray([[0.0, 2.0], [3.0, 9.0]]), side=s
            ),
        )
    yield (
        "searchsorted sorter",
        lambda xp: xp.searchsorted(xp.asarray([3, 1, 2]), xp.asarray([2, 3]), sorter=xp.asarray([1, 2, 0])),
    )
    names = ("unique_all", "unique_counts", "unique_inverse", "unique_values")
    for name, dtype in itertools.product(names, ("bool", *INTEGERS, *REALS)):
        yield f"{name} {dtype}", lambda xp, n=name, d=dtype: getattr(xp, n)(small(xp, d, (3, 4)))
    for name in names:
        yield f"{name} of nothing", lambda xp, n=name: getattr(xp, n)(small(xp, "float64", (0,)))


def _linalg() -> Iterator[tuple[str, Call]]:
    def square(xp: Any, dtype: str) -> Any:
        values = [[4.0, 1.0, 0.5], [1.0, 3.0, 0.25], [0.5, 0.25, 2.0]]
        return xp.asarray([values, values], dtype=getattr(xp, dtype))

    plain = ("cholesky", "det", "eigh", "eigvalsh", "inv", "matrix_norm", "matrix_rank", "pinv", "slogdet", "svdvals")
    for name, dtype in itertools.product(
        (*plain, "diagonal", "trace", "vector_norm", "matrix_transpose"), (*REALS, *COMPLEX)
    ):
        yield f"linalg.{name} {dtype}", lambda xp, n=name, d=dtype: getattr(xp.linalg, n)(square(xp, d))
    for offset in (-1, 1):
        yield (
            f"linalg.diagonal {offset}",
            lambda xp, o=offset: xp.linalg.diagonal(small(xp, "int8", (2, 3, 3)), offset=o),
        )
        yield f"linalg.trace {offset}", lambda xp, o=offset: xp.linalg.trace(small(xp, "int8", (2, 3, 3)), offset=o)
    for order in ("fro", "nuc", 1, 2, -1, -2, float("inf"), -float("inf")):
        yield f"linalg.matrix_norm {order}", lambda xp, o=order: xp.linalg.matrix_norm(square(xp, "float64"), ord=o)
    for order, options in itertools.product((0, 1, 2, 3.5, float("inf"), -float("inf")), AXES):
        yield (
            f"linalg.vector_norm {order} {options}",
            lambda xp, r=order, o=options: xp.linalg.vector_norm(small(xp, "float64"), ord=r, **o),
        )
    for n in (-2, 0, 1, 3):
        yield f"linalg.matrix_power {n}", lambda xp, n=n: xp.linalg.matrix_power(square(xp, "float64"), n)
    for shape in ((3,), (3, 2), (2, 3, 2), (2, 3, 3)):
        yield (
            f"linalg.solve {shape}",
            lambda xp, s=shape: xp.linalg.solve(square(xp, "float64"), small(xp, "float64", s)),
        )
    yield "linalg.cholesky upper", lambda xp: xp.linalg.cholesky(square(xp, "float64"), upper=True)
    yield "linalg.matrix_rank rtol", lambda xp: xp.linalg.matrix_rank(square(xp, "float64"), rtol=0.5)
    yield "linalg.pinv rtol", lambda xp: xp.linalg.pinv(square(xp, "float64"), rtol=0.5)


def _products() -> Iterator[tuple[str, Call]]:
    pairs = [*itertools.product(INTEGERS, repeat=2), *itertools.product((*REALS, *COMPLEX), repeat=2)]
    for left, right in pairs:  # of one kind: the standard knows no others
        yield f"matmul {left} {right}", lambda xp, a=left, b=right: xp.matmul(small(xp, a), small(xp, b, (3, 2)))
        yield f"vecdot {left} {right}", lambda xp, a=left, b=right: xp.vecdot(small(xp, a), small(xp, b, (3,)))
        yield (
            f"linalg.outer {left} {right}",
            lambda xp, a=left, b=right: xp.linalg.outer(small(xp, a, (2,)), small(xp, b, (3,))),
        )
        yield (
            f"tensordot {left} {right}",
            lambda xp, a=left, b=right: xp.tensordot(small(xp, a), small(xp, b, (3, 2)), axes=1),
        )
    for axes in (0, 1, ((0,), (1,)), ((0, 1), (1, 0))):
        yield (
            f"tensordot {axes}",
            lambda xp, x=axes: xp.tensordot(small(xp, "int64"), small(xp, "int64", (3, 2)), axes=x),
        )
    for shapes in (((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 2, 3), (3, 5)), ((4, 2, 3), (4, 3, 1))):
        yield f"matmul {shapes}", lambda xp, s=shapes: xp.matmul(small(xp, "float64", s[0]), small(xp, "float64", s[1]))
    yield "vecdot axis", lambda xp: xp.vecdot(small(xp, "complex128", (3, 4)), array(xp, "complex128", (3, 4)), axis=-2)
    yield "vecdot lengths", lambda xp: xp.vecdot(small(xp, "int8", (3,)), small(xp, "int8", (1,)))
    yield "linalg.cross", lambda xp: xp.linalg.cross(array(xp, "float64"), small(xp, "float64", (3,)))
    yield (
        "linalg.cross axis",
        lambda xp: xp.linalg.cross(array(xp, "int64", (3, 2)), small(xp, "int64", (3, 2)), axis=0),
    )


def _fft() -> Iterator[tuple[str, Call]]:
    along = {"fft": COMPLEX, "ifft": COMPLEX, "rfft": REALS, "irfft": COMPLEX, "hfft": COMPLEX, "ihfft": REALS}
    for name, dtypes in along.items():
        for dtype, norm in itertools.product(dtypes, ("backward", "ortho", "forward")):
            yield (
                f"fft.{name} {dtype} {norm}",
                lambda xp, n=name, d=dtype, m=norm: getattr(xp.fft, n)(small(xp, d, (2, 6)), norm=m),
            )
        yield f"fft.{name} n", lambda xp, n=name, d=dtypes[1]: getattr(xp.fft, n)(small(xp, d, (4, 6)), n=5, axis=0)
    for name, dtypes in {"fftn": COMPLEX, "ifftn": COMPLEX, "rfftn": REALS, "irfftn": COMPLEX}.items():
        yield f"fft.{name}", lambda xp, n=name, d=dtypes[1]: getattr(xp.fft, n)(small(xp, d, (4, 6)))
        yield (
            f"fft.{name} s",
            lambda xp, n=name, d=dtypes[0]: getattr(xp.fft, n)(small(xp, d, (4, 6)), s=(3, 8), axes=(1, 0)),
        )
    for name, n in itertools.product(("fftfreq", "rfftfreq"), (1, 5, 6)):
        yield f"fft.{name} {n}", lambda xp, f=name, n=n: getattr(xp.fft, f)(n, d=0.5, dtype=xp.float64)
    for name, axes in itertools.product(("fftshift", "ifftshift"), (None, 0, (0, 1))):
        yield f"fft.{name} {axes}", lambda xp, f=name, x=axes: getattr(xp.fft, f)(array(xp, "float64", (3, 4)), axes=x)
