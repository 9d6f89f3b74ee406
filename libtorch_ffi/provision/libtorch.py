"""The one value that passes from provisioning to everything else.

Owns `Libtorch`, the description of a tree that is ready to be compiled against. Never looks for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._dataclass import dataclass

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Libtorch:
    """A libtorch on this machine's disk.

    Parameters
    ----------
    version
        The release without a local part, such as ``2.5.0``.
    flavor
        ``cpu``, ``cu118``, ``cu124``, …
    platform
        ``linux-x86_64``, ``linux-aarch64``, ``macos-arm64`` or ``macos-x86_64``.
    prefix
        The folder that holds ``lib`` and ``include`` (of a split tree, the parent of the library folder).
    include_dirs
        The folders for ``-I``, in order.
    library_dirs
        The folders for ``-L`` and rpath, in order.
    libraries
        The names for ``-l``, in link order.
    cxx11_abi
        Whether the libraries use libstdc++'s C++11 ABI (``_GLIBCXX_USE_CXX11_ABI=1``).
    cxx_standard
        The C++ standard that the headers ask for, 17 or 20.
    origin
        Which place gave it: ``given``, ``system``, ``torch``, ``cache``, or the source of a download, such as ``pypi``.
    """

    version: str
    flavor: str
    platform: str
    prefix: Path
    include_dirs: tuple[Path, ...]
    library_dirs: tuple[Path, ...]
    libraries: tuple[str, ...]
    cxx11_abi: bool
    cxx_standard: int
    origin: str
