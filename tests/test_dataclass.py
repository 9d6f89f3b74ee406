"""The light frozen dataclass behaves as the standard library's does."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi._dataclass import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Light:
    """A value."""

    name: str
    sizes: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def total(self) -> int:
        return sum(self.sizes)


@dataclasses.dataclass(frozen=True)
class Standard:
    """The same value."""

    name: str
    sizes: tuple[int, ...] = ()
    notes: list[str] = dataclasses.field(default_factory=list)
    environ: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False, compare=False)


def test_fields_and_defaults() -> None:
    value = Light("a", sizes=(1, 2))
    assert (value.name, value.sizes, value.notes, value.environ, value.total) == ("a", (1, 2), [], {}, 3)
    assert value.notes is not Light("a").notes


def test_text_is_the_same() -> None:
    light, standard = Light("a", (1,), environ={"x": "y"}), Standard("a", (1,), environ={"x": "y"})
    assert repr(light) == repr(standard).replace("Standard", "Light")


def test_comparison_leaves_out_what_it_should() -> None:
    assert Light("a", environ={"x": "y"}) == Light("a")
    assert Light("a") != Light("b")
    other: object = Standard("a")
    assert Light("a") != other


@dataclass(frozen=True)
class Key:
    """A value that can be hashed."""

    name: str
    number: int = 0


def test_hash_goes_with_comparison() -> None:
    assert {Key("a"): 1}[Key("a", 0)] == 1
    assert len({Key("a"), Key("a", 0), Key("a", 1)}) == 2


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        setattr(Light("a"), "name", "b")  # noqa: B010 - a type checker refuses the assignment
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
        delattr(Light("a"), "name")


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), (("a", (), [], {}, 5), {}), (("a",), {"name": "b"}), (("a",), {"nmae": "b"})]
)
def test_wrong_arguments(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="name"):
        Light(*args, **kwargs)  # type: ignore[arg-type]


def test_functions_of_dataclasses() -> None:
    value = Light("a", (1,))
    assert dataclasses.replace(value, name="b") == Light("b", (1,))
    assert dataclasses.asdict(value) == dataclasses.asdict(Standard("a", (1,)))
    assert [one.name for one in dataclasses.fields(Light)] == [one.name for one in dataclasses.fields(Standard)]


def test_copies() -> None:
    value = Key("a", 3)
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value


def test_only_frozen() -> None:
    with pytest.raises(TypeError, match="only frozen"):
        dataclass(frozen=False)


def test_dataclasses_is_not_imported() -> None:
    code = "import sys, libtorch_ffi._dataclass; print({'dataclasses', 'inspect', 'typing'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
