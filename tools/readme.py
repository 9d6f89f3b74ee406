"""The README's table of flavors: `python tools/readme.py` makes it from the catalogue, `--check` says if it is stale.

Owns what lies between the two marks in README.md, and changes nothing else. Rows that read alike for following releases
are one row.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from libtorch_ffi.provision import catalogue  # noqa: E402 - the checkout's own catalogue, not an installed one's
from libtorch_ffi.provision.targets import PLATFORMS  # noqa: E402 - likewise

README = ROOT / "README.md"
BEGIN = "<!-- flavors: made by `python tools/readme.py`, from libtorch_ffi/provision/catalogue.json -->"
END = "<!-- end of flavors -->"


def table() -> str:
    """Return the table of versions by platforms, oldest release first."""
    releases = catalogue.releases()

    def cells(version: str) -> tuple[str, ...]:
        unknown = "" if releases[version].complete else "?"
        found = (", ".join(releases[version].flavors_of(platform)) for platform in PLATFORMS)
        return tuple(f"{flavors}{', ' if flavors and unknown else ''}{unknown}" or "none" for flavors in found)

    lines = [f"| Version | {' | '.join(PLATFORMS)} |", "|---" * (len(PLATFORMS) + 1) + "|"]
    for row, group in groupby(releases, key=cells):
        versions = list(group)
        span = versions[0] if len(versions) == 1 else f"{versions[0]} to {versions[-1]}"
        lines.append(f"| {span} | {' | '.join(row)} |")
    return "\n".join(lines)


def refreshed(text: str) -> str:
    """Return the README's text with a fresh table between the marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md has lost the marks that the table of flavors stands between: {BEGIN} and {END}")
    return f"{before}{begin}\n\n{table()}\n\n{end}{after}"


def main() -> int:
    """Write the table, or, with ``--check``, exit with 1 where it is stale."""
    text = README.read_text(encoding="utf-8")
    fresh = refreshed(text)
    if "--check" in sys.argv[1:]:
        if fresh != text:
            sys.stderr.write("README.md's table of flavors is stale: run python tools/readme.py\n")
        return int(fresh != text)
    README.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
