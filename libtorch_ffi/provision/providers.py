"""The wheels that a torch wheel's metadata names, opened when a library is looked for.

Owns the reading of requirements: markers for the target's platform, extras of meta-packages such as
``cuda-toolkit[cudart]``, and the guess which of them has a library, so that few are opened. Never writes a file.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from libtorch_ffi.errors import LibtorchFFIError
from libtorch_ffi.provision import index
from libtorch_ffi.provision.remote import AbsentError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from packaging.requirements import Requirement

    from libtorch_ffi.provision.index import Index, Listed
    from libtorch_ffi.provision.targets import Platform
    from libtorch_ffi.provision.wheel import Wheel

_log = logging.getLogger(__name__)

_MACHINES = {"linux": "Linux", "macos": "Darwin"}
_ALIASES = {"runtime": "cudart", "nvtx": "nvtoolsext"}
_COMMON = frozenset(("nvidia", "cuda", "toolkit"))


class Providers:
    """Wheels that may have a library.

    Parameters
    ----------
    requirements
        What the torch wheel requires.
    indexes
        Where to look for each, in order.
    platform
        What the libraries must run on.
    open_wheel
        Opens what an index lists.
    """

    def __init__(
        self,
        requirements: Iterable[Requirement],
        indexes: tuple[Index, ...],
        platform: Platform,
        open_wheel: Callable[[Listed], Wheel],
    ) -> None:
        self._indexes = indexes
        self._environment = environment(platform)
        self._platform = platform
        self._open_wheel = open_wheel
        self._pending = self._applicable(requirements, ())
        self._opened: list[Wheel] = []

    def holding(self, file: str) -> Wheel | None:
        """Return the wheel that has a library, opening the likeliest first; None where none has it."""
        for wheel in self._opened:
            if file in wheel.libraries():
                return wheel
        while self._pending:
            self._pending.sort(key=lambda requirement: not _likely(requirement, file))
            opened = self._open(self._pending.pop(0))
            if opened is not None and file in opened.libraries():
                return opened
        return None

    def looked_in(self) -> list[str]:
        """Return the names of the wheels that were opened."""
        return [wheel.archive.ranges.name.rpartition("/")[2] for wheel in self._opened]

    def open_ahead(self, files: Iterable[str]) -> None:
        """Open the wheels that seem, by their names, to have some libraries; one that fails is met again when needed.

        Parameters
        ----------
        files
            The libraries, with or without the number after ``.so``.
        """
        for file in files:
            while likely := [each for each in self._pending if _likely(each, file)]:
                self._pending.remove(likely[0])
                try:
                    self._open(likely[0])
                except LibtorchFFIError as error:
                    _log.info("%s: %s", likely[0], error)
                    self._pending.append(likely[0])
                    return

    def _open(self, requirement: Requirement) -> Wheel | None:
        """Open the wheel of a requirement; what a meta-package requires is looked into next."""
        listed = self._find(requirement)
        if listed is None or (listed.is_pure and not requirement.extras):
            return None
        wheel = self._open_wheel(listed)
        self._opened.append(wheel)
        self._pending += self._applicable(wheel.requirements(), tuple(requirement.extras))
        return wheel

    def _find(self, requirement: Requirement) -> Listed | None:
        found = (self._find_on(each, requirement) for each in self._indexes)
        return next((listed for listed in found if listed is not None), None)

    def _find_on(self, where: Index, requirement: Requirement) -> Listed | None:
        try:
            return where.find(requirement.name, index.matching(requirement.specifier), self._platform)
        except (UnreachableError, AbsentError) as error:
            _log.info("%s: %s", requirement, error)
            return None

    def _applicable(self, requirements: Iterable[Requirement], extras: tuple[str, ...]) -> list[Requirement]:
        """Return the requirements that hold on the platform and may have libraries.

        Such are pinned with ``==``, or NVIDIA's: its wheel of cuSOLVER names that of nvJitLink and no version.
        """
        return [
            requirement
            for requirement in requirements
            if (requirement.name.startswith("nvidia-") or any(part.operator == "==" for part in requirement.specifier))
            and (requirement.marker is None or any(self._holds(requirement, extra) for extra in ("", *extras)))
        ]

    def _holds(self, requirement: Requirement, extra: str) -> bool:
        return requirement.marker is None or requirement.marker.evaluate({**self._environment, "extra": extra})


def environment(platform: Platform) -> dict[str, str]:
    """Return the markers' variables for a platform, on the Python whose wheels are taken."""
    system, _, machine = platform.partition("-")
    return {
        "implementation_name": "cpython",
        "implementation_version": "3.11.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": _MACHINES[system],
        "platform_version": "",
        "python_full_version": "3.11.0",
        "python_version": "3.11",
        "sys_platform": "linux" if system == "linux" else "darwin",
    }


def _likely(requirement: Requirement, file: str) -> bool:
    """Guess from its name whether a package has a library, as nvidia-cuda-cupti-cu12 has libcupti.so.12."""
    stem = file.partition(".so")[0].lower()
    words = {*requirement.name.lower().replace("_", "-").split("-"), *requirement.extras} - _COMMON
    return any(_ALIASES.get(word, word) in stem for word in words)
