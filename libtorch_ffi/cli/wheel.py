"""`libtorch-ffi wheel`: a wheel for another machine.

Owns the answer alone; the wheel is `libtorch_ffi.build.repack`'s.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.build import repack

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> int:
    """Write the wheel and print its path."""
    path = repack.pack(Path(options.folder), bundle=options.bundle)
    facts = {"path": str(path), "bundle": options.bundle, "size": path.stat().st_size}
    sys.stdout.write((json.dumps(facts, indent=2) if options.json else str(path)) + "\n")
    return 0
