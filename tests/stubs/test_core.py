"""The stub of the compiled core, which is written by hand, against the core."""

from __future__ import annotations

import ast
from types import FunctionType

import pytest

from libtorch_ffi._binding import core
from libtorch_ffi._tensor import _Borrowed
from libtorch_ffi.stubs import surface

TREE = ast.parse(surface.BY_HAND.read_text(encoding="utf-8"))
CLASSES = {one.name: one for one in TREE.body if isinstance(one, ast.ClassDef)}
UNSAID = {
    *(
        "__doc__",
        "__module__",
        "__dict__",
        "__weakref__",
        "__signature__",
        "_pybind11_conduit_v1_",
        "__vectorcalloffset__",
    ),
    *("__repr__", "__str__", "__reduce__", "__getattribute__", "__get__", "__init__", "__new__"),
    *("__eq__", "__ne__", "__hash__", "__lt__", "__le__", "__gt__", "__ge__"),  # one slot makes all of them
    *("__slotnames__",),  # pickling leaves it there
    *("__delitem__", "__rmatmul__", "__delattr__"),  # made of the slot of another, and of no use
}
"""Attributes of a type that its stub need not have: every object has them, or CPython made them of something else."""


UNSAID_OF = {"FunctionCtx": {"_forward_cls", "dirty_tensors", "non_differentiable", "to_save"}}
"""Attributes that are there for `libtorch_ffi.autograd.function` alone, by class."""

OF_SOME_BUILDS = {
    "NativePackage",  # its header is in the libtorch since 2.6
    *("TCPStoreCore", "GlooGroup", "DistributedWork"),  # Gloo is in the libtorch, or is not
}
"""Classes that a libtorch may not have; the modules that use them ask first."""


def declared(statements: list[ast.stmt]) -> set[str]:
    names = {one.name for one in statements if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    annotated = [one.target for one in statements if isinstance(one, ast.AnnAssign)]
    return names | {target.id for target in annotated if isinstance(target, ast.Name)}


def test_every_name_of_the_core_is_declared() -> None:
    public = {name for name in dir(core) if not name.startswith("_")}
    assert public - declared(TREE.body) - set(surface.constants()) == set()


def test_every_declared_name_is_there() -> None:
    aliases = {name for name in declared(TREE.body) if name.startswith("_")}
    assert declared(TREE.body) - aliases - OF_SOME_BUILDS - set(dir(core)) == set()


def test_declared_constants_are_of_the_declared_type() -> None:
    constants = surface.constants()
    for statement in TREE.body:
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) in constants:
            assert constants.pop(ast.unparse(statement.target)) == ast.unparse(statement.annotation)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_attributes_of_classes(name: str) -> None:
    """What the core defines on a class is in the stub, and the other way round."""
    if name in OF_SOME_BUILDS and not hasattr(core, name):
        pytest.skip(f"this libtorch has no {name}")
    written = declared(CLASSES[name].body)
    attributes = vars(getattr(core, name))
    compiled = {
        attribute
        for attribute, value in attributes.items()
        if not isinstance(value, FunctionType | _Borrowed | core.OverloadMethod | property | classmethod | staticmethod)
        and not attribute.startswith("__pybind11_module_local_")
    }
    assert compiled - UNSAID - UNSAID_OF.get(name, set()) - written == set()
    assert written - {"__getattr__"} - set(dir(getattr(core, name))) == set()  # it stands for names that vary
