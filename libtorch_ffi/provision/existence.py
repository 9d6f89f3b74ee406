"""Which targets are known not to exist, and what is nearest to them.

Owns the judgement on a target from the catalogue alone. Never opens a socket. What the catalogue does not know is let
through, to be tried: a release that it does not list, or a flavor that it never heard of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi.errors import TargetError
from libtorch_ffi.provision import catalogue
from libtorch_ffi.provision.targets import release_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from libtorch_ffi.provision.targets import Target


def check_exists(target: Target) -> None:
    """Refuse a target that is known not to exist.

    Raises
    ------
    TargetError
        Naming the reason and the nearest targets that exist.
    """
    reason = _reason_against(target)
    if reason:
        raise TargetError(
            f"There is no {target}: {reason}. Nothing was downloaded. "
            f"The nearest that exist are {' and '.join(_nearest(target))}; "
            "choose one with LIBTORCH_VERSION and LIBTORCH_CUDA_VERSION."
        )


def _reason_against(target: Target) -> str:
    """Say why a target cannot exist; nothing where it may."""
    if target.platform.startswith("macos") and target.flavor != "cpu":
        return "macOS has the flavor cpu only"
    releases = catalogue.releases()
    release = releases.get(target.version)
    if release is not None and target.flavor in release.flavors_of(target.platform):
        return ""
    having = _having(target)
    if release is not None and release.complete and target.flavor in catalogue.flavors():
        return _history(target, having)
    ended = having and release_numbers(having[-1]) < release_numbers(_newest_complete())
    newer = release_numbers(target.version) > release_numbers(_newest_complete())
    return _history(target, having) if ended and newer else ""


def _having(target: Target) -> list[str]:
    """Return the releases that have the target's flavor on its platform, oldest first."""
    releases = catalogue.releases()
    return sorted(
        (version for version in releases if target.flavor in releases[version].flavors_of(target.platform)),
        key=release_numbers,
    )


def _newest_complete() -> str:
    releases = catalogue.releases()
    return max((version for version in releases if releases[version].complete), key=release_numbers)


def _history(target: Target, having: list[str]) -> str:
    if not having:
        return f"{target.flavor} was never published for {target.platform}"
    if release_numbers(target.version) > release_numbers(having[-1]):
        return f"{target.flavor} for {target.platform} ended with {having[-1]}"
    if release_numbers(target.version) < release_numbers(having[0]):
        return f"{target.flavor} for {target.platform} began with {having[0]}"
    return f"{target.version} has no {target.flavor} for {target.platform}"


def _nearest(target: Target) -> list[str]:
    """Name the flavors of the same release, then the nearest release that has the flavor."""
    releases = catalogue.releases()
    release = releases.get(target.version)
    flavors = release.flavors_of(target.platform) if release else ()
    found = [f"{target.version} with {', '.join(flavors)}"] if flavors else []
    having = _having(target)
    if having:
        found.append(f"{closest(target.version, having)} with {target.flavor}")
    if not found:
        version = closest(target.version, [each for each in releases if releases[each].flavors_of(target.platform)])
        found.append(f"{version} with {', '.join(releases[version].flavors_of(target.platform))}")
    return found


def closest(version: str, versions: Iterable[str]) -> str:
    """Return the newest release that is not newer than `version`, or else the oldest."""
    ordered = sorted(versions, key=release_numbers)
    return next((each for each in reversed(ordered) if release_numbers(each) <= release_numbers(version)), ordered[0])
