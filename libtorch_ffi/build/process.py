"""Starting a compiler, a linker, any program.

Owns the one place from which a build starts a process. Never judges the answer: callers know what it means.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(words: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it answered.

    Parameters
    ----------
    words
        The program and its arguments; no shell sees them.
    stdin
        The text it reads.

    Raises
    ------
    OSError
        The program cannot be started.
    """
    # S603: the words are the project's own, and the compiler is the one that the person building chose.
    return subprocess.run(words, input=stdin, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
