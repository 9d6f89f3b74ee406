"""The exceptions that libtorch-ffi raises by itself.

Owns the one root, `LibtorchFFIError`, and under it the few that a caller can act on. Each message is one paragraph:
the fact, what was expected and what came, what was done about it, and the next command or variable. Never phrases a
message: the code that knows the facts does. Errors of an operator call are not here: they are the exceptions that
torch raises.
"""

from __future__ import annotations


class LibtorchFFIError(Exception):
    """The root of every error that libtorch-ffi raises on its own account."""


class SettingError(LibtorchFFIError, ValueError):
    """A variable or an argument holds a value that is not accepted."""


class TargetError(LibtorchFFIError, ValueError):
    """A version, flavor and platform of which no libtorch exists."""


class NotFoundError(LibtorchFFIError):
    """No libtorch where one was looked for; the message lists every place, in order."""


class DownloadError(LibtorchFFIError):
    """No source gave the bytes: unreachable, refused or cut off."""


class IntegrityError(LibtorchFFIError):
    """Bytes that came are not the bytes that were published; nothing of them was kept."""


class StoreError(LibtorchFFIError):
    """The cache folder cannot be used: not writable, full, or in the way."""


class BuildError(LibtorchFFIError):
    """The extension cannot be compiled here."""


class LibraryError(LibtorchFFIError, OSError):
    """A library of operators cannot be loaded."""


class ArchiveError(LibtorchFFIError, ValueError):
    """A file of tensors that is damaged, of another format, or holds what is refused; or a value that no file takes."""


class LoadError(LibtorchFFIError, ImportError):
    """The compiled extension cannot be loaded into this process."""


class UnsupportedError(LibtorchFFIError, NotImplementedError):
    """torch has it and this package, or the libtorch at hand, does not; the message says what to use instead."""


class ProgramError(LibtorchFFIError, RuntimeError):
    """A file holds no program that can be loaded and run, or inputs are not those that a program takes."""
