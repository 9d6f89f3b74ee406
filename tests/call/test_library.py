"""Operators that are written in Python: `library.Library`, `define` and `impl`."""

from __future__ import annotations

import itertools
import threading

import pytest

import libtorch_ffi as lt
from libtorch_ffi.library import Library, define, impl

_names = (f"written{number}" for number in itertools.count())


@pytest.fixture
def name() -> str:
    """Return a namespace that no other test has: what is registered stays."""
    return next(_names)


def test_a_function_made_of_operators_works_and_differentiates(name: str) -> None:
    library = Library(name, "DEF")
    assert library.define("scaled(Tensor x, *, Scalar by=2) -> Tensor") == "scaled"
    library.impl("scaled", lambda x, by: x * by)
    operator = getattr(lt.ops, name).scaled
    x = lt.tensor([1.0, 2.0], requires_grad=True)
    assert operator(x, by=3).tolist() == [3.0, 6.0]
    operator(x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    assert operator.__doc__ == f"{name}::scaled(Tensor x, *, Scalar by=2) -> Tensor"


def test_each_type_goes_there_and_back(name: str) -> None:
    seen: list[object] = []
    library = Library(name, "DEF")
    library.define(
        "all(Tensor? a, int b, float c, bool d, str e, int[] f, Tensor[] g, ScalarType h, *, Device i) "
        "-> (int, float, bool, str, int[], Tensor[], Tensor?, ScalarType)"
    )

    def function(*args: object, **kwargs: object) -> tuple[object, ...]:
        seen.extend([*args, kwargs])
        return (*args[1:7], None, lt.int8)

    library.impl("all", function, "CompositeExplicitAutograd")
    one = lt.ones(1)
    given = (None, 1, 2.5, True, "text", [3, 4], [one], lt.float64)
    result = getattr(lt.ops, name).all(*given, i="cpu")
    assert seen[:6] == [*given[:6]]
    assert seen[7:] == [lt.float64, {"i": lt.device("cpu")}]
    assert result[:5] == (1, 2.5, True, "text", [3, 4])
    assert result[5][0].tolist() == [1.0]
    assert result[6:] == (None, lt.int8)


def test_kernels_by_device(name: str) -> None:
    define(f"{name}::where", "(Tensor x) -> str")
    impl(f"{name}::where", "default", lambda _: "somewhere")
    impl(f"{name}::where", ["cpu"])(lambda _: "host")
    where = getattr(lt.ops, name).where
    assert where(lt.zeros(1)) == "host"
    assert where(lt.zeros(1, device="meta")) == "somewhere"


def test_an_operator_added_later_is_found(name: str) -> None:
    define(f"{name}::first", "(Tensor x) -> Tensor")
    assert getattr(lt.ops, name).first.overloads() == ["default"]
    define(f"{name}::first.second", "(Tensor x, int n) -> Tensor")
    assert sorted(getattr(lt.ops, name).first.overloads()) == ["default", "second"]


def test_an_implementation_replaces_another_s(name: str) -> None:
    define(f"{name}::f", "(Tensor x) -> int")
    Library(name, "IMPL", "CPU").impl("f", lambda _: 1)
    assert getattr(lt.ops, name).f(lt.zeros(1)) == 1


def test_errors_come_out_as_themselves(name: str) -> None:
    class OwnError(Exception):
        pass

    def fails(_: lt.Tensor) -> lt.Tensor:
        raise OwnError("from within")

    define(f"{name}::fails", "(Tensor x) -> Tensor")
    impl(f"{name}::fails", "cpu", fails)
    for _ in range(3):
        with pytest.raises(OwnError, match="from within") as caught:
            getattr(lt.ops, name).fails(lt.zeros(1))
        assert caught.traceback[-1].name == "fails"


@pytest.mark.parametrize(
    ("results", "returned", "said"),
    [
        ("Tensor", "text", "returned str where the schema says Tensor"),
        ("(Tensor, int)", 1, "has to return a tuple of 2 values, not 1"),
        ("(Tensor, int)", (1,), "has to return a tuple of 2 values"),
        ("(int, int)", (1, None), "returned NoneType where the schema says int"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(name: str, results: str, returned: object, said: str) -> None:
    define(f"{name}::f", f"(Tensor x) -> {results}")
    impl(f"{name}::f", "cpu", lambda _: returned)
    with pytest.raises(TypeError, match=said):
        getattr(lt.ops, name).f(lt.zeros(1))


def test_no_results_need_no_value(name: str) -> None:
    calls: list[int] = []
    define(f"{name}::f", "(int x) -> ()")
    impl(f"{name}::f", "default", calls.append)
    assert getattr(lt.ops, name).f(7) is None
    assert calls == [7]


def test_without_a_kernel_it_says_so(name: str) -> None:
    define(f"{name}::f", "(Tensor x) -> Tensor")
    with pytest.raises(NotImplementedError, match=f"{name}::f"):
        getattr(lt.ops, name).f(lt.zeros(1))


def test_bad_registrations_are_refused(name: str) -> None:
    library = Library(name, "DEF")
    library.define("f(Tensor x) -> Tensor")
    with pytest.raises(RuntimeError, match="multiple times"):
        library.define("f(Tensor x) -> Tensor")
    with pytest.raises(RuntimeError, match="HERE"):
        library.define("no schema")
    with pytest.raises(RuntimeError, match="dispatch key"):
        library.impl("f", lambda x: x, "NoSuchKey")
    with pytest.raises(RuntimeError, match="Only a single TORCH_LIBRARY"):
        Library(name, "DEF")
    with pytest.raises(ValueError, match="DEF, FRAGMENT or IMPL"):
        Library(name, "OTHER")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no type of device"):
        impl(f"{name}::f", "gpu")
    with pytest.raises(ValueError, match="no name with a namespace"):
        define("f", "(Tensor x) -> Tensor")
    with pytest.raises(TypeError):
        library.impl("f", 7)  # type: ignore[arg-type]


def test_threads_call_it_at_once(name: str) -> None:
    define(f"{name}::f", "(Tensor x, int n) -> Tensor")
    impl(f"{name}::f", "cpu", lambda x, n: x + n)
    operator = getattr(lt.ops, name).f
    results: dict[int, float] = {}

    def work(number: int) -> None:
        for _ in range(100):
            results[number] = operator(lt.zeros(1), number).item()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: float(number) for number in range(8)}
