"""Modules in a row, under torch's names: `Sequential` and `ModuleList`.

Owns their numbering, which the names in a state dict follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libtorch_ffi.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ModuleList", "Sequential"]


class _Row(Module):
    """Modules whose names are 0, 1, 2, …."""

    def append(self, module: Module) -> None:
        """Add a module at the end."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__} holds modules, not {type(module).__name__}")
        setattr(self, str(len(self)), module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __getitem__(self, index: int) -> Module:
        return list(self.children())[index]


class ModuleList(_Row):
    """A list of modules, whose parameters are the list's."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)


class Sequential(_Row):
    """Modules of which each is given what the one before has computed."""

    def __init__(self, *modules: Module) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def forward(self, input: Any) -> Any:
        """Return what the last one computes."""
        value = input
        for module in self.children():
            value = module(value)
        return value
