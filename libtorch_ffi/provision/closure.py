"""The libraries that libtorch's own need: found, checked and taken.

Owns the closure over ELF NEEDED: a library that is needed is in the tree, or in the torch wheel, or the system's, or in
a wheel that the torch wheel's metadata names; where it is none of these the install fails, naming it and where it was
looked for. Takes the members that are needed and leaves the rest. Never loads a library.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from libtorch_ffi.errors import DownloadError, IntegrityError
from libtorch_ffi.provision import elf, lanes, loader
from libtorch_ffi.provision.overlap import beside
from libtorch_ffi.provision.wheel import CPU_ROOTS, PYTHON_ONLY, is_library

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from libtorch_ffi.provision.archive import Member
    from libtorch_ffi.provision.stage import Stage
    from libtorch_ffi.provision.targets import Target
    from libtorch_ffi.provision.wheel import Wheel

_log = logging.getLogger(__name__)

_SYSTEM = frozenset(
    f"lib{name}"
    for name in (
        *("c", "m", "dl", "rt", "pthread", "util", "resolv", "nsl", "anl", "crypt"),
        *("stdc++", "gcc_s", "atomic", "z"),
    )
)
"""What every Linux of manylinux has (PEP 600), by the name before ``.so``."""

_LIKELY = ("libcudart.so", "libcupti.so")
"""What `libtorch_cpu.so` of a wheel for CUDA needs, in the releases that were looked at; a wrong guess costs a few
requests."""

_DRIVER = "libcuda.so.1"
"""What comes with NVIDIA's driver, no wheel may hold, and a machine that only links has not."""


class Holder(Protocol):
    """Where a library is looked for that neither the torch wheel nor the system has: `Providers`, or given files."""

    def holding(self, file: str) -> Wheel | None:
        """Return the wheel that has a library; None where none has it."""

    def looked_in(self) -> list[str]:
        """Return the names of the wheels that were looked in."""

    def open_ahead(self, files: Iterable[str]) -> None:
        """Open the wheels that seem to have some libraries, before it is known whether these are needed."""


class Listener(Protocol):
    """Who is told what is being received: `Net`, or nobody."""

    def told(self, label: str, total: int | None) -> AbstractContextManager[None]:
        """Tell of what arrives in the block."""


def take_whole(stage: Stage, wheel: Wheel, target: Target, providers: Holder, net: Listener) -> None:
    """Put all libraries of a torch wheel in the tree that are not the Python package's, and what they need."""
    put(stage, net, wheel, {**_in_lib(wheel.torch_libraries()), **wheel.trees(), **wheel.licenses()})
    if target.platform.startswith("linux"):
        _drop_python_dependents(stage)
        _close(stage, wheel, providers, net, siblings=True)
    _check_libraries(stage, target)


def take_cpu(stage: Stage, wheel: Wheel, target: Target, providers: Holder, net: Listener) -> None:
    """Cut a CPU libtorch out of a torch wheel that was built for an accelerator.

    `libtorch.so` there needs the accelerator's library besides `libtorch_cpu.so`; its entry is turned to the latter, so
    that it stays a real ELF file that links and loads.
    """
    libraries = wheel.torch_libraries()
    roots = {file: member for file, member in libraries.items() if file in CPU_ROOTS}
    if len(roots) < len(CPU_ROOTS):
        raise IntegrityError(
            f"{wheel.archive.ranges.name} is not a whole torch wheel: it lacks "
            f"{', '.join(set(CPU_ROOTS) - set(roots))}. Nothing was kept. Set LIBTORCH_SOURCE to another source."
        )
    with beside(lambda _: providers.open_ahead(_LIKELY)):
        put(stage, net, wheel, {**_in_lib(roots), **wheel.trees(), **wheel.licenses()})
    torch = stage.path / "lib/libtorch.so"
    stage.own("lib/libtorch.so")
    for needed in elf.inspect(torch).needed:
        if needed in libraries and needed not in CPU_ROOTS:
            elf.replace_needed(torch, needed, "libtorch_cpu.so")
    stage.reread("lib/libtorch.so")
    _close(stage, wheel, providers, net, siblings=False)
    _check_libraries(stage, target)


def check(stage: Stage, target: Target) -> None:
    """Refuse a tree whose libraries are not all there, or not made for the target's platform.

    Raises
    ------
    IntegrityError
        Naming the library.
    """
    if target.platform.startswith("linux"):
        _drop_python_dependents(stage)
        _check_complete(stage)
    _check_libraries(stage, target)


def _check_complete(stage: Stage) -> None:
    for file, needed_by in _missing(stage, _present(stage)).items():
        if not of_system(file):
            raise IntegrityError(
                f"lib/{needed_by} needs {file}, which the archive does not hold. Nothing was kept. Set LIBTORCH_SOURCE "
                "to another source."
            )


def put(stage: Stage, net: Listener, wheel: Wheel, members: Mapping[str, Member]) -> None:
    """Write members of a wheel to the tree, each checked against RECORD; `members` is by path in the tree."""
    missing = {path: member for path, member in members.items() if not _reused(stage, wheel, path, member)}
    ranges = wheel.archive.ranges
    with net.told(ranges.name.rpartition("/")[2], lanes.transfer_size(wheel.archive, missing)):
        lanes.write(stage, wheel.archive, missing, wheel.sha256)


def _reused(stage: Stage, wheel: Wheel, path: str, member: Member) -> bool:
    return stage.reuse(path, member.size, wheel.sha256(member), executable=member.executable)


def _in_lib(libraries: Mapping[str, Member]) -> dict[str, Member]:
    return {f"lib/{file}": member for file, member in libraries.items()}


def _present(stage: Stage) -> set[str]:
    """Return the libraries that are in the tree."""
    return {name.removeprefix("lib/") for name in stage.entries if name.startswith("lib/")}


def _drop_python_dependents(stage: Stage) -> None:
    """Leave out what needs the Python package's libraries, and what needs that in turn."""
    needed = {file: elf.inspect(stage.path / "lib" / file).needed for file in _present(stage)}
    gone = {name for names in needed.values() for name in names if name.startswith(PYTHON_ONLY)}
    while dependents := {file for file, names in needed.items() if not gone.isdisjoint(names)}:
        for file in dependents:
            stage.drop(f"lib/{file}")
            del needed[file]
        gone |= dependents


def _close(stage: Stage, wheel: Wheel, providers: Holder, net: Listener, *, siblings: bool) -> None:
    """Take what the tree's libraries need, until nothing is missing.

    With `siblings`, a wheel that has a library that is needed gives all of its libraries: cuDNN and NVRTC load parts of
    themselves by name, which no NEEDED entry tells. Where such a part needs what is nowhere it is left out: that of
    cuFile for RDMA needs libraries of a network card's driver.
    """
    vendored = wheel.libraries()
    looked_at: set[str] = set()
    beside: set[str] = set()
    while new := _present(stage) - looked_at:
        looked_at |= new
        missing = _missing(stage, new)
        own = {file: vendored[file] for file in missing if file in vendored}
        if own:
            put(stage, net, wheel, _in_lib(own))
        for file in sorted(missing.keys() - own.keys()):
            if file in _present(stage) or of_system(file):
                continue
            provider = providers.holding(file)
            if provider is not None:
                beside |= _take_from(provider, stage, net, file, missing[file], siblings=siblings)
            elif not _left_out(stage, file, beside):
                raise DownloadError(
                    f"{missing[file]} needs {file}, which is not in the torch wheel and in none of the wheels that it "
                    f"names: {', '.join(providers.looked_in()) or 'it names none'}. Nothing was kept. Set "
                    "LIBTORCH_SOURCE to another source, or LIBTORCH_VERSION to another release."
                )


def _missing(stage: Stage, files: Iterable[str]) -> dict[str, str]:
    """Return what some libraries need and the tree has not, with the library that needs it."""
    present = _present(stage)
    return {
        needed: file
        for file in sorted(files)
        for needed in elf.inspect(stage.path / "lib" / file).needed
        if needed not in present
    }


def of_system(file: str) -> bool:
    """Tell whether a library is one that every Linux has, or that comes with NVIDIA's driver."""
    return file.partition(".so")[0] in _SYSTEM or file.startswith("ld-linux") or file == _DRIVER


def _take_from(wheel: Wheel, stage: Stage, net: Listener, file: str, needed_by: str, *, siblings: bool) -> set[str]:
    """Put a library in the tree, with `siblings` the wheel's others too; return the names of these."""
    _log.info("%s, which %s needs, is taken from %s", file, needed_by, wheel.archive.ranges.name)
    libraries = wheel.libraries()
    present = _present(stage)
    wanted = libraries if siblings else {file: libraries[file]}
    members = {name: member for name, member in wanted.items() if name not in present and is_library(name)}
    put(stage, net, wheel, {**_in_lib(members), **_new(stage, wheel.licenses())})
    return members.keys() - {file}


def _left_out(stage: Stage, file: str, beside: set[str]) -> bool:
    """Leave out the siblings that need a library; False where one of them is needed, or another library needs it."""
    needed = {name: elf.inspect(stage.path / "lib" / name).needed for name in _present(stage)}
    users = {name for name, names in needed.items() if file in names}
    wanted = {each for name in needed.keys() - users for each in needed[name]}
    if not users <= beside - wanted:
        return False
    for name in sorted(users):
        _log.info("%s is left out: it needs %s, which no wheel has, and nothing needs it", name, file)
        stage.drop(f"lib/{name}")
    return True


def _new(stage: Stage, members: Mapping[str, Member]) -> dict[str, Member]:
    return {path: member for path, member in members.items() if path not in stage.entries}


def _check_libraries(stage: Stage, target: Target) -> None:
    """Refuse libraries that are made for another processor or system, or that do not find each other in one folder."""
    lib = stage.path / "lib"
    for file in sorted(_present(stage)):
        found = elf.machine(lib / file)
        if found != target.platform:
            raise IntegrityError(
                f"lib/{file} is made for {found}, where {target.platform} was asked for. Nothing was kept. Set "
                "LIBTORCH_SOURCE to another source, or ask whose index this is."
            )
    if target.platform.startswith("linux"):
        for file, needed in loader.lost({file: elf.inspect(lib / file) for file in _present(stage)}, CPU_ROOTS):
            raise IntegrityError(
                f"lib/{file} would not find {needed} beside it: neither its own search path nor that of the libraries "
                "that need it leads to their folder. Nothing was kept. Set LIBTORCH_SOURCE to another source."
            )
