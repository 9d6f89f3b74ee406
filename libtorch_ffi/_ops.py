"""The operators, to a type checker that has nothing better.

Stands in for ``_ops.pyi``, which the build writes from the schemas (see `libtorch_ffi.stubs`) and which goes before
it: in a checkout that is not built, every operator is a method that takes and returns anything. Nothing imports it at
run time.
"""

from __future__ import annotations

from typing import Any


class _OfType(type):
    def __getattr__(cls, name: str) -> Any:  # noqa: ANN401 - anything indeed
        raise NotImplementedError(name)


class TensorMethods(metaclass=_OfType):
    """The methods of Tensor that are operators."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - anything indeed
        """Return one of them."""
        raise NotImplementedError(name)
