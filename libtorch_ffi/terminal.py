"""Progress on stderr: a bar with rate and time left on a terminal, a line now and then elsewhere.

Owns `Bar`, which fulfils `provision.progress.Progress`, and `LogLines`, the log handler that goes around a bar that is
being drawn. Only the command line uses them: the library itself reports to a `Progress` that it is given, and logs.
"""

from __future__ import annotations

import logging
import shutil
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

REDRAW_SECONDS = 0.1
"""Least time between two drawings on a terminal: an eye takes in no more."""

LINE_SECONDS = 5.0
"""Least time between two lines where stderr is a file or a pipe: a log should stay readable."""

BAR_WIDTH = 30
"""Columns of the bar itself."""

TENTHS_BELOW = 10
"""Below ten, of seconds or of steps a second, the tenths are of interest."""


class Bar:
    """What a `Progress` shows of one thing after the other.

    Parameters
    ----------
    stream
        Where it is written, `sys.stderr` as a rule.
    unit
        ``B`` writes counts as MB, anything else as plain counts with this unit.
    clock
        Seconds that only grow; tests give their own.
    """

    def __init__(self, stream: TextIO, *, unit: str = "B", clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._unit = unit
        self._clock = clock
        self._live = stream.isatty()
        self._solid, self._empty = ("█", "░") if can_write(stream, "█░") else ("#", ".")
        self._label = ""
        self._total: int | None = None
        self._done = 0
        self._started = self._shown = clock()
        self._open = False

    def start(self, label: str, total: int | None) -> None:
        """Begin a thing of ``total`` units, or of a size that is not known; what was open before is finished."""
        self.finish()
        self._label, self._total, self._done = label, total, 0
        self._started = self._shown = self._clock()
        self._open = True
        if self._live:
            self._draw()

    def advance(self, count: int) -> None:
        """Take ``count`` more units as done."""
        self._done += count
        now = self._clock()
        if self._open and now - self._shown >= (REDRAW_SECONDS if self._live else LINE_SECONDS):
            self._shown = now
            if self._live:
                self._draw()
            else:
                self._line(self._text())

    def finish(self) -> None:
        """End the thing that is open, if any, with one line that stays; of what never began there is nothing to say."""
        was_open = self._open
        self.abandon()
        if not was_open or not self._done:
            return
        seconds = max(self._clock() - self._started, 1e-9)
        self._line(f"{self._label}: {self._count(self._done)} in {duration(seconds)} ({self._rate(seconds)})")

    def abandon(self) -> None:
        """Take the bar off the terminal without a last word, as before an error."""
        self._clear()
        self._open = False

    def write(self, line: str) -> None:
        """Write a line of somebody else's above the bar."""
        self._clear()
        self._line(line)
        if self._open and self._live:
            self._draw()

    def _draw(self) -> None:
        columns = shutil.get_terminal_size().columns
        text = self._text()
        if self._total:
            filled = min(BAR_WIDTH, BAR_WIDTH * self._done // self._total)
            bar = self._solid * filled + self._empty * (BAR_WIDTH - filled)
            if len(text) + BAR_WIDTH + 2 < columns:
                text = f"{bar} {text}"
        self._stream.write(f"\r\x1b[K{text[: columns - 1]}")
        self._stream.flush()

    def _clear(self) -> None:
        if self._open and self._live:
            self._stream.write("\r\x1b[K")

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _text(self) -> str:
        """Say what is done, how fast, and how long it will take."""
        seconds = max(self._clock() - self._started, 1e-9)
        if not self._total:
            return f"{self._label}: {self._count(self._done)}, {self._rate(seconds)}"
        share = min(self._done * 100 // self._total, 100)  # what a connection dropped arrives again
        text = f"{self._label}: {share} % of {self._count(self._total)}, {self._rate(seconds)}"
        if self._done:
            left = seconds * max(self._total - self._done, 0) / self._done
            text += f", {duration(left)} left"
        return text

    def _count(self, n: float) -> str:
        return f"{n / 1e6:.1f} MB" if self._unit == "B" else f"{n:.0f} {self._unit}"

    def _rate(self, seconds: float) -> str:
        rate = self._done / seconds
        return (
            f"{self._count(rate)}/s"
            if self._unit == "B"
            else f"{rate:.{0 if rate >= TENTHS_BELOW else 1}f} {self._unit}/s"
        )


class LogLines(logging.Handler):
    """Writes log records as lines above a bar, each begun with the program's name."""

    def __init__(self, bar: Bar, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._bar = bar

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self._bar.write(f"libtorch-ffi: {self.format(record)}")


def duration(seconds: float) -> str:
    """Write a time span in the two largest units that matter: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < TENTHS_BELOW:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def can_write(stream: TextIO, text: str) -> bool:
    """Say whether the stream's encoding has these characters."""
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
