"""A function as a module: what activations, poolings and losses are made of.

Owns `Function`, which keeps the options of a function of `libtorch_ffi.nn.functional` as attributes, hands them over in
``forward`` and shows them in its ``repr``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from libtorch_ffi.nn import functional
from libtorch_ffi.nn.module import Module

if TYPE_CHECKING:
    from libtorch_ffi._C import Tensor

__all__ = ["Function"]


class Function(Module):
    """A function of `libtorch_ffi.nn.functional`, with its options; a subclass names it: ``class X(Function, of="x")``.

    Parameters
    ----------
    **options
        The function's keyword arguments, which are attributes of the module and can be changed there.
    """

    _name: ClassVar[str]
    _options: tuple[str, ...]

    def __init_subclass__(cls, of: str | None = None) -> None:
        super().__init_subclass__()
        if of is not None:
            cls._name = of

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = tuple(options)
        vars(self).update(options)

    def forward(self, input: Tensor) -> Any:
        """Return what the function makes of the input."""
        return getattr(functional, self._name)(input, **self._given())

    def _given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._options}

    def extra_repr(self) -> str:
        """Return the options, as torch shows them: ``inplace`` only where it is so."""
        return ", ".join(f"{name}={value!r}" for name, value in self._given().items() if name != "inplace" or value)
