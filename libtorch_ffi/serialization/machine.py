"""A machine for pickles that cannot run a program.

Owns the opcodes of pickle protocols 2 to 5. It is not Python's unpickler with a filter before it: a name in a pickle is
looked up in the caller's table and nowhere else, so nothing is imported; only what the table marks as a `Builder` is
ever called; only plain containers that the machine made itself are changed, and only an OrderedDict takes a state. What
it does not know it refuses by name. Neither a long pickle nor a deep one exhausts the stack.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libtorch_ffi.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_NEWEST = 5
_MOST_IN_KEY = 1000
"""Parts that a key may have: a hash visits each part once for every path that leads to it."""

_FAULTS = (ArithmeticError, AttributeError, LookupError, MemoryError, NotImplementedError, RuntimeError)
"""What a builder raises when its arguments are not what they should be; `TypeError` and `ValueError` as well."""

_TOO_OLD = {
    ord(letter): name
    for letter, name in {
        "I": "INT",
        "L": "LONG",
        "F": "FLOAT",
        "S": "STRING",
        "V": "UNICODE",
        "g": "GET",
        "p": "PUT",
        "i": "INST",
        "o": "OBJ",
        "P": "PERSID",
    }.items()
}
"""Opcodes of protocols 0 and 1, which torch never wrote."""


@dataclass(frozen=True)
class Builder:
    """A function that a pickle may call, by the name that it has there."""

    name: str
    call: Callable[..., Any]


def fault_of_key(key: object) -> str | None:
    """Say why a key cannot be hashed without running something, or for ever; None where it can."""
    waiting = [key]
    for _ in range(_MOST_IN_KEY):
        if not waiting:
            return None
        part = waiting.pop()
        if isinstance(part, (tuple, frozenset)):
            waiting.extend(part)
        elif not isinstance(part, (str, bytes, int, float, complex, type(None))):
            return f"a {type(part).__name__}"
    return f"something of more than {_MOST_IN_KEY} parts"


class Machine:
    """Reads one pickle after the other.

    Parameters
    ----------
    data
        The pickles.
    names
        What a pickle may name, such as ``torch.float32``: values, and a `Builder` for each function.
    persistent
        Returns the object that a persistent id stands for.
    """

    def __init__(self, data: bytes, names: Mapping[str, object], persistent: Callable[[Any], object]) -> None:
        self.position = 0
        self._data = data
        self._names = names
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, object] = {}

    def load(self) -> Any:  # noqa: ANN401 - whatever was pickled
        """Return the object of the next pickle.

        Raises
        ------
        ArchiveError
            If it is damaged, or holds what is not in the table.
        """
        self._stack, self._marks, self._memo = [], [], {}
        while (opcode := self._take(1)[0]) != _STOP:
            step = _STEPS.get(opcode)
            if step is None:
                raise self._refusal(opcode)
            step(self)
        return self._pop()

    def _refusal(self, opcode: int) -> ArchiveError:
        known = f"{_TOO_OLD[opcode]}, of a protocol before 2" if opcode in _TOO_OLD else f"{opcode:#04x}"
        return self._error(f"has opcode {known}, which no file of torch's has")

    def _error(self, fact: str) -> ArchiveError:
        return ArchiveError(f"the pickle {fact} (at byte {self.position})")

    # Bytes

    def _take(self, count: int) -> bytes:
        taken = self._data[self.position : self.position + count]
        if len(taken) < count:
            raise self._error(f"ends where {count} more bytes should be")
        self.position += count
        return taken

    def _number(self, form: struct.Struct) -> Any:  # noqa: ANN401 - of the form's type
        return form.unpack(self._take(form.size))[0]

    def _line(self) -> str:
        end = self._data.find(b"\n", self.position)
        if end < 0:
            raise self._error("ends within a name")
        line = self._take(end + 1 - self.position)[:-1]
        return self._text(line)

    def _text(self, data: bytes) -> str:
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise self._error(f"has text that is not UTF-8: {error}") from None

    # The stack

    def _pop(self) -> Any:  # noqa: ANN401 - whatever is there
        if not self._stack:
            raise self._error("takes more from its stack than it put there")
        return self._stack.pop()

    def _top(self) -> Any:  # noqa: ANN401 - likewise
        if not self._stack:
            raise self._error("looks at an empty stack")
        return self._stack[-1]

    def _since_mark(self) -> list[Any]:
        if not self._marks:
            raise self._error("looks for a mark that it never set")
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _drop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _drop_to_mark(self) -> None:
        self._since_mark()

    def _push(self, value: object) -> None:
        self._stack.append(value)

    # The memo

    def _remember(self, index: int) -> None:
        self._memo[index] = self._top()

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise self._error(f"asks for object {index}, which it never kept")
        self._push(self._memo[index])

    # Containers

    def _container(self, *kinds: type) -> Any:  # noqa: ANN401 - of one of the kinds
        container = self._top()
        if type(container) not in kinds:
            raise self._error(f"adds to a {type(container).__name__}, and not to a {kinds[0].__name__}")
        return container

    def _append(self) -> None:
        value = self._pop()
        self._container(list).append(value)

    def _extend(self) -> None:
        items = self._since_mark()
        self._container(list).extend(items)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._container(dict, OrderedDict, Counter)[self._key(key)] = value

    def _set_items(self) -> None:
        items = self._since_mark()
        container = self._container(dict, OrderedDict, Counter)
        for key, value in self._pairs(items):
            container[key] = value

    def _pairs(self, items: list[Any]) -> list[tuple[Any, Any]]:
        if len(items) % 2:
            raise self._error("gives a dict a key without a value")
        return [(self._key(key), value) for key, value in zip(items[::2], items[1::2], strict=True)]

    def _add_items(self) -> None:
        items = self._since_mark()
        self._container(set).update(map(self._key, items))

    def _key(self, key: Any) -> Any:  # noqa: ANN401 - what comes in goes out
        fault = fault_of_key(key)
        if fault is not None:
            raise self._error(f"has {fault} for a key")
        return key

    # Names, calls and states

    def _global(self, module: str, name: str) -> None:
        full = f"{_MODULES.get(module, module)}.{name}"
        if full not in self._names:
            raise ArchiveError(
                f"the file names {full}, which is not among the tensors, containers and numbers that are read: nothing "
                "is ever imported or called for a file. Save a state dict, or convert the file where it was made"
            )
        self._push(self._names[full])

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise self._error("has a name that is no text")
        self._global(module, name)

    def _reduce(self) -> None:
        arguments, builder = self._pop(), self._pop()
        if type(builder) is not Builder or type(arguments) is not tuple:
            raise self._error(f"calls a {type(builder).__name__}")
        try:
            self._push(builder.call(*arguments))
        except ArchiveError:
            raise
        except (*_FAULTS, TypeError, ValueError) as error:
            raise self._error(f"gives {builder.name} arguments of which nothing can be made: {error}") from error

    def _build(self) -> None:
        state, instance = self._pop(), self._top()
        if type(instance) is not OrderedDict or type(state) is not dict or set(state) - {"_metadata"}:
            raise self._error(f"gives a state to a {type(instance).__name__}; only a state dict's metadata is read")
        vars(instance).update(state)

    def _persistent_id(self) -> None:
        self._push(self._persistent(self._pop()))

    def _protocol(self) -> None:
        protocol = self._take(1)[0]
        if protocol > _NEWEST:
            raise self._error(f"is of protocol {protocol}; up to {_NEWEST} are read")

    def _frame(self) -> None:
        self._take(_LENGTH.size)  # how much of what follows to read ahead; all of it is here


_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Python 2's names of modules, which protocol 2 has."""

_STOP = ord(".")
_BYTE, _SHORT, _INT = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<i")
_UNSIGNED, _LENGTH, _FLOAT = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct(">d")


def _constant(value: object) -> Callable[[Machine], None]:
    return lambda machine: machine._push(value)


def _number_of(form: struct.Struct) -> Callable[[Machine], None]:
    return lambda machine: machine._push(machine._number(form))


def _integer_of(length: struct.Struct) -> Callable[[Machine], None]:
    def step(machine: Machine) -> None:
        digits = machine._take(machine._number(length))
        machine._push(int.from_bytes(digits, "little", signed=True))

    return step


def _text_of(length: struct.Struct) -> Callable[[Machine], None]:
    return lambda machine: machine._push(machine._text(machine._take(machine._number(length))))


def _bytes_of(length: struct.Struct, kind: type[bytes | bytearray] = bytes) -> Callable[[Machine], None]:
    return lambda machine: machine._push(kind(machine._take(machine._number(length))))


def _fresh(kind: type) -> Callable[[Machine], None]:
    return lambda machine: machine._push(kind())


def _tuple_of(count: int) -> Callable[[Machine], None]:
    return lambda machine: machine._push(tuple([machine._pop() for _ in range(count)][::-1]))


_STEPS: dict[int, Callable[[Machine], None]] = {
    0x80: Machine._protocol,
    0x95: Machine._frame,
    ord("("): Machine._mark,
    ord("0"): Machine._drop,
    ord("1"): Machine._drop_to_mark,
    ord("2"): lambda machine: machine._push(machine._top()),
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("J"): _number_of(_INT),
    ord("K"): _number_of(_BYTE),
    ord("M"): _number_of(_SHORT),
    ord("G"): _number_of(_FLOAT),
    0x8A: _integer_of(_BYTE),
    0x8B: _integer_of(_UNSIGNED),
    ord("X"): _text_of(_UNSIGNED),
    0x8C: _text_of(_BYTE),
    0x8D: _text_of(_LENGTH),
    ord("T"): _text_of(_UNSIGNED),
    ord("U"): _text_of(_BYTE),
    ord("B"): _bytes_of(_UNSIGNED),
    ord("C"): _bytes_of(_BYTE),
    0x8E: _bytes_of(_LENGTH),
    0x96: _bytes_of(_LENGTH, bytearray),
    ord(")"): _constant(()),
    ord("]"): _fresh(list),
    ord("}"): _fresh(dict),
    0x8F: _fresh(set),
    0x85: _tuple_of(1),
    0x86: _tuple_of(2),
    0x87: _tuple_of(3),
    ord("t"): lambda machine: machine._push(tuple(machine._since_mark())),
    ord("l"): lambda machine: machine._push(machine._since_mark()),
    ord("d"): lambda machine: machine._push(dict(machine._pairs(machine._since_mark()))),
    0x91: lambda machine: machine._push(frozenset(map(machine._key, machine._since_mark()))),
    ord("a"): Machine._append,
    ord("e"): Machine._extend,
    ord("s"): Machine._set_item,
    ord("u"): Machine._set_items,
    0x90: Machine._add_items,
    ord("h"): lambda machine: machine._recall(machine._number(_BYTE)),
    ord("j"): lambda machine: machine._recall(machine._number(_UNSIGNED)),
    ord("q"): lambda machine: machine._remember(machine._number(_BYTE)),
    ord("r"): lambda machine: machine._remember(machine._number(_UNSIGNED)),
    0x94: lambda machine: machine._remember(len(machine._memo)),
    ord("c"): lambda machine: machine._global(machine._line(), machine._line()),
    0x93: Machine._stack_global,
    ord("R"): Machine._reduce,
    0x81: Machine._reduce,
    ord("b"): Machine._build,
    ord("Q"): Machine._persistent_id,
}
"""What each opcode does; 0x81 makes an instance, which here is the same as a call."""
