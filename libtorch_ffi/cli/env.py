"""`libtorch-ffi env --for …`: what another build system has to be told, printed, or put in its file.

Owns how a text of `libtorch_ffi.build.systems` gets into a file of somebody else: between two lines of ours, which a
later run replaces, and never in contradiction to what stands there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.build.systems import SYSTEMS, abi_warning
from libtorch_ffi.errors import LibtorchFFIError, SettingError
from libtorch_ffi.provision import Settings, locate

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from libtorch_ffi.build.systems import System
    from libtorch_ffi.provision import Libtorch

BEGIN = "written by libtorch-ffi env"
END = "end of what libtorch-ffi env wrote"


def run(options: argparse.Namespace) -> int:
    """Print the text for the libtorch at hand, or write it and print the file's path."""
    settings = Settings.from_environment()
    libtorch = locate(settings)
    system = SYSTEMS[options.system]
    lines = _block(system, libtorch, _home(settings, libtorch))
    warning = abi_warning(options.system, libtorch)
    if warning:
        sys.stderr.write(f"libtorch-ffi: {warning}\n")
    if options.write is None:
        sys.stdout.write("\n".join(lines) + "\n")
        return 0
    path = Path(options.write, system.file)
    try:
        _put(path, system, lines)
    except (OSError, UnicodeDecodeError) as error:
        raise LibtorchFFIError(
            f"{path} cannot be written: {error}. It is as it was. Give `--write` a folder that can be written to, or "
            "leave it out and paste what is printed."
        ) from error
    sys.stdout.write(f"{path}\n")
    return 0


def _home(settings: Settings, libtorch: Libtorch) -> Path | None:
    """Return the cache folder where the libtorch lies in it by the layout that hasktorch shares."""
    in_cache = settings.home / libtorch.version / libtorch.platform / libtorch.flavor
    return settings.home if in_cache == libtorch.prefix else None


def _block(system: System, libtorch: Libtorch, home: Path | None) -> list[str]:
    return [
        f"{system.comment} {BEGIN}: libtorch {libtorch.version} {libtorch.flavor}",
        *system.text(libtorch, home),
        f"{system.comment} {END}",
    ]


def _put(path: Path, system: System, block: Sequence[str]) -> None:
    """Put a block at the end of a file, or in the place of an earlier one."""
    there = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    before, after = _around(path, there, system)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text("\n".join([*before, *block, *after]) + "\n", encoding="utf-8")
    if path.exists():
        part.chmod(path.stat().st_mode)
    part.replace(path)


def _around(path: Path, lines: list[str], system: System) -> tuple[list[str], list[str]]:
    """Return what stands before the block and after it."""
    begin = next((number for number, line in enumerate(lines) if line.startswith(f"{system.comment} {BEGIN}")), None)
    end = next((number for number, line in enumerate(lines) if line == f"{system.comment} {END}"), None)
    if (begin is None) != (end is None) or (begin or 0) > (end or 0):
        raise SettingError(
            f"{path} has only one of the two lines between which libtorch-ffi writes ({BEGIN!r}, {END!r}). Nothing was "
            "changed. Remove that line and what belongs to it, and run the command again."
        )
    before, after = (lines, []) if begin is None or end is None else (lines[:begin], lines[end + 1 :])
    for number, line in enumerate(before + after, 1):
        if line.startswith(system.keys):
            raise SettingError(
                f"{path} says {line.strip()!r} already (line {number}), and a second one would contradict it. Nothing "
                "was changed. Run the command without --write, and merge what it prints by hand."
            )
    return ([*before, ""] if begin is None and before and before[-1].strip() else before), after
