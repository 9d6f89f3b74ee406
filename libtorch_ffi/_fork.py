"""What a forked process starts with.

Owns one decision: how many threads its operators use. OpenMP's threads do not live on in the child, and GNU's OpenMP,
which PyTorch's Linux libraries use, waits for them forever in the next operator that computes in parallel. So a child
of a process that has such threads computes with one; ``set_num_threads`` is what would bring the wait back. Never
touches the parent, nor a process that was started anew.
"""

from __future__ import annotations

import os
import sys

from libtorch_ffi import _C as core

_parent_has_workers = False


def register() -> None:
    """Let forks be noticed, where they do harm."""
    if sys.platform == "linux":
        os.register_at_fork(before=_look, after_in_child=_compute_alone)


def _look() -> None:
    """Note whether the process has threads that Python did not start: OpenMP's, or others that look like them."""
    import threading
    from pathlib import Path

    global _parent_has_workers  # noqa: PLW0603 - the child's copy of it is how it learns
    try:
        _parent_has_workers = sum(1 for _ in Path("/proc/self/task").iterdir()) > threading.active_count()
    except OSError:  # no /proc here
        _parent_has_workers = True


def _compute_alone() -> None:
    if _parent_has_workers:
        core.set_num_threads(1)
