"""What the caller asked for: the LIBTORCH_* environment variables, read and judged.

Owns the names, the defaults and the accepted values. Never looks at the disk beyond making paths absolute, and never
opens a socket. A bad value is an error that names the variable, the value, what is accepted, and the near miss.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from libtorch_ffi._dataclass import dataclass, field
from libtorch_ffi.errors import SettingError
from libtorch_ffi.provision.targets import PLATFORMS, Platform, Target, host_platform

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_VERSION = "2.5.0"
DEFAULT_FLAVOR = "cpu"

Source = Literal["official-wheel", "pypi", "official-zip", "torch"]
SOURCES: tuple[Source, ...] = get_args(Source)
ARCHIVE = "archive"
"""The source of a tree that came out of an archive which LIBTORCH_SOURCE names."""


@dataclass(frozen=True)
class Settings:
    """What to provision, from where, and to which folder.

    Parameters
    ----------
    version
        ``LIBTORCH_VERSION``, such as ``2.5.0``; None for the default release.
    flavor
        ``LIBTORCH_CUDA_VERSION``, such as ``cpu`` or ``cu118``; None for ``cpu``.
    platform
        The platform to provision for, the host's where nothing is said.
    home
        ``LIBTORCH_HOME``, the cache folder.
    skip_download
        ``LIBTORCH_SKIP_DOWNLOAD``, true where the variable is set at all.
    libtorch, include, lib
        ``LIBTORCH``, ``LIBTORCH_INCLUDE`` and ``LIBTORCH_LIB``: a given tree, or the two prefixes of a split one.
    source, archive
        ``LIBTORCH_SOURCE``: the one source to use, or the path or address of the one archive.
    mirror
        ``LIBTORCH_MIRROR``, in place of PyTorch's own server.
    index_url
        ``LIBTORCH_INDEX_URL``, in place of pip's configured index.
    sha256
        ``LIBTORCH_SHA256``, the digest that the archive must have.
    environ
        The environment that the settings were read from, for what is asked of it later: pip's variables, the sandbox.
    """

    version: str | None = None
    flavor: str | None = None
    platform: Platform = field(default_factory=host_platform)
    home: Path = field(default_factory=lambda: default_home(os.environ))
    skip_download: bool = False
    libtorch: Path | None = None
    include: Path | None = None
    lib: Path | None = None
    source: Source | None = None
    archive: str | None = None
    mirror: str | None = None
    index_url: str | None = None
    sha256: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False, compare=False)

    @property
    def target(self) -> Target:
        """The target that is asked for, defaults filled in."""
        return Target(self.version or DEFAULT_VERSION, self.flavor or DEFAULT_FLAVOR, self.platform)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from environment variables; an empty one counts as unset, but for LIBTORCH_SKIP_DOWNLOAD.

        Parameters
        ----------
        environ
            The variables, `os.environ` where nothing is given.

        Raises
        ------
        SettingError
            On the first value that is not accepted.
        """
        environ = os.environ if environ is None else environ
        return cls(
            version=_version(environ),
            flavor=_flavor(environ),
            home=default_home(environ),
            skip_download="LIBTORCH_SKIP_DOWNLOAD" in environ,
            libtorch=_path(environ, "LIBTORCH"),
            include=_path(environ, "LIBTORCH_INCLUDE"),
            lib=_path(environ, "LIBTORCH_LIB"),
            source=_source(environ),
            archive=_archive(environ),
            mirror=_url(environ, "LIBTORCH_MIRROR"),
            index_url=_url(environ, "LIBTORCH_INDEX_URL"),
            sha256=_sha256(environ),
            environ=environ,
        )


def default_home(environ: Mapping[str, str]) -> Path:
    """Return ``LIBTORCH_HOME``, or else ``libtorch`` in the XDG cache folder, on Linux and macOS alike.

    The rule is platformdirs' for Unix; it is written out because importing platformdirs costs more than reading the
    cache.
    """
    home = _path(environ, "LIBTORCH_HOME")
    if home is not None:
        return home
    cache = environ.get("XDG_CACHE_HOME", "").strip()
    # The XDG rules: a path that is not absolute counts as none.
    return Path(cache if cache.startswith("/") else _expanded("~/.cache")) / "libtorch"


def check_platform(value: str) -> Platform:
    """Return `value` as a platform.

    Raises
    ------
    SettingError
        Where it is none of `PLATFORMS`.
    """
    for platform in PLATFORMS:
        if value == platform:
            return platform
    raise SettingError(f"The platform {value!r} is not one of {', '.join(PLATFORMS)}.{_meant(value, PLATFORMS)}")


def _expanded(path: str) -> str:
    found = os.path.expanduser(path)  # noqa: PTH111 (Path.expanduser fails in other words)
    if found.startswith("~"):
        raise SettingError(
            f"{path} begins with the home folder of a user who has none: HOME is not set, or there is no such user. "
            "Nothing was read or written. Set HOME, or LIBTORCH_HOME to the folder that should hold the libtorches."
        )
    if "\n" in found or "\r" in found:
        raise SettingError(
            f"The path {found!r} has a line break in it, and what is written for compilers and build systems is read "
            "line by line. Nothing was read or written. Name another folder."
        )
    return os.path.abspath(found)  # noqa: PTH100 (Path.resolve would follow links)


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name, "").strip()
    return Path(_expanded(value)) if value else None


def _version(environ: Mapping[str, str]) -> str | None:
    value = environ.get("LIBTORCH_VERSION", "").strip()
    if not value or _is_release(value):
        return value or None
    raise SettingError(
        f"LIBTORCH_VERSION is {value!r}; a release is written as three numbers, such as {DEFAULT_VERSION}."
        f"{_meant_version(value)}"
    )


def _is_release(value: str) -> bool:
    parts = value.split(".")
    return len(parts) == 3 and all(part.isascii() and part.isdigit() for part in parts)  # noqa: PLR2004 (of a release)


def _meant_version(value: str) -> str:
    from libtorch_ffi.provision import catalogue

    public, _, local = value.lower().removeprefix("v").partition("+")
    if _is_release(public):
        flavor = f" with LIBTORCH_CUDA_VERSION={local}" if _is_flavor(local) else ""
        return f" Did you mean LIBTORCH_VERSION={public}{flavor}?"
    same = [version for version in catalogue.releases() if version.startswith(public.rstrip(".") + ".")]
    if same:
        return f" Of {value}, these exist: {', '.join(same)}."
    return _meant(value, tuple(catalogue.releases()))


def _flavor(environ: Mapping[str, str]) -> str | None:
    value = environ.get("LIBTORCH_CUDA_VERSION", "").strip()
    if not value or _is_flavor(value):
        return value or None
    meant = _meant_flavor(value)
    raise SettingError(
        f"LIBTORCH_CUDA_VERSION is {value!r}; a flavor is written as cpu, as cu and the digits of a CUDA version "
        "(cu118 is CUDA 11.8), as rocm and a version (rocm6.2), or as "
        f"xpu.{f' Did you mean LIBTORCH_CUDA_VERSION={meant}?' if meant else ''}"
    )


def _is_flavor(value: str) -> bool:
    digits = value[2:]
    if value.startswith("cu"):
        return digits.isascii() and digits.isdigit() and 2 <= len(digits) <= 4  # noqa: PLR2004 (cu92 to cu1310)
    numbers = value.removeprefix("rocm").split(".")
    rocm = value.startswith("rocm") and len(numbers) >= 2 and all(n.isascii() and n.isdigit() for n in numbers)  # noqa: PLR2004
    return rocm or value in ("cpu", "xpu")


def _meant_flavor(value: str) -> str | None:
    """Return the flavor that a value such as ``cuda118``, ``11.8``, ``CU118`` or ``cuda-11.8`` stands for."""
    low = value.lower()
    if _is_flavor(low):
        return low
    if low.startswith(("rocm", "hip")):
        version = "".join(c for c in low if c.isdigit() or c == ".").strip(".")
        return f"rocm{version}" if _is_flavor(f"rocm{version}") else None
    digits = "".join(c for c in low if c.isdigit())
    if digits and _is_flavor(f"cu{digits}"):
        return f"cu{digits}"
    from difflib import get_close_matches

    return next(iter(get_close_matches(low, ("cpu", "xpu"), n=1)), None)


def _source(environ: Mapping[str, str]) -> Source | None:
    value = environ.get("LIBTORCH_SOURCE", "").strip()
    if not value or _is_archive(value):
        return None
    for source in SOURCES:
        if value == source:
            return source
    raise SettingError(
        f"LIBTORCH_SOURCE is {value!r}; it is one of {', '.join(SOURCES)}, or the path or address of "
        f"an archive (.zip, .whl).{_meant(value, SOURCES)}"
    )


def _archive(environ: Mapping[str, str]) -> str | None:
    """Return the archive that LIBTORCH_SOURCE names, a path made absolute."""
    value = environ.get("LIBTORCH_SOURCE", "").strip()
    if not _is_archive(value):
        return None
    return value if is_address(value) else _expanded(value.removeprefix("file://"))


def _is_archive(value: str) -> bool:
    return value.endswith((".zip", ".whl")) or "/" in value


def is_address(value: str) -> bool:
    """Tell whether an archive is named by its address and not by its path."""
    return value.startswith(("https://", "http://"))


def _url(environ: Mapping[str, str], name: str) -> str | None:
    value = environ.get(name, "").strip()
    if not value or value.startswith(("https://", "http://")):
        return value.rstrip("/") or None
    raise SettingError(
        f"{name} is {value!r}; it is an address that begins with https:// or http://. Did you mean "
        f"{name}=https://{value}?"
    )


def _sha256(environ: Mapping[str, str]) -> str | None:
    value = environ.get("LIBTORCH_SHA256", "").strip().lower()
    if not value:
        return None
    if len(value) == 64 and all(c in "0123456789abcdef" for c in value):  # noqa: PLR2004 (as the error says)
        return value
    raise SettingError(
        f"LIBTORCH_SHA256 is {value!r}, of {len(value)} characters; a sha256 is written as 64 hexadecimal digits, as "
        "`sha256sum` prints it."
    )


def _meant(value: str, accepted: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(value.lower(), accepted, n=1)
    return f" Did you mean {close[0]}?" if close else ""
