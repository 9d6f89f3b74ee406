"""The files, as text.

Owns their form. `libtorch_ffi.stubs.surface` says what goes into them, `libtorch_ffi.stubs.signatures` how an
operator is called.
"""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING

from libtorch_ffi.stubs import surface
from libtorch_ffi.stubs.python_types import HEADER
from libtorch_ffi.stubs.results import Results
from libtorch_ffi.stubs.signatures import FUNCTION, METHOD, PACKET, of_overload, of_packet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import FunctionType

    from libtorch_ffi.stubs.schema import Schema
    from libtorch_ffi.stubs.signatures import Signature

NOTICE = '''\
# mypy: ignore-errors
# pyright: basic
"""{}

Made by `python -m libtorch_ffi.stubs` from the schemas of the libtorch that the extension was built against.
"""

'''
"""For the top. libtorch's overloads overlap, and its methods hide names of Python: that is nobody's error to mend."""


def all_files() -> dict[str, str]:
    """Return the stubs by file name."""
    operators = surface.operators()
    return {
        "_ops.pyi": functions_and_methods(operators.get("aten", {})),
        "ops.pyi": namespaces(operators),
        "__init__.pyi": package(),
        **{f"{name}.pyi": prefixed(name, names, operators["aten"]) for name, names in surface.prefixed().items()},
    }


def functions_and_methods(aten: dict[str, list[Schema]]) -> str:
    """Return ``_ops.pyi``."""
    results = Results()
    taken = {*surface.modules(), *surface.homes(), *surface.core_names(), *surface.constants()}
    names = [name for name in aten if name not in taken and _is_sayable(name)]
    functions = "".join(text for name in names for text in _definitions(name, of_packet(aten[name], FUNCTION, results)))
    methods = "".join(
        f"    {line}"
        for name in surface.methods()
        if _is_sayable(name)
        for text in _definitions(name, of_packet(aten[name], METHOD, results), METHOD.receiver)
        for line in text.splitlines(keepends=True)
    )
    return "".join(
        (
            NOTICE.format("The functions of libtorch_ffi and the methods of its Tensor that are operators of aten."),
            HEADER,
            _imports(surface.python_methods()),
            f"\n__all__ = {names}\n\n",
            results.text(),
            functions,
            "class TensorMethods:\n",
            methods,
            *(f"    {name} = {one.__module__}.{one.__name__}\n" for name, one in surface.python_methods().items()),
        )
    )


def namespaces(operators: dict[str, dict[str, list[Schema]]]) -> str:
    """Return ``ops.pyi``."""
    results = Results()
    classes = [
        text
        for namespace, packets in operators.items()
        for text in (
            *(line for name, schemas in packets.items() for line in _packet(namespace, name, schemas, results)),
            f"class _N_{namespace}:\n    __name__: _str\n",
            *(f"    {name}: _P_{namespace}__{name}\n" for name in packets if not keyword.iskeyword(name)),
        )
    ]
    return "".join(
        (
            NOTICE.format("Every operator of libtorch, by its exact name."),
            HEADER,
            "from libtorch_ffi.library import Namespace as Namespace\n",
            "from libtorch_ffi.library import load_library as load_library\n\n",
            results.text(),
            *classes,
            *(f"{namespace}: _N_{namespace}\n" for namespace in operators),
            "def __getattr__(name: _str) -> _Any: ...  # the namespace of a library that is loaded later\n",
        )
    )


def prefixed(module: str, names: dict[str, str], aten: dict[str, list[Schema]]) -> str:
    """Return the stub of a module such as ``linalg``."""
    results = Results()
    functions = "".join(
        text
        for name, operator in names.items()
        for text in _definitions(name, of_packet(aten[operator], FUNCTION, results))
    )
    errors = "from libtorch_ffi._C import LinAlgError as LinAlgError\n" if module == "linalg" else ""
    return NOTICE.format(f"The functions of libtorch_ffi.{module}.") + HEADER + errors + results.text() + functions


def package() -> str:
    """Return ``__init__.pyi``."""
    lines = [
        "from libtorch_ffi._ops import *",
        *(f"from libtorch_ffi import {name} as {name}" for name in surface.modules()),
        *(f"from libtorch_ffi.{home} import {name} as {name}" for name, home in surface.homes().items()),
        *(f"from libtorch_ffi._C import {name} as {name}" for name in surface.core_names()),
        *(f"from libtorch_ffi._C import {kind} as _{kind}" for kind in sorted(set(surface.constants().values()))),
        "",
        *(f"{name}: _{kind}" for name, kind in surface.constants().items()),
        "__version__: __builtins__.str",
    ]
    return NOTICE.format("All of libtorch, none of torch.") + "\n".join(lines) + "\n"


def _is_sayable(name: str) -> bool:
    """Tell whether a program can write the name, and nothing but Python calls what has it."""
    return not keyword.iskeyword(name) and not name.startswith("__")


def _definitions(name: str, signatures: list[Signature], receiver: str = "") -> Iterator[str]:
    """Yield a function of a stub, once for each way to call it."""
    decorator = "@_overload\n" if len(signatures) > 1 else ""
    for signature in signatures:
        yield f"{decorator}def {name}{signature.text(receiver)}: ...\n"


def _packet(namespace: str, name: str, schemas: list[Schema], results: Results) -> Iterator[str]:
    """Yield the classes of an operator and of each of its overloads."""
    label = f"{namespace}__{name}"
    for schema in schemas:
        yield f"class _O_{label}__{schema.overload}(_Operator):\n"
        yield f"    def __call__{of_overload(schema, results).text(PACKET.receiver)}: ...\n"
    yield f"class _P_{label}(_OverloadPacket):\n"
    for text in _definitions("__call__", of_packet(schemas, PACKET, results), PACKET.receiver):
        yield "".join(f"    {line}" for line in text.splitlines(keepends=True))
    for schema in schemas:
        attribute = schema.overload or "default"
        if not keyword.iskeyword(attribute):
            yield f"    {attribute}: _O_{label}__{schema.overload}\n"


def _imports(methods: Mapping[str, FunctionType]) -> str:
    modules: Iterable[str] = sorted({method.__module__ for method in methods.values()})
    return "".join(f"import {module}\n" for module in modules)
