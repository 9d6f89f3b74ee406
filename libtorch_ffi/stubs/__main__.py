"""``python -m libtorch_ffi.stubs``: write the stubs, or say whether they are fresh.

Owns the command. The build runs it with ``--extension``, on what it has just linked.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from libtorch_ffi.errors import LibtorchFFIError

PACKAGE = Path(__file__).parents[1]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 where all is well, 1 where a stub is not fresh or nothing could be written."""
    options = _parser().parse_args(arguments)
    try:
        if options.extension is not None:
            _load(options.extension)
        from libtorch_ffi.stubs.files import all_files

        for library in options.load:
            from libtorch_ffi.library import load_library

            load_library(library)
        return _check(options.output, all_files()) if options.check else _write(options.output, all_files())
    except LibtorchFFIError as error:
        sys.stderr.write(f"libtorch-ffi: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m libtorch_ffi.stubs",
        description="Write the stubs of the operators, from the schemas of the libtorch at hand.",
        allow_abbrev=False,
    )
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the stubs are fresh")
    parser.add_argument("--output", type=Path, default=PACKAGE, metavar="DIR", help="instead of beside the package")
    parser.add_argument(
        "--load", action="append", default=[], metavar="LIBRARY", help="a library with operators to include"
    )
    parser.add_argument("--extension", type=Path, metavar="FILE", help="the compiled core, where it is not installed")
    return parser


def _load(extension: Path) -> None:
    """Put a compiled core in the place of the installed one."""
    import importlib.util

    import libtorch_ffi

    spec = importlib.util.spec_from_file_location("libtorch_ffi._C", extension)
    if spec is None or spec.loader is None:
        raise LibtorchFFIError(f"{extension} is no extension module of this Python. Name the file that was linked.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    vars(libtorch_ffi)["_C"] = module


def _write(folder: Path, files: dict[str, str]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def _check(folder: Path, files: dict[str, str]) -> int:
    stale = [
        str(path)
        for name, text in files.items()
        if not (path := folder / name).is_file() or path.read_text(encoding="utf-8") != text
    ]
    if stale:
        sys.stderr.write(
            f"libtorch-ffi: {', '.join(stale)}: not what the libtorch at hand has. Write them anew with "
            "`python -m libtorch_ffi.stubs`.\n"
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
