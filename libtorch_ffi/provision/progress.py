"""How provisioning tells how far it is.

Owns the protocol between provisioning and whoever shows progress. Never shows anything itself: the CLI draws the bar.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What is told while bytes arrive; one `start`, any number of `advance`, one `finish`, and again for the next."""

    def start(self, label: str, total: int | None) -> None:
        """Begin to receive `total` bytes, or an unknown number of them, of what `label` names."""

    def advance(self, count: int) -> None:
        """Take note of `count` more bytes."""

    def finish(self) -> None:
        """End what was started, complete or not."""


class Silent:
    """A `Progress` that shows nothing."""

    def start(self, label: str, total: int | None) -> None:
        """Ignore it."""

    def advance(self, count: int) -> None:
        """Ignore it."""

    def finish(self) -> None:
        """Ignore it."""
