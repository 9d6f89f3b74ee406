"""C++ in a string, callable from Python: `load_inline`.

Owns the folder of what was compiled before, and the question whether that is still what would be compiled now. A module
is kept under the sha256 of all that makes it (the source, the flags, the libtorch, our headers, this Python), beside
the digests of the headers of the user's own that it included, so that a second call starts no process. One process
compiles, under a lock, and the others take what it made. Never chooses another libtorch than libtorch_ffi's own: both
are to live in one process.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import json
import logging
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.build.command import HEADERS
from libtorch_ffi.errors import BuildError, LoadError, SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import ModuleType

log = logging.getLogger(__name__)

FOLDER = "LIBTORCH_EXTENSIONS_DIR"
"""The variable that names another folder for what was compiled."""

FLAGS = ("CXX", "CPPFLAGS", "CFLAGS", "CXXFLAGS", "LDFLAGS")
"""The variables of which a compilation hears."""

MANIFEST = "made.json"
"""Written last, so that a folder which has it is whole."""

HEADERS_OF_ALL = ("ATen/ATen.h", "pybind11/stl.h")
"""What is included before a source that says nothing else: every operator, and the standard library's containers."""

_loaded: dict[str, ModuleType] = {}


# PLR0913: each has a default, and they are those of torch's function of this name.
def load_inline(  # noqa: PLR0913
    cpp_source: str,
    functions: Sequence[str] | Mapping[str, str] = (),
    *,
    headers: Sequence[str] = HEADERS_OF_ALL,
    include_dirs: Sequence[str | os.PathLike[str]] = (),
    extra_cflags: Sequence[str] = (),
    extra_ldflags: Sequence[str] = (),
    release_gil: bool = False,
    folder: str | os.PathLike[str] | None = None,
) -> ModuleType:
    """Compile C++ functions and return the module that has them; the second time nothing is compiled.

    Parameters
    ----------
    cpp_source
        The C++ source. Its functions may take and return `at::Tensor`, numbers, `std::string`, and `std::vector` and
        `std::optional` of these.
    functions
        The names of the C++ functions that the module shall have; a mapping gives each its docstring.
    headers
        What is included before the source, after ``<libtorch_ffi/caster.h>``. Fewer compile sooner: half of the time
        goes to ``<ATen/ATen.h>``, of which ``<ATen/ops/add.h>`` is the part that has `at::add`.
    include_dirs
        Folders for ``#include``, after which nothing else is searched for the user's own headers.
    extra_cflags, extra_ldflags
        More words for the compiler and for the linker; they come after libtorch's and win.
    release_gil
        Whether other Python threads may run during a call. The functions must not touch Python then.
    folder
        Where compiled modules are kept: by default ``LIBTORCH_EXTENSIONS_DIR``, or the user's cache folder.

    Returns
    -------
    ModuleType
        The same module for the same arguments, in one process.

    Raises
    ------
    SettingError
        A name among the functions is no name of C++.
    BuildError
        There is no compiler, or it did not compile the source; what it said is in the message.
    LoadError
        The module, or libtorch_ffi itself, cannot be loaded.

    Examples
    --------
    >>> source = "at::Tensor twice(const at::Tensor& x) { return x + x; }"
    >>> load_inline(source, ["twice"]).twice(lt.ones([2]))  # doctest: +SKIP
    tensor([2., 2.])
    """
    bound = _documented(functions)
    included = "".join(f"#include <{header}>\n" for header in ("libtorch_ffi/caster.h", *headers))
    source = f'{included}#line 1 "cpp_source"\n{cpp_source}\n'
    words = {
        "include": [str(Path(one).absolute()) for one in include_dirs],
        "c": [*extra_cflags],
        "ld": [*extra_ldflags],
    }
    key = _key(source, bound, words, release_gil=release_gil)
    if key in _loaded:
        return _loaded[key]
    name = f"inline_{key[:16]}"
    home = Path(folder) if folder is not None else _home()
    module = home / key[:32] / (name + str(sysconfig.get_config_var("EXT_SUFFIX")))
    if not _is_fresh(module):
        text = source + _binding(name, bound, release_gil=release_gil)
        _make(module, text, words)
    _loaded[key] = _imported(name, module)
    return _loaded[key]


def _documented(functions: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Return the functions with their docstrings."""
    if isinstance(functions, str):
        functions = [functions]
    bound = dict(functions) if hasattr(functions, "keys") else dict.fromkeys(functions, "")
    for name in bound:
        if not all(part.isidentifier() and part.isascii() for part in name.split("::")):
            raise SettingError(
                f"load_inline was given the function {name!r}, which is no name of a C++ function; expected one such "
                "as 'twice' or 'mine::twice'. Nothing was compiled. Write the function in cpp_source, and its name in "
                "functions."
            )
    return bound


def _home() -> Path:
    named = os.environ.get(FOLDER, "").strip()
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("libtorch-ffi") / "inline"


def _key(source: str, bound: Mapping[str, str], words: Mapping[str, list[str]], *, release_gil: bool) -> str:
    """Digest all that makes a module, but for the user's own headers, which only the compiler knows of.

    The compiler's release is not of it: another one makes a module that does the same.
    """
    own = Path(__file__).parents[1]
    record = own / "_built.json"
    facts = {
        "source": source,
        "functions": [*bound.items()],
        "words": words,
        "release_gil": release_gil,
        "environment": {name: os.environ.get(name, "") for name in FLAGS},
        "python": [sys.version, str(sysconfig.get_config_var("EXT_SUFFIX")), sys.platform],
        "libtorch": record.read_text(encoding="utf-8") if record.is_file() else "",
        "headers": {path.name: path.read_text(encoding="utf-8") for path in sorted(HEADERS.glob("*/*.h"))},
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _binding(name: str, bound: Mapping[str, str], *, release_gil: bool) -> str:
    """Return the lines that make the functions a module's."""
    guard = ", pybind11::call_guard<pybind11::gil_scoped_release>()" if release_gil else ""
    lines = [
        f"    module.def({json.dumps(function.rpartition('::')[2])}, &{function}, {_literal(text)}{guard});"
        for function, text in bound.items()
    ]
    return "\n".join([f'#line 1 "load_inline"\nLIBTORCH_FFI_MODULE({name}, module) {{', *lines, "}\n"])


def _literal(text: str) -> str:
    """Write text as a C++ string; octal escapes end after three digits, whatever follows."""
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}"  # noqa: PLR2004 (printable ASCII)
        for byte in text.encode()
    )
    return f'"{escaped}"'


def _is_fresh(module: Path) -> bool:
    """Tell whether a module is there, made of headers that are as they were."""
    try:
        made = json.loads((module.parent / MANIFEST).read_text(encoding="utf-8"))
        return module.is_file() and all(_digest(Path(file)) == digest for file, digest in made["headers"].items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _make(module: Path, text: str, words: Mapping[str, list[str]]) -> None:
    """Compile the module into its folder, unless another process has done so meanwhile."""
    from filelock import FileLock

    try:
        module.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(module.parent.with_suffix(".lock")):
            if _is_fresh(module):
                return
            (module.parent / MANIFEST).unlink(missing_ok=True)
            with tempfile.TemporaryDirectory(dir=module.parent, prefix="making-") as work:
                headers = _compiled(Path(work), module, text, words)
            _write_manifest(module.parent, headers)
    except OSError as error:
        raise BuildError(
            f"load_inline cannot keep what it compiles in {module.parent.parent}: {error}. Nothing was loaded. Set "
            f"{FOLDER} to a folder that can be written to."
        ) from error


def _write_manifest(folder: Path, headers: Iterable[str]) -> None:
    facts = {"headers": {file: _digest(Path(file)) for file in headers}}
    part = folder / f"{MANIFEST}.part"
    part.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / MANIFEST)


def _compiled(work: Path, module: Path, text: str, words: Mapping[str, list[str]]) -> list[str]:
    """Compile and link in a folder, put the module in its place, and return the user's headers that it included."""
    from libtorch_ffi._load import load
    from libtorch_ffi.build import choice, command, toolchain

    load()  # what cannot be loaded is told before anything is compiled for it
    toolchain.check_python_headers()
    libtorch = choice.own()
    compiler = toolchain.find_compiler(libtorch.cxx_standard)
    own = command.Own(
        preprocessor=tuple(f"-I{folder}" for folder in words["include"]),
        headers=command.companions(),
        compile=tuple(words["c"]),
        link=tuple(words["ld"]),
    )
    source, made, listing = work / "source.cpp", work / "source.o", work / "source.d"
    source.write_text(text, encoding="utf-8")
    files = ["-MMD", "-MF", str(listing), "-c", str(source), "-o", str(made)]
    _run([*command.compiling(compiler, libtorch, own), *files], "compile")
    built = work / module.name
    _run(command.linking(compiler, libtorch, own, [str(made)], built, strip=True), "link")
    shutil.move(built, module)
    return [name for name in _listed(listing) if Path(name) != source]


def _listed(listing: Path) -> list[str]:
    from libtorch_ffi.build import objects

    return [str(Path(name).absolute()) for name in objects.listed(listing.read_text(encoding="utf-8"))]


def _run(words: Sequence[str], what: str) -> None:
    from libtorch_ffi.build import process

    log.debug("%s", words)
    answer = process.run(words)
    if answer.returncode != 0:
        raise BuildError(
            f"load_inline could not {what} the C++ source: {words[0]} ended with status {answer.returncode}. Nothing "
            f"was loaded. Mend what it complains of (line numbers are those of cpp_source):\n{answer.stderr.rstrip()}"
        )
    if answer.stderr:
        log.warning("%s", answer.stderr.rstrip())


def _imported(name: str, module: Path) -> ModuleType:
    loader = importlib.machinery.ExtensionFileLoader(name, str(module))
    spec = importlib.util.spec_from_file_location(name, module, loader=loader)
    if spec is None:
        raise LoadError(f"{module} is not a file that this Python loads modules from.")
    try:
        loaded = importlib.util.module_from_spec(spec)
        loader.exec_module(loaded)
    except LoadError:
        raise
    except ImportError as error:
        said = str(error).rstrip(".")
        raise LoadError(
            f"What load_inline compiled cannot be loaded: {said}. Nothing of it stays in the process. A name that is "
            "undefined there is declared in cpp_source and defined nowhere: name its library in extra_ldflags. "
            f"{module.parent} holds the module."
        ) from error
    return loaded
