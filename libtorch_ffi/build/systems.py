"""What build systems of other languages have to be told about a libtorch.

Owns one text for each of them, as a file of theirs, and the warning where a libtorch does not suit what they are known
to do: those of Haskell and OCaml compile with the compiler's own C++ ABI, whatever the library has. It is pure, like
`libtorch_ffi.build.flags`: who writes the files is `libtorch_ffi.cli.env`.

What the packages read was looked up in their sources: hasktorch's ``libtorch-ffi/Setup.hs``, ``torch-sys/build.rs`` of
tch-rs, ``src/config/discover.ml`` of ocaml-torch.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libtorch_ffi.build.flags import flags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from libtorch_ffi.provision import Libtorch


@dataclass(frozen=True)
class System:
    """A build system.

    Parameters
    ----------
    file
        The file of a project that takes the text.
    comment
        What begins a comment there.
    text
        The lines for a libtorch, and the cache folder that it lies in, or None where it lies in none.
    keys
        What begins a line of that file that would contradict the text.
    passes_abi
        Whether packages of it compile with the C++ ABI that they are told; the others use the compiler's own.
    """

    file: str
    comment: str
    text: Callable[[Libtorch, Path | None], list[str]]
    keys: tuple[str, ...]
    passes_abi: bool


def abi_warning(name: str, libtorch: Libtorch) -> str | None:
    """Return a paragraph where a libtorch's C++ ABI does not suit a build system; None where it does."""
    if libtorch.cxx11_abi or libtorch.platform.startswith("macos") or SYSTEMS[name].passes_abi:
        return None
    return (
        f"The libtorch in {libtorch.prefix} has the old C++ ABI (_GLIBCXX_USE_CXX11_ABI=0), and packages built by "
        f"{name} use the compiler's own, the C++11 one: they will not link (undefined reference … std::__cxx11). The "
        "text was written all the same. Take a libtorch with the C++11 ABI: LIBTORCH_SOURCE=official-zip, "
        "LIBTORCH_SOURCE=official-wheel for the flavor cpu, or LIBTORCH_VERSION=2.7.0 and later."
    )


def _cabal(libtorch: Libtorch, home: Path | None) -> list[str]:
    """Write ``cabal.project.local``: the folders for the project's own packages, and for hasktorch's as a dependency.

    Cabal reads no variables from a file, so those are said in a comment.
    """
    folders = [
        f"extra-include-dirs: {_listed(libtorch.include_dirs)}",
        f"extra-lib-dirs: {_listed(libtorch.library_dirs)}",
    ]
    return [
        f"-- hasktorch finds it, and downloads nothing, with: export {_variables(libtorch, home)}",
        "shared: True",
        "executable-dynamic: True",
        *folders,
        "",
        "package libtorch-ffi",
        *(f"  {line}" for line in folders),
    ]


def _stack(libtorch: Libtorch, home: Path | None) -> list[str]:
    """Write lines of ``stack.yaml``; strings of JSON are strings of YAML.

    The rpath is for the programs: Stack gives them none to a folder of C libraries, as cabal-install does.
    """
    return [
        f"# hasktorch finds it, and downloads nothing, with: export {_variables(libtorch, home)}",
        f"extra-include-dirs: {json.dumps([str(folder) for folder in libtorch.include_dirs])}",
        f"extra-lib-dirs: {json.dumps([str(folder) for folder in libtorch.library_dirs])}",
        "configure-options:",
        "  $locals:",
        "    - --enable-shared",
        "    - --enable-executable-dynamic",
        *(f"    - {json.dumps(f'--ghc-option=-optl{word}')}" for word in flags(libtorch).rpath),
    ]


def _variables(libtorch: Libtorch, home: Path | None) -> str:
    """Return what hasktorch has to read to find this one in its cache, or anywhere else."""
    if home is None:
        return "LIBTORCH_SKIP_DOWNLOAD=1"
    return f"LIBTORCH_HOME={shlex.quote(str(home))} LIBTORCH_CUDA_VERSION={libtorch.flavor}"


def _cargo(libtorch: Libtorch, _home: Path | None) -> list[str]:
    """Write tables of ``.cargo/config.toml``; strings of JSON are strings of TOML."""
    rpath = [word for one in flags(libtorch).rpath for word in ("-C", f"link-arg={one}")]
    include, lib = libtorch.include_dirs[0].parent, libtorch.library_dirs[0].parent
    variables = {
        "LIBTORCH": str(libtorch.prefix),
        **({} if include == lib == libtorch.prefix else {"LIBTORCH_INCLUDE": str(include), "LIBTORCH_LIB": str(lib)}),
        "LIBTORCH_CXX11_ABI": str(int(libtorch.cxx11_abi)),
    }
    return [
        "[env]",
        *(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in variables.items()),
        "",
        "[build]",
        f"rustflags = {json.dumps(rpath, ensure_ascii=False)}",
    ]


def _dune(libtorch: Libtorch, _home: Path | None) -> list[str]:
    """Write a stanza of the ``dune`` file at a project's root; ``link_flags`` stands there only since dune 3."""
    rpath = " ".join(f"-ccopt {_of_ocaml(word)}" for word in flags(libtorch).rpath)
    return [
        "(env",
        " (_",
        f"  (env-vars (LIBTORCH {_of_ocaml(str(libtorch.prefix))}))",
        f"  (ocamlopt_flags (:standard {rpath}))))",
    ]


def _pkg_config(libtorch: Libtorch, _home: Path | None) -> list[str]:
    words = flags(libtorch)
    return [
        "Name: libtorch",
        f"Description: The C++ library of PyTorch, flavor {libtorch.flavor}",
        f"Version: {libtorch.version}",
        f"Cflags: {' '.join(map(_of_pkg_config, words.cxxflags))}",
        f"Libs: {' '.join(map(_of_pkg_config, words.ldflags))}",
    ]


def _listed(folders: Iterable[Path]) -> str:
    return ", ".join(json.dumps(str(folder), ensure_ascii=False) for folder in folders)


def _of_ocaml(text: str) -> str:
    """Quote for dune, which gives a meaning to ``%{`` besides."""
    return json.dumps(text, ensure_ascii=False).replace("%{", "\\%{")


def _of_pkg_config(word: str) -> str:
    """Quote for pkg-config, whose words are a shell's."""
    return "".join(letter if letter.isalnum() or letter in "/._-+=,:@%" else f"\\{letter}" for letter in word)


SYSTEMS = {
    "cabal": System(
        "cabal.project.local",
        "--",
        _cabal,
        ("shared:", "executable-dynamic:", "extra-include-dirs:", "extra-lib-dirs:", "package libtorch-ffi"),
        passes_abi=False,
    ),
    "stack": System(
        "stack.yaml",
        "#",
        _stack,
        ("extra-include-dirs:", "extra-lib-dirs:", "configure-options:"),
        passes_abi=False,
    ),
    "cargo": System(".cargo/config.toml", "#", _cargo, ("[env]", "env.", "env ", "[build]", "build."), passes_abi=True),
    "dune": System("dune", ";", _dune, ("(env",), passes_abi=False),
    "pkg-config": System("libtorch.pc", "#", _pkg_config, ("Name:",), passes_abi=True),
}
"""By the name that `libtorch-ffi env --for` takes."""
