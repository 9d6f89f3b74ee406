"""The files of TorchScript, told from other formats before libtorch reads them.

Owns what may be given as a file, and the refusals that name the right loader. Loads nothing.
"""

from __future__ import annotations

import io
import os
import zipfile
from typing import TYPE_CHECKING

from libtorch_ffi.errors import ProgramError

if TYPE_CHECKING:
    from typing import Any, BinaryIO, TypeAlias

    Source: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO


def content_of(f: Source) -> str | bytes | memoryview:
    """Return a path, or the bytes of what can be read."""
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        if os.path.isdir(path):  # noqa: PTH112 - pathlib would make the start longer
            raise IsADirectoryError(f"{path} is a folder: jit.load() takes an archive of torch.jit.save's, a file")
        if not os.path.isfile(path):  # noqa: PTH113 - likewise
            download = ". It opens no addresses: download it first" if "://" in path else ""
            raise FileNotFoundError(
                f"there is no file {path}: jit.load() takes an archive of torch.jit.save's{download}"
            )
        return path
    return f if isinstance(f, bytes) else _read(f)


def _read(f: Any) -> bytes:  # noqa: ANN401 - what a caller may mistake for a file
    if not hasattr(f, "read"):
        raise TypeError(f"jit.load() takes a path, an archive's bytes or a file, not {type(f).__name__}")
    content: bytes | str = f.read()
    if isinstance(content, str):
        raise TypeError("the file is open for text, and an archive is bytes: open it with mode 'rb'")
    return content


def called(content: str | bytes | memoryview) -> str:
    """Return how a message calls it."""
    return content if isinstance(content, str) else f"The archive of {len(content)} bytes"


def judge(content: str | bytes | memoryview) -> None:
    """Refuse what is another format, by its own name."""
    source = content if isinstance(content, str) else io.BytesIO(content)
    if _head(content)[4:8] == b"PTMF":
        raise ProgramError(
            f"{called(content)} is a flatbuffer of the mobile interpreter, which is not libtorch's. Save the module "
            "with torch.jit.save()."
        )
    try:
        with zipfile.ZipFile(source) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise ProgramError(
            f"{called(content)} is no archive of TorchScript ({error}): that is a zip file. {_why(_head(content))} "
            "Nothing was loaded."
        ) from None
    _judge_members(content, names)


def _why(head: bytes) -> str:
    """Return why a file may be no zip file, by its first bytes."""
    if not head:
        return "It is empty: fetch or save it again."
    if head.startswith(b"PK"):
        return "It begins as one and was cut off: fetch or save it again."
    if head.startswith(b"<"):
        return "It looks like a web page, which a download left in the file's place."
    return f"It begins with {head!r}."


def _judge_members(content: str | bytes | memoryview, names: set[str]) -> None:
    if "bytecode.pkl" in names:
        raise ProgramError(
            f"{called(content)} is for the mobile interpreter (it holds bytecode.pkl), which is not libtorch's. Save "
            "the module with torch.jit.save()."
        )
    if "archive_format" in names or any(name.endswith("serialized_exported_program.json") for name in names):
        raise ProgramError(f"{called(content)} is a program of torch.export: libtorch_ffi.export.load() reads it.")
    if "data.pkl" in names and "constants.pkl" not in names:
        raise ProgramError(f"{called(content)} holds tensors and no program: libtorch_ffi.load() reads it.")


def _head(content: str | bytes | memoryview) -> bytes:
    if not isinstance(content, str):
        return bytes(content[:8])
    with open(content, "rb") as file:  # noqa: PTH123 - likewise
        return file.read(8)
