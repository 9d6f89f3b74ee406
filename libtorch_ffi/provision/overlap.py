"""Work that goes on at the same time: bytes arrive, are inflated, and are hashed and written, each in its thread.

Owns the ways to hand chunks from thread to thread, with few of them waiting so that memory stays constant, to take a
few parts of a whole at once, and to do two things beside each other. Never knows what the chunks are. Sockets, zlib,
hashlib and files all let other threads run while they work.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    Chunk = TypeVar("Chunk", bytes, memoryview)

_WAITING = 4
"""How many chunks wait at most: of half a MiB, where they are inflated."""

_LOOK_UP = 0.1

_PATIENCE = 5.0
"""Seconds to wait for work that was told to stop: it stops at its next chunk, unless that is not coming."""


def ahead(chunks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    """Yield what a generator yields, while a thread takes the next ones already.

    Where it is closed early the thread closes the generator as soon as that gives its next chunk; nobody waits for it.
    """
    begun = _Begun(chunks, _WAITING)
    try:
        yield from begun
    finally:
        begun.stop.set()


def in_turn(parts: Iterable[Generator[bytes, None, None]], at_once: int, waiting: int) -> Generator[bytes, None, None]:
    """Yield what generators yield, one after another, while threads take the chunks of the next ones already.

    Parameters
    ----------
    parts
        The generators; one that is late in the row is closed as `ahead` closes one, or was never begun.
    at_once
        How many are taken at a time.
    waiting
        How many chunks of each wait at most.
    """
    row: deque[_Begun] = deque()
    try:
        for part in parts:
            row.append(_Begun(part, waiting))
            if len(row) == at_once:
                yield from row[0]
                row.popleft()
        while row:
            yield from row[0]
            row.popleft()
    finally:
        for begun in row:
            begun.stop.set()


class _Begun:
    """A generator whose chunks a thread takes, from now on."""

    def __init__(self, chunks: Generator[bytes, None, None], waiting: int) -> None:
        self.box: Queue[bytes | BaseException | None] = Queue(waiting)
        self.stop = threading.Event()
        threading.Thread(target=_take, args=(chunks, self.box, self.stop), daemon=True).start()

    def __iter__(self) -> Iterator[bytes]:
        while (item := self.box.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item


def _take(
    chunks: Generator[bytes, None, None], box: Queue[bytes | BaseException | None], stop: threading.Event
) -> None:
    last: BaseException | None = None
    if stop.is_set():  # before the first chunk: nothing was begun, and nothing is to be
        return
    try:
        for chunk in chunks:
            if not _handed(box, chunk, stop):
                break
    except BaseException as error:  # noqa: BLE001 (it is raised where the chunks are used)
        last = error
    chunks.close()
    _handed(box, last, stop)


def _handed(
    box: Queue[bytes | BaseException | None], item: bytes | BaseException | None, stop: threading.Event
) -> bool:
    """Put an item in the box as soon as there is room; False where nobody takes any more."""
    while not stop.is_set():
        with suppress(Full):
            box.put(item, timeout=_LOOK_UP)
            return True
    return False


@contextmanager
def behind(work: Callable[[bytes], object]) -> Iterator[Callable[[bytes], None]]:
    """Give a function that hands a chunk to a thread, which works on them in order; all is done when the block ends.

    What the work raises is raised at the next chunk, or at the end of the block.
    """
    box: Queue[bytes | None] = Queue(_WAITING)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            while (chunk := box.get()) is not None:
                work(chunk)
        except BaseException as error:  # noqa: BLE001 (it is raised where the chunks come from)
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def hand(chunk: bytes | None) -> None:
        while thread.is_alive():
            with suppress(Full):
                box.put(chunk, timeout=_LOOK_UP)
                return
        if failures:
            raise failures[0]

    try:
        yield hand
    except BaseException:
        with suppress(Empty):
            while True:
                box.get_nowait()
        box.put(None)
        thread.join()
        raise
    hand(None)
    thread.join()
    if failures:
        raise failures[0]


@contextmanager
def beside(work: Callable[[threading.Event], object]) -> Iterator[None]:
    """Run work in a thread beside the block, and wait for it at the end of the block; what it raises is raised there.

    Where the block fails, the event that the work was given is set: it should end at its next chunk.
    """
    stopped = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work(stopped)
        except BaseException as error:  # noqa: BLE001 (it is raised at the end of the block)
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
        thread.join()
    except BaseException:
        stopped.set()
        thread.join(_PATIENCE)
        raise
    if failures:
        raise failures[0]
