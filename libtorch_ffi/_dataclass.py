"""Frozen dataclasses for the modules that every warm start imports.

Owns `dataclass` and `field` as those modules use them. To a type checker they are the standard library's own; at run
time they are a light stand-in, because importing `dataclasses` (it needs `inspect`, `ast` and `dis`) takes 7 ms, two
thirds of the time that Python itself needs to start. A class becomes known to `dataclasses` (`replace`, `fields`,
`asdict`) when one of its functions asks. Modules that a warm start does not import use `dataclasses` as it is.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for true; importing `typing` for it would cost 2 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from dataclasses import dataclass, field
    from typing import Any

__all__ = ["dataclass", "field"]


class _Field:
    """How a field is filled where no value is given, and whether it shows in the text and counts in a comparison."""

    def __init__(self, default_factory: Callable[[], object], options: Mapping[str, bool]) -> None:
        self.default_factory = default_factory
        self.options = options


class _Fields:
    """A class's ``__dataclass_fields__``, made when `dataclasses` looks for it."""

    def __get__(self, instance: object, owner: type) -> object:
        import dataclasses

        specification: list[Any] = []
        for name, annotation in owner.__annotations__.items():
            default = owner.__dict__["_defaults"].get(name)
            options = {"default_factory": default.default_factory, **default.options} if default else {}
            specification.append((name, annotation, dataclasses.field(**options)))
        fields = {each.name: each for each in dataclasses.fields(dataclasses.make_dataclass("Model", specification))}
        owner.__dataclass_fields__ = fields  # type: ignore[attr-defined]
        return fields


class _Frozen:
    """The methods that `dataclass` gives to a class; ``_defaults`` are the class's own, by name."""

    __dataclass_fields__ = _Fields()
    _defaults: dict[str, _Field]

    def __init__(self, *args: object, **kwargs: object) -> None:
        names = list(type(self).__annotations__)
        values = dict(zip(names, args, strict=False))
        if len(args) > len(names) or not kwargs.keys() <= set(names) - values.keys():
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}, each once; got {args} and {kwargs}")
        values.update(kwargs)
        for name in names:
            if name not in values:
                values[name] = self._default_of(name)
        self.__dict__.update((name, values[name]) for name in names)

    def _default_of(self, name: str) -> object:
        if name not in self._defaults:
            raise TypeError(f"{type(self).__name__} needs a value for {name}")
        return self._defaults[name].default_factory()

    def _shown(self, option: str) -> dict[str, object]:
        fields = self._defaults
        return {n: v for n, v in self.__dict__.items() if n not in fields or fields[n].options.get(option, True)}

    def __setattr__(self, name: str, value: object) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._shown("compare") == other._shown("compare")

    def __hash__(self) -> int:
        return hash(tuple(self._shown("compare").values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._shown("repr").items())
        return f"{type(self).__qualname__}({fields})"


if not TYPE_CHECKING:

    def field(*, default_factory: Callable[[], object], **options: bool) -> _Field:
        """Describe a field whose default is made anew for each value; ``repr`` and ``compare`` may be False."""
        return _Field(default_factory, options)

    def dataclass(*, frozen: bool) -> Callable[[type], type]:
        """Make a class a frozen dataclass: its fields are those that it annotates, in order."""
        if not frozen:
            raise TypeError("only frozen dataclasses have a light form")
        return _frozen


def _frozen(cls: type) -> type:
    """Give a class the methods, and take its default factories off it."""
    found = {name: cls.__dict__[name] for name in cls.__annotations__ if name in cls.__dict__}
    defaults = {name: one if isinstance(one, _Field) else _Field(_constant(one), {}) for name, one in found.items()}
    for name, one in found.items():
        if isinstance(one, _Field):
            delattr(cls, name)
    cls._defaults = defaults  # type: ignore[attr-defined]
    for name in _GIVEN:
        setattr(cls, name, vars(_Frozen)[name])
    return cls


_GIVEN = (
    "__init__",
    "__repr__",
    "__eq__",
    "__hash__",
    "__setattr__",
    "__delattr__",
    "__dataclass_fields__",
    "_default_of",
    "_shown",
)


def _constant(value: object) -> Callable[[], object]:
    return lambda: value
