"""What an operator says of itself: help(), its documentation, its signature, and what a shell completes."""

from __future__ import annotations

import inspect
import pydoc

import pytest

import libtorch_ffi as lt

SCHEMA = "aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor"
OPERATORS = (lt.softmax, lt.Tensor.softmax, lt.ops.aten.softmax)


@pytest.mark.parametrize("operator", OPERATORS)
def test_help_shows_every_schema(operator: object) -> None:
    text = pydoc.plain(pydoc.render_doc(operator))
    assert SCHEMA in text
    assert "aten::softmax.int_out(Tensor self, int dim, ScalarType? dtype=None, *, Tensor(a!) out)" in text


def test_help_of_one_overload_shows_its_own() -> None:
    text = pydoc.plain(pydoc.render_doc(lt.ops.aten.softmax.int))
    assert SCHEMA in text
    assert "int_out" not in text


@pytest.mark.parametrize("operator", OPERATORS)
def test_names(operator: object) -> None:
    assert operator.__name__ == "softmax"  # type: ignore[attr-defined]
    assert operator.__doc__ is not None
    assert operator.__doc__.splitlines()[0] == SCHEMA


def test_a_signature_where_there_is_one() -> None:
    assert list(inspect.signature(lt.linear).parameters) == ["input", "weight", "bias", "out"]
    assert list(inspect.signature(lt.ones(1).tril).parameters) == ["diagonal", "out"]
    assert list(inspect.signature(lt.ops.aten.tril).parameters) == ["self", "diagonal", "out"]
    exact = inspect.signature(lt.ops.aten.add.Tensor)
    assert list(exact.parameters) == ["self", "other", "alpha"]
    assert exact.parameters["alpha"].default == 1
    assert exact.parameters["alpha"].kind is inspect.Parameter.KEYWORD_ONLY
    assert exact.return_annotation == "Tensor"


def test_no_signature_where_there_are_several() -> None:
    with pytest.raises(ValueError, match="signature"):
        inspect.signature(lt.ops.aten.add)


def test_every_operator_has_a_signature_or_several() -> None:
    """Each text of a signature makes an object of inspect."""
    for name in dir(lt.ops.aten):
        packet = getattr(lt.ops.aten, name)
        for overload in packet.overloads():
            assert isinstance(inspect.signature(getattr(packet, overload)), inspect.Signature)


def test_what_a_shell_completes() -> None:
    assert {"softmax", "Tensor", "float32", "ops", "no_grad", "manual_seed"} <= set(dir(lt))
    assert [name for name in dir(lt) if not hasattr(lt, name)] == []
    assert {"softmax", "add_"} <= set(dir(lt.ops.aten))
    assert {"aten", "quantized", "load_library"} <= set(dir(lt.ops))
    assert {"Tensor", "Scalar", "out", "overloads"} <= set(dir(lt.ops.aten.add))
    assert {"softmax", "shape", "backward"} <= set(dir(lt.zeros(1)))
