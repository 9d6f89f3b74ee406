"""Print the pkg-config file of a libtorch whose headers and libraries lie apart.

    python pkgconfig.py FLAVOR INCLUDE LIB

Owns nothing but the format: what a libtorch is comes from `libtorch_ffi.provision`, the flags from
`libtorch_ffi.build`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from libtorch_ffi.build.flags import flags
from libtorch_ffi.provision.describe import describe

flavor, include, lib = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
libtorch = describe(include, lib, prefix=lib.parent, origin="given", flavor=flavor)
words = flags(libtorch)
sys.stdout.write(
    f"Name: libtorch\nDescription: The C++ library of PyTorch, flavor {flavor}\nVersion: {libtorch.version}\n"
    f"Cflags: {' '.join(words.cxxflags)}\nLibs: {' '.join(words.ldflags)}\n"
)
