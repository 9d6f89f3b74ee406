"""`libtorch-ffi wheel`: a wheel for another machine.

Owns the answer alone; the wheel is `libtorch_ffi.build.repack`'s.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.build import repack

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> int:
    """Write the wheel and print its path."""
    sys.stdout.write(f"{repack.pack(Path(options.folder), bundle=options.bundle)}\n")
    return 0
