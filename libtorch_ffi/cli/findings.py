"""What is wrong on this machine, each with the command that mends it.

Owns the judgement: which of the facts that `doctor` gathers are findings, their ids, and the mending commands. Never
gathers a fact that costs a connection or a compiler: those come from the caller, as errors or probes.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from libtorch_ffi._load import is_at_hand, reinstall
from libtorch_ffi.errors import LibtorchFFIError, TargetError
from libtorch_ffi.provision import driver, mark, store
from libtorch_ffi.provision.existence import check_exists

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from libtorch_ffi._load import Built
    from libtorch_ffi.provision import Libtorch, Place, Probe, Settings

Severity = Literal["error", "warning"]

_MENDS = {
    "given": ("given-refused", "unset LIBTORCH LIBTORCH_INCLUDE LIBTORCH_LIB"),
    "torch": ("torch-refused", "pip install torch"),
    "system": ("system-refused", "unset LIBTORCH_SKIP_DOWNLOAD"),
    "sandbox": ("nix-sandbox", "nix build .#libtorch-ffi"),
}
"""By the place where looking ends without a libtorch: the finding's id, and what mends it."""

_NAMES = (
    "LIBTORCH_CUDA_VERSION",
    "LIBTORCH_EXTENSIONS_DIR",
    "LIBTORCH_HOME",
    "LIBTORCH_INCLUDE",
    "LIBTORCH_INDEX_URL",
    "LIBTORCH_LIB",
    "LIBTORCH_MIRROR",
    "LIBTORCH_SHA256",
    "LIBTORCH_SKIP_DOWNLOAD",
    "LIBTORCH_SOURCE",
    "LIBTORCH_VERSION",
)
"""The variables that this package reads, besides ``LIBTORCH``."""

_OF_OTHERS = (
    "LIBTORCH_BYPASS_VERSION_CHECK",
    "LIBTORCH_CXX11_ABI",
    "LIBTORCH_STATIC",
    "LIBTORCH_USE_PYTORCH",
)
"""Those of such names that tch reads, the binding for Rust."""

_LEAST_ROOM = 1_000_000_000
"""Bytes that a libtorch for the CPU needs while it is installed, rounded up: 500 MB, and the archive of it."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Parameters
    ----------
    id
        A short name that stays the same from release to release.
    severity
        ``error`` where a build or an import fails, ``warning`` where something else may.
    what
        The fact, a paragraph at most.
    mend
        A line for a shell that mends it, or the nearest that is not the user's own decision.
    """

    id: str
    severity: Severity
    what: str
    mend: str

    def lines(self) -> list[str]:
        """Return it as the report prints it."""
        return [f"{self.severity} {self.id}: {self.what}", f"  mend: {self.mend}"]


def of_setting(error: LibtorchFFIError) -> Finding:
    """Return the finding of a variable that cannot be read."""
    name = next((word for word in str(error).split() if word.startswith("LIBTORCH")), "LIBTORCH_VERSION")
    return Finding("bad-setting", "error", str(error), f"unset {name}")


def of_names(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is nearly the name of a variable of ours, and which nothing reads."""
    for name in sorted(name for name in environ if name.startswith("LIBTORCH_") and name not in _NAMES + _OF_OTHERS):
        meant = difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.7)
        if meant:
            what = f"{name} is set, and nothing reads it. Did you mean {meant[0]}?"
            yield Finding("misspelt-variable", "warning", what, f"unset {name}")


def of_compiler(error: LibtorchFFIError) -> Finding:
    """Return the finding of a compiler, or of Python's headers, that are not there."""
    text = str(error)
    command = text.partition("`")[2].partition("`")[0]
    kind = "no-python-headers" if "headers of this Python" in text else "no-compiler"
    return Finding(kind, "error", text, command or "apt-get install g++")


def of_place(settings: Settings, used: Place) -> Iterator[Finding]:
    """Yield what is wrong with where looking ended, and with the cache folder that was looked into."""
    if used.libtorch is None and used.name in _MENDS:
        kind, mend = _MENDS[used.name]
        yield Finding(kind, "error", used.verdict, mend)
        return
    if used.libtorch is not None and used.name != "cache":
        return
    tree = mark.read(settings.home, settings.target)
    if tree.libtorch is None and tree.path.exists():
        yield Finding(_kind_of(tree), "error", f"{tree.path}: {tree.verdict}", _command("install", settings))
    if used.libtorch is None:
        yield from _of_target(settings)
        yield from _of_home(settings)
    yield from _of_leftovers(settings.home)


def of_sources(probes: Iterable[Probe]) -> Iterator[Finding]:
    """Yield that no source can be reached, with what each said."""
    found = list(probes)
    if not any(probe.reachable for probe in found):
        said = "; ".join(f"{probe.source}: {probe.verdict}" for probe in found)
        yield Finding(
            "no-source",
            "error",
            f"No source of a download can be reached: {said}. Set HTTPS_PROXY to a proxy that leads out, "
            "LIBTORCH_MIRROR or LIBTORCH_INDEX_URL to servers that you can reach, or carry a libtorch here from a "
            "machine with a network: `libtorch-ffi download DIR` there.",
            "libtorch-ffi install --from DIR",
        )


def of_driver(settings: Settings, flavor: str, has: tuple[int, int] | None) -> Iterator[Finding]:
    """Yield why a CUDA flavor cannot compute here."""
    mismatch = driver.mismatch(flavor, has)
    if mismatch:
        kind = "driver-missing" if has is None else "driver-old"
        yield Finding(kind, "warning", mismatch, _command("install", settings, flavor="cpu"))


def of_libtorch(libtorch: Libtorch) -> Iterator[Finding]:
    """Yield what those who link the libtorch should know."""
    if libtorch.platform.startswith("linux") and not libtorch.cxx11_abi:
        yield Finding(
            "old-abi",
            "warning",
            f"{libtorch.prefix} has the old C++ ABI: builds that assume the compiler's default, as Cabal's and Cargo's "
            "do, fail with undefined references to std::__cxx11.",
            "libtorch-ffi config --cxxflags",
        )


def of_extension(built: Built) -> Iterator[Finding]:
    """Yield that the libtorch of the installed extension is gone."""
    if not is_at_hand(built):
        version, flavor = built["version"], built["flavor"]
        ours = built["origin"] not in ("torch", "given", "system")
        yield Finding(
            "extension-libtorch-gone",
            "error",
            f"The libtorch that libtorch_ffi was built against, {version} {flavor} in {built['prefix']}, is not there "
            "any more, or was replaced: `import libtorch_ffi` fails.",
            f"libtorch-ffi install --version {version} --flavor {flavor}" if ours else reinstall(built),
        )


def _kind_of(tree: mark.Tree) -> str:
    if tree.receipt:
        return "library-gone"
    return "half-installed" if tree.verdict.startswith("no .ok") else "bad-ok"


def _of_target(settings: Settings) -> Iterator[Finding]:
    try:
        check_exists(settings.target)
    except TargetError as error:
        yield Finding("no-such-libtorch", "error", str(error), "libtorch-ffi list --available")


def _of_home(settings: Settings) -> Iterator[Finding]:
    """Yield why nothing can be installed into the cache folder."""
    folder = _nearest(settings.home)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        what = f"The cache folder {settings.home} cannot be written to ({folder})."
        yield Finding("home-not-writable", "error", what, "export LIBTORCH_HOME=$HOME/libtorch")
        return
    about = os.statvfs(folder)
    free = about.f_bavail * about.f_frsize
    if free < _LEAST_ROOM:
        what = f"The disk of the cache folder {settings.home} has {free / 1e6:,.0f} MB free."
        yield Finding("home-full", "warning", what, "libtorch-ffi prune")


def _nearest(path: Path) -> Path:
    """Return the first folder upwards that exists."""
    while not path.exists() and path.parent != path:
        path = path.parent
    return path


def _of_leftovers(home: Path) -> Iterator[Finding]:
    found = store.leftovers(home)
    if found:
        what = f"Installs that were killed, or are at it now, left {len(found)} folders in {home}: {found[0]}, …"
        yield Finding("leftover-folders", "warning", what, "libtorch-ffi prune")


def _command(name: str, settings: Settings, *, flavor: str = "") -> str:
    target = settings.target
    return f"libtorch-ffi {name} --version {target.version} --flavor {flavor or target.flavor}"
