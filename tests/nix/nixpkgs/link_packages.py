"""Link installed Python packages, and all that they require, into a folder; what a package of nixpkgs holds.

    python link_packages.py SITE OUT [NAME ...]

Owns the choice of what belongs to a package: what its RECORD lists, and its requirements' in turn. So a name that an
expression of the flake forgets is missing in its build, as it is with nixpkgs; and one that is not installed here is an
empty package. Writes `OUT/site`, and `OUT/bin` with the commands of the packages that are named.
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

_COMMAND = """#!/bin/bash
exec python3 -c 'import sys; from {module} import {attr}; sys.exit({attr}())' "$@"
"""


def closure(named: list[str], installed: dict[NormalizedName, Distribution]) -> list[Distribution]:
    """Return some packages and what they require on this machine."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[NormalizedName, Distribution] = {}
    todo = list(named)
    while todo:
        name = canonicalize_name(todo.pop())
        if name not in found and name in installed:
            found[name] = installed[name]
            required = map(Requirement, installed[name].requires or [])
            todo += [each.name for each in required if each.marker is None or each.marker.evaluate({"extra": ""})]
    return list(found.values())


def link(package: Distribution, site: Path, out: Path) -> None:
    """Link the modules of a package and its metadata."""
    for top in sorted({file.parts[0] for file in package.files or []}):
        place = out / top
        if top not in ("..", "__pycache__") and not top.endswith(".pth") and not place.exists():
            place.symlink_to(site / top)


def write_commands(package: Distribution, folder: Path) -> None:
    """Write the commands of a package, for whatever Python is first on the PATH."""
    for entry in package.entry_points.select(group="console_scripts"):
        folder.mkdir(exist_ok=True)
        command = folder / entry.name
        command.write_text(_COMMAND.format(module=entry.module, attr=entry.attr))
        command.chmod(0o755)


def main(site: Path, out: Path, names: list[str]) -> None:
    """Link what is asked for."""
    sys.path.append(str(site))
    from packaging.utils import canonicalize_name

    installed = {canonicalize_name(each.metadata["Name"]): each for each in distributions(path=[str(site)])}
    (out / "site").mkdir(parents=True)
    for package in closure(names, installed):
        link(package, site, out / "site")
    for name in map(canonicalize_name, names):
        if name in installed:
            write_commands(installed[name], out / "bin")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
