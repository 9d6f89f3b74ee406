"""Bytes from servers: ranges, pages, and what may be tried again.

Owns the HTTP session, its timeouts, the few retries, how much a page may hold, and the words for what a server did.
Never decides whether bytes are the right ones: those who know the digests do. Retries only what can pass (a dropped
connection, a timeout, 5xx, 429), and a range that was cut off goes on where it stopped.
"""

from __future__ import annotations

import io
import logging
import threading
import time
import zlib
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3.exceptions

from libtorch_ffi.errors import DownloadError
from libtorch_ffi.provision.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from typing_extensions import Self

    from libtorch_ffi.provision.progress import Progress

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection; a server that cannot be reached falls through to the next source."""

READ_TIMEOUT = 30.0
"""Seconds to wait for the next bytes."""

TRIES = 4
"""How often one request is made, the first time included."""

PAUSE = 0.5
"""Seconds before the second try, doubled for each one after it."""

_LONGEST_PAUSE = 20.0
_SLOWEST = 1024
"""Bytes a second below which a connection counts as one that stands still."""

_MOST_DIGITS = 18

BLOCK = 1 << 18
"""How many bytes are read from a connection at a time."""

LONGEST_PAGE = 1 << 26
"""How many bytes a page may have. Of the longest that are asked for, torch's, both indexes send less than 2^22."""

_OK, _PARTIAL, _UNAUTHORIZED, _GONE, _TOO_MANY, _SERVER_ERROR = 200, 206, 401, (404, 410), 429, 500


class UnreachableError(DownloadError):
    """A source that gave no answer, or not the bytes; the next source may have them."""


class AbsentError(DownloadError):
    """A source that answered and does not have what was asked for."""


class NoRangesError(Exception):
    """A server that answers a range with the whole file."""


class _TransientError(Exception):
    """What may pass when tried again; `wait` is what the server asked for, in seconds."""

    def __init__(self, fact: str, wait: float = 0.0) -> None:
        super().__init__(fact)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Page:
    """A page, whole and unpacked: where it came from in the end, its Content-Type, and its bytes."""

    url: str
    kind: str
    content: bytes


def shown(url: str) -> str:
    """Return an address without the name and the password that it may hold, for messages and receipts."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


class _Patience:
    """How often a request has failed in a row, and how long to wait before the next."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.failures = 0

    @contextmanager
    def forgiving(self) -> Iterator[None]:
        """Pause on what may pass, and give up when it has not passed a few times."""
        try:
            yield
        except _TransientError as error:
            self.failures += 1
            if self.failures >= TRIES:
                raise UnreachableError(f"{shown(self._url)} was tried {TRIES} times and failed: {error}") from error
            wait = min(max(PAUSE * 2 ** (self.failures - 1), error.wait), _LONGEST_PAUSE)
            _log.info("%s: %s; trying again in %.1f s", shown(self._url), error, wait)
            time.sleep(wait)


class Net:
    """A session with servers, for one install.

    Parameters
    ----------
    progress
        Told of every byte of an archive that arrives.

    Attributes
    ----------
    received
        The bytes of pages and archives that arrived so far, without what HTTP and TLS put around them.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self.session = requests.Session()
        # Ranges count the bytes of the file itself, so no server may pack them on the way.
        self.session.headers["Accept-Encoding"] = "identity"
        self.progress: Progress = progress or Silent()
        self._telling = False
        self._met: set[str] = set()
        self.received = 0
        self._counting = threading.Lock()
        self.timeout = (CONNECT_TIMEOUT, READ_TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    @contextmanager
    def told(self, label: str, total: int | None) -> Iterator[None]:
        """Tell the progress of what arrives in the block, under a label."""
        self.progress.start(label, total)
        self._telling = True
        try:
            yield
        finally:
            self._telling = False
            self.progress.finish()

    def stream(
        self, url: str, start: int = 0, stop: int | None = None, expect: Callable[[int], None] | None = None
    ) -> Generator[bytes, None, None]:
        """Yield the bytes of a file from `start` to `stop`, going on where a connection was cut.

        Parameters
        ----------
        url
            The file's address.
        start, stop
            The range; without `stop`, to the end.
        expect
            Told how many bytes an answer will bring, before any of them is read, where the server says so.

        Raises
        ------
        UnreachableError
            Where the server does not give them after a few tries.
        AbsentError
            Where there is no such file.
        NoRangesError
            Where the server would send the whole file for a part of it.
        """
        patience = _Patience(url)
        while stop is None or start < stop:
            with patience.forgiving():
                for block in self._once(url, start, stop, expect):
                    start += len(block)
                    if stop is not None and start > stop:
                        raise UnreachableError(f"{shown(url)} sends more than it was asked for: bytes past {stop}")
                    patience.failures = 0
                    self._count(len(block))
                    yield block
                if stop is None:
                    return

    def size(self, url: str) -> int:
        """Return the size of a file, asked for by its first byte.

        Raises
        ------
        UnreachableError, AbsentError, NoRangesError
            As `stream` does.
        """
        patience = _Patience(url)
        while True:
            with patience.forgiving(), self._answer(url, 0, 1) as answer:
                total = _number(answer.headers["Content-Range"].rpartition("/")[2])
                if total is None:
                    raise NoRangesError(url)
                return total

    def page(self, url: str, accept: str) -> Page:
        """Return a page whole.

        Parameters
        ----------
        url
            The page's address.
        accept
            The kinds of pages that are taken, as the header Accept has them.

        Raises
        ------
        UnreachableError
            Where it does not come, or is longer than `LONGEST_PAGE`.
        AbsentError
            Where there is no such page.
        """
        patience = _Patience(url)
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        while True:
            with patience.forgiving(), closing(self._asked(url, headers)) as answer:
                _check_status(answer)
                packed = io.BytesIO()
                for block in _blocks(answer):
                    self.received += len(block)
                    packed.write(block)
                    _check_length(answer, packed.tell())
                return Page(answer.url, answer.headers.get("Content-Type", "text/html"), _unpacked(answer, packed))

    def _count(self, size: int) -> None:
        with self._counting:
            self.received += size
        if self._telling:
            self.progress.advance(size)

    def _once(self, url: str, start: int, stop: int | None, expect: Callable[[int], None] | None) -> Iterator[bytes]:
        with self._answer(url, start, stop) as answer:
            announced = _announced(answer)
            if expect is not None and announced is not None:
                expect(announced)
            yield from _blocks(answer)

    def _answer(self, url: str, start: int, stop: int | None) -> requests.Response:
        """Ask for a range, or for all of a file; return the answer with its body still to be read."""
        ranged = bool(start) or stop is not None
        headers = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if ranged else {}
        answer = self._asked(url, headers)
        try:
            _check_status(answer)
            if ranged:
                _check_range(answer, start)
        except BaseException:
            answer.close()
            raise
        return answer

    def _asked(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Make one request, and leave the answer's body to be read.

        Only a server that has answered before is tried again where it gives no answer now.
        """
        host = urlsplit(url).netloc
        try:
            answer = self.session.get(url, headers=headers, stream=True, timeout=self.timeout)
        except requests.ReadTimeout as error:
            raise _TransientError(_fact(error)) from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            if host in self._met:
                raise _TransientError(_fact(error)) from error
            raise UnreachableError(f"{shown(url)} cannot be reached: {_fact(error)}") from error
        except requests.RequestException as error:
            raise UnreachableError(f"{shown(url)} cannot be asked for: {error}") from error
        self._met.add(host)
        return answer


def _announced(answer: requests.Response) -> int | None:
    """Return how many bytes an answer will bring, where the server says so."""
    return _number(answer.headers.get("Content-Length", ""))


def _number(text: str) -> int | None:
    """Return what a header counts, None where it is no number that a file or a pause could have."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _blocks(answer: requests.Response) -> Iterator[bytes]:
    """Yield an answer's bytes as they come; one that ends early ends in a failure, after all that came of it."""
    announced, received, failure = _announced(answer), 0, None
    while failure is None:
        block, failure = _next_block(answer)
        if block:
            received += len(block)
            yield block
        elif failure is None:
            break
    if failure is not None:
        raise failure
    if announced is not None and received < announced:  # which urllib3 before 2 does not say
        raise _TransientError(f"it sent {announced - received} bytes fewer than it announced")


def _next_block(answer: requests.Response) -> tuple[bytes, _TransientError | None]:
    """Return the next bytes, and what went wrong after them.

    The bytes are a whole block, or what comes while one may wait for bytes; next to nothing is a failure. urllib3
    before 2.1 cannot give what is there, and is asked for whole blocks.
    """
    read = getattr(answer.raw, "read1", answer.raw.read)
    pieces: list[bytes] = []
    failure = None
    missing, begun = BLOCK, time.monotonic()
    try:
        while missing and time.monotonic() - begun < READ_TIMEOUT and (piece := read(missing)):
            pieces.append(piece)
            missing -= len(piece)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        failure = _TransientError(_fact(error))
    block = b"".join(pieces)
    seconds = time.monotonic() - begun
    if seconds >= READ_TIMEOUT and len(block) < seconds * _SLOWEST:
        return b"", _TransientError(f"it sent {len(block)} bytes in {seconds:.0f} s")
    return block, failure


def _unpacked(answer: requests.Response, packed: io.BytesIO) -> bytes:
    """Return a page's content, of which no more than a page may have is ever unpacked."""
    from gzip import GzipFile

    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return packed.getvalue()
    if encoding not in ("gzip", "x-gzip"):
        raise UnreachableError(f"{shown(answer.url)} was asked for a page and answered in the encoding {encoding!r}")
    packed.seek(0)
    try:
        with GzipFile(fileobj=packed) as file:
            content = file.read(LONGEST_PAGE + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _TransientError(f"the page cannot be unpacked: {error}") from error
    _check_length(answer, len(content))
    return content


def _check_length(answer: requests.Response, length: int) -> None:
    if length > LONGEST_PAGE:
        raise UnreachableError(
            f"{shown(answer.url)} answers with a page of more than {LONGEST_PAGE >> 20} MiB, which no index has; the "
            "rest was not read"
        )


def _check_status(answer: requests.Response) -> None:
    status = answer.status_code
    if status in (_OK, _PARTIAL):
        return
    said = f"{status} {answer.reason or ''}".strip()
    if status in _GONE:
        raise AbsentError(f"{shown(answer.url)} does not exist: the server said {said}")
    if status == _TOO_MANY or status >= _SERVER_ERROR:
        raise _TransientError(f"the server said {said}", _asked_wait(answer))
    asks = "; a name and a password for it can stand in ~/.netrc" if status == _UNAUTHORIZED else ""
    raise UnreachableError(f"{shown(answer.url)} was refused: the server said {said}{asks}")


def _check_range(answer: requests.Response, start: int) -> None:
    """Refuse an answer to a range that is the whole file, or begins elsewhere."""
    if answer.status_code == _OK:
        raise NoRangesError(answer.url)
    sent = answer.headers.get("Content-Range", "")
    if not sent.startswith(f"bytes {start}-"):
        raise UnreachableError(
            f"{shown(answer.url)} was asked for its bytes from {start} on and answered with {sent!r}"
        )


def _asked_wait(answer: requests.Response) -> float:
    return float(_number(answer.headers.get("Retry-After", "")) or 0)


def _fact(error: BaseException) -> str:
    """Say in a few words what went wrong, without the wrapping that requests and urllib3 put around it."""
    text = str(error)
    first = text.splitlines()[0] if text else type(error).__name__
    known = (
        (
            any(words in text for words in ("Name or service not known", "name resolution", "nodename nor servname")),
            "its name cannot be resolved",
        ),
        (
            "CERTIFICATE_VERIFY_FAILED" in text,
            "its certificate is not trusted; REQUESTS_CA_BUNDLE can name a file that has your own authority's",
        ),
        (
            isinstance(error, requests.exceptions.ProxyError),
            f"the proxy that HTTPS_PROXY or HTTP_PROXY names does not answer, or refuses: {first}",
        ),
        (
            isinstance(error, (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)),
            f"no connection within {CONNECT_TIMEOUT:.0f} s",
        ),
        (
            isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)),
            f"no bytes within {READ_TIMEOUT:.0f} s",
        ),
        ("Connection refused" in text, "the connection was refused"),
    )
    return next((words for holds, words in known if holds), first)
