"""`libtorch-ffi config`: facts about the libtorch at hand, quoted for a shell.

Owns the questions and the form of their answers. The flags themselves come from `libtorch_ffi.build.flags`, the
libtorch from `libtorch_ffi.provision.locate`, which never downloads. Build systems call this several times a build, so
it imports as little as it can: no argparse, and `json`, `shlex` and the flags only for the questions that need them.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # what type checkers take for true; importing `typing` for it would cost 2 ms
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from libtorch_ffi.build.flags import Flags
    from libtorch_ffi.provision import Libtorch

SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")
"""The characters that mean nothing to a shell, as `shlex.quote` has them."""


def is_plain(questions: Sequence[str]) -> bool:
    """Say whether these arguments can be answered as they stand, with nothing to parse."""
    return bool(questions) and all(question in ANSWERS for question in questions)


def run(questions: Sequence[str]) -> int:
    """Answer each question with a line on stdout, in the order in which they were asked."""
    from libtorch_ffi.provision import locate

    libtorch = locate()
    for question in questions:
        _, answer = ANSWERS[question]
        sys.stdout.write(answer(libtorch) + "\n")
    return 0


def from_options(options: argparse.Namespace) -> int:
    """Answer what argparse understood: the questions, or, where there were none, an error that names them."""
    if options.questions:
        return run(options.questions)
    sys.stderr.write(f"libtorch-ffi: config was asked nothing; ask for one or more of {' '.join(ANSWERS)}\n")
    return 2


def _flags(libtorch: Libtorch) -> Flags:
    from libtorch_ffi.build.flags import flags

    return flags(libtorch)


def _json(libtorch: Libtorch) -> str:
    """Write the libtorch and its flags as one JSON object, paths as text, lists unquoted."""
    import json

    flags = _flags(libtorch)
    return json.dumps(
        {
            "version": libtorch.version,
            "flavor": libtorch.flavor,
            "platform": libtorch.platform,
            "prefix": str(libtorch.prefix),
            "origin": libtorch.origin,
            "cxx11_abi": libtorch.cxx11_abi,
            "cxx_standard": libtorch.cxx_standard,
            "include_dirs": [str(folder) for folder in libtorch.include_dirs],
            "library_dirs": [str(folder) for folder in libtorch.library_dirs],
            "libraries": list(libtorch.libraries),
            "cxxflags": flags.cxxflags,
            "ldflags": flags.ldflags,
        },
        indent=2,
    )


def _quoted(words: Iterable[str]) -> str:
    """Join words for a shell; `shlex`, which is slow to import, quotes those that need it."""
    return " ".join(word if word and SAFE.issuperset(word) else _quote(word) for word in words)


def _quote(word: str) -> str:
    import shlex

    return shlex.quote(word)


def _folder(name: str) -> str:
    """Return a folder of the package."""
    import os

    return os.path.join(os.path.dirname(os.path.dirname(__file__)), name)  # noqa: PTH118, PTH120 (pathlib is slow)


ANSWERS: dict[str, tuple[str, Callable[[Libtorch], str]]] = {
    "--prefix": ("the folder that holds lib and include", lambda libtorch: _quoted([str(libtorch.prefix)])),
    "--version": ("its version", lambda libtorch: _quoted([libtorch.version])),
    "--includes": ("-I flags", lambda libtorch: _quoted(_flags(libtorch).includes)),
    "--cxxflags": (
        "all flags for the compiler: -I, C++ ABI and standard",
        lambda libtorch: _quoted(_flags(libtorch).cxxflags),
    ),
    "--ldflags": ("all flags for the linker: -L, -l and rpath", lambda libtorch: _quoted(_flags(libtorch).ldflags)),
    "--libdir": ("the folder of the libraries", lambda libtorch: _quoted(map(str, libtorch.library_dirs))),
    "--rpath": ("the rpath flag for the linker", lambda libtorch: _quoted(_flags(libtorch).rpath)),
    "--cmakedir": (
        "the folder for CMAKE_PREFIX_PATH, for find_package(LibtorchFFI) and find_package(Torch)",
        lambda _: _quoted([_folder("cmake")]),
    ),
    "--caster": (
        "the -I flag of <libtorch_ffi/caster.h>, which passes tensors through pybind11",
        lambda _: _quoted([f"-I{_folder('include')}"]),
    ),
    "--json": ("all of this and more as a JSON object", _json),
}
"""Each question: what it asks for, and its answer."""
