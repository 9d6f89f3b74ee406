"""The progress on stderr: on a terminal, in a log, and with log lines in between."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi.terminal import Bar, LogLines, duration

if TYPE_CHECKING:
    from libtorch_ffi.provision.progress import Progress


class Stream(io.TextIOWrapper):
    """A stderr in memory, a terminal or not, with an encoding."""

    def __init__(self, *, terminal: bool, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    @property
    def text(self) -> str:
        return self.bytes.getvalue().decode(self.encoding)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def bar_of(stream: Stream, clock: Clock, unit: str = "B") -> Bar:
    return Bar(stream, unit=unit, clock=clock)


def test_a_bar_is_a_progress() -> None:
    progress: Progress = bar_of(Stream(terminal=False), Clock())
    progress.start("x", 1)
    progress.finish()


def test_log_gets_a_line_now_and_then() -> None:
    stream, clock = Stream(terminal=False), Clock()
    bar = bar_of(stream, clock)
    bar.start("torch 2.5.0", 100_000_000)
    for _ in range(12):
        clock.now += 1
        bar.advance(5_000_000)
    bar.finish()
    assert stream.text.splitlines() == [
        "torch 2.5.0: 25 % of 100.0 MB, 5.0 MB/s, 15 s left",
        "torch 2.5.0: 50 % of 100.0 MB, 5.0 MB/s, 10 s left",
        "torch 2.5.0: 60.0 MB in 12 s (5.0 MB/s)",
    ]


def test_log_of_an_unknown_size_has_no_share() -> None:
    stream, clock = Stream(terminal=False), Clock()
    bar = bar_of(stream, clock)
    bar.start("index", None)
    clock.now += 6
    bar.advance(3_000_000)
    assert stream.text == "index: 3.0 MB, 0.5 MB/s\n"


def test_terminal_redraws_one_line_and_leaves_one() -> None:
    stream, clock = Stream(terminal=True), Clock()
    bar = bar_of(stream, clock)
    bar.start("torch", 10_000_000)
    clock.now += 2
    bar.advance(5_000_000)
    bar.finish()
    assert stream.text.count("\n") == 1
    assert "█" * 15 + "░" * 15 + " torch: 50 % of 10.0 MB, 2.5 MB/s, 2.0 s left" in stream.text
    assert stream.text.endswith("\r\x1b[Ktorch: 5.0 MB in 2.0 s (2.5 MB/s)\n")


def test_terminal_is_not_drawn_more_often_than_an_eye_sees() -> None:
    stream, clock = Stream(terminal=True), Clock()
    bar = bar_of(stream, clock)
    bar.start("torch", 1000)
    for _ in range(1000):
        clock.now += 0.001
        bar.advance(1)
    assert stream.text.count("\r") == pytest.approx(10, abs=2)


def test_terminal_without_blocks_gets_ascii() -> None:
    stream, clock = Stream(terminal=True, encoding="ascii"), Clock()
    bar = bar_of(stream, clock)
    bar.start("torch", 2)
    clock.now += 1
    bar.advance(1)
    assert "#" * 15 + "." * 15 in stream.text


def test_narrow_terminal_is_never_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    stream, clock = Stream(terminal=True), Clock()
    bar = bar_of(stream, clock)
    bar.start("a label that is longer than the terminal is wide", 2)
    assert max(len(part) for part in stream.text.split("\r\x1b[K")) == 29


def test_other_units_are_counted_plainly() -> None:
    stream, clock = Stream(terminal=False), Clock()
    bar = bar_of(stream, clock, unit="epochs")
    bar.start("training", 40)
    clock.now += 4
    bar.advance(40)
    bar.finish()
    assert stream.text == "training: 40 epochs in 4.0 s (10 epochs/s)\n"


def test_log_record_stands_above_the_bar() -> None:
    stream, clock = Stream(terminal=True), Clock()
    bar = bar_of(stream, clock)
    bar.start("torch", 4)
    LogLines(bar).emit(logging.LogRecord("x", logging.WARNING, "", 0, "%s is unreachable", ("it",), None))
    lines = stream.text.split("\r\x1b[K")
    assert lines[-2] == "libtorch-ffi: it is unreachable\n"
    assert lines[-1].endswith("torch: 0 % of 0.0 MB, 0.0 MB/s")


def test_what_never_began_leaves_no_line() -> None:
    for terminal in (True, False):
        stream = Stream(terminal=terminal)
        bar = bar_of(stream, Clock())
        bar.start("torch", 4_000_000)
        bar.finish()
        assert "\n" not in stream.text
        assert stream.text.rpartition("\r\x1b[K")[2] == ""


def test_what_arrives_twice_is_no_more_than_all() -> None:
    stream, clock = Stream(terminal=False), Clock()
    bar = bar_of(stream, clock)
    bar.start("torch", 1_000_000)
    clock.now += 10
    bar.advance(1_100_000)
    bar.finish()
    assert stream.text.splitlines() == [
        "torch: 100 % of 1.0 MB, 0.1 MB/s, 0.0 s left",
        "torch: 1.1 MB in 10 s (0.1 MB/s)",
    ]


def test_abandoned_bar_says_nothing_more() -> None:
    stream, clock = Stream(terminal=True), Clock()
    bar = bar_of(stream, clock)
    bar.start("torch", 4)
    bar.abandon()
    bar.finish()
    assert stream.text.endswith("\r\x1b[K")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (185, "3 min 05 s"), (3599.7, "1 h 00 min"), (7800, "2 h 10 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
