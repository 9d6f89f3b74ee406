"""Modules and parameters in rows and under names: `Sequential`, `ModuleList`, `ModuleDict`, `ParameterList`.

Owns their numbering and naming, which the names in a state dict follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast, overload

from libtorch_ffi.nn.module import Module, Parameter

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterable, Iterator, KeysView, ValuesView

    from typing_extensions import Self

__all__ = ["ModuleDict", "ModuleList", "ParameterList", "Sequential"]


class _Row(Module):
    """Modules whose names are 0, 1, 2, …."""

    def append(self, module: Module) -> Self:
        """Add a module at the end; return the row."""
        setattr(self, str(len(self)), _checked(self, module))
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end; return the row."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Put a module before another."""
        held = list(self.children())
        held.insert(index, _checked(self, module))
        self._modules.clear()
        self.extend(held)

    def __add__(self, other: Iterable[Module]) -> Self:
        return type(self)().extend(self).extend(other)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module:
        if not isinstance(index, slice):
            return list(self.children())[index]
        return type(self)().extend(list(self.children())[index])

    def __setitem__(self, index: int, module: Module) -> None:
        name = list(self._modules)[index]
        self._modules[name] = _checked(self, module)

    def __delitem__(self, index: int) -> None:
        held = list(self.children())
        del held[index]
        self._modules.clear()
        self.extend(held)


def _checked(holder: Module, module: object) -> Module:
    if not isinstance(module, Module):
        hint = ": unpack it, Sequential(*layers)" if isinstance(module, (list, tuple)) else ""
        if type(module).__name__ == "ScriptModule":
            hint = ": one of TorchScript is no nn.Module; call it in the forward of a module of your own"
        raise TypeError(f"{type(holder).__name__} holds modules, not {type(module).__name__}{hint}")
    return module


class ModuleList(_Row):
    """A list of modules, whose parameters are the list's."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)


class Sequential(_Row):
    """Modules of which each is given what the one before has computed; a dict of them names them."""

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(cast("tuple[Module, ...]", modules))

    def forward(self, input: Any) -> Any:
        """Return what the last one computes."""
        value = input
        for module in self.children():
            value = module(value)
        return value


class ModuleDict(Module):
    """Modules by their names, whose parameters are the dict's."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Hold modules of a mapping, or of pairs, under their names."""
        for name, module in modules.items() if isinstance(modules, Mapping) else modules:
            self[name] = module

    def __getitem__(self, key: str) -> Module:
        found: Module = self._modules[key]
        return found

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def pop(self, key: str) -> Module:
        """Take a module out, and return it."""
        found: Module = self._modules.pop(key)
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def keys(self) -> KeysView[str]:
        """Return the names."""
        return self._modules.keys()

    def values(self) -> ValuesView[Module]:
        """Return the modules."""
        return self._modules.values()

    def items(self) -> ItemsView[str, Module]:
        """Return the names with the modules."""
        return self._modules.items()


class ParameterList(Module):
    """A list of parameters; a tensor that is none becomes one."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__()
        self.extend(values)

    def append(self, value: Any) -> Self:
        """Add a parameter at the end; return the list."""
        parameter = value if isinstance(value, Parameter) else Parameter(value)
        self.register_parameter(str(len(self)), parameter)
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add parameters at the end; return the list."""
        for value in values:
            self.append(value)
        return self

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters.values())

    def __getitem__(self, index: int) -> Parameter:
        return list(self)[index]

    def extra_repr(self) -> str:
        """Return the shapes."""
        return "\n".join(f"({number}): Parameter of size {tuple(p.shape)}" for number, p in enumerate(self))
