"""Work that may crash, done in processes of its own.

Owns the restarts: names go to a worker one batch a process; a worker notes in a journal what it is about to do, and
prints one line of JSON for each name that it has done. A worker that dies or stands still is killed, what it was at is
noted, and another goes on with the next name. Never judges: the test does.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_JOURNAL_SIZE = 8192
_ANSWER = "answer: "
_FOLDER = Path(__file__).parent


@dataclass
class Report:
    """What the workers came to."""

    done: dict[str, Any] = field(default_factory=dict)
    crashes: dict[str, str] = field(default_factory=dict)
    """For each name that a worker died at: how, and what it was about to do."""


def _wait(process: subprocess.Popen[str], progress: Callable[[], bytes], patience: float) -> str:
    """Wait until a worker ends; kill it when its journal stands still. Say how it ended, or nothing if well."""
    last, since = progress(), time.monotonic()
    while True:
        try:
            code = process.wait(0.2)
        except subprocess.TimeoutExpired:
            now = progress()
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > patience:
                process.kill()
                process.wait()
                return f"stood still for {patience:.0f} s"
            continue
        if code == 0:
            return ""
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _work(script: str, names: list[str], options: dict[str, str], patience: float) -> Report:
    report = Report()
    with TemporaryDirectory() as folder:
        journal, results, errors = (Path(folder, name) for name in ("journal", "results", "errors"))
        while names:
            journal.write_bytes(bytes(_JOURNAL_SIZE))
            with results.open("w") as stdout, errors.open("w") as stderr:
                process = subprocess.Popen(
                    [sys.executable, str(_FOLDER / script), str(journal), *names],
                    stdout=stdout,
                    stderr=stderr,
                    text=True,
                    cwd=folder,
                    env={
                        **os.environ,
                        **options,
                        "PYTHONPATH": os.pathsep.join([str(_FOLDER), *filter(None, sys.path)]),
                    },
                )
                end = _wait(process, journal.read_bytes, patience)
            for line in results.read_text(errors="replace").splitlines():
                if line.startswith(_ANSWER):  # an operator may print too
                    name, value = json.loads(line.removeprefix(_ANSWER))
                    report.done[name] = value
            if not end and names[-1] in report.done:
                break
            end = end or "exit"
            doing = journal.read_bytes().rstrip(b"\0").decode(errors="replace")
            name = doing.partition("\n")[0] or names[0]
            tail = errors.read_text(errors="replace")[-2000:] if end.startswith("exit") else ""
            report.crashes[name] = f"{end} at {doing}{tail}"
            names = names[names.index(name) + 1 :]
    return report


def run(
    script: str, names: list[str], *, batch: int = 100, patience: float = 60.0, options: dict[str, str] | None = None
) -> Report:
    """Run a worker script over names, a batch a process, as many at once as there are processors."""
    report = Report()
    batches = [names[i : i + batch] for i in range(0, len(names), batch)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for part in pool.map(lambda some: _work(script, some, options or {}, patience), batches):
            report.done.update(part.done)
            report.crashes.update(part.crashes)
    return report


# The worker's side


class Journal:
    """What a worker is about to do, where the parent finds it after a crash."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:  # noqa: PTH123 - mmap needs the descriptor
            self._memory = mmap.mmap(file.fileno(), _JOURNAL_SIZE)

    def note(self, name: str, what: str) -> None:
        """Write it down; the first line is the name."""
        text = f"{name}\n{what}".encode(errors="replace")[: _JOURNAL_SIZE - 1]
        self._memory[: len(text) + 1] = text + b"\0"
        self._memory[len(text) + 1 :] = bytes(_JOURNAL_SIZE - len(text) - 1)


def each_name() -> Iterator[tuple[str, Journal]]:
    """Yield the names that the parent gave."""
    journal = Journal(sys.argv[1])
    for name in sys.argv[2:]:
        journal.note(name, "begins")
        yield name, journal


def answer(name: str, value: Any) -> None:
    """Tell the parent that a name is done."""
    print(f"\n{_ANSWER}{json.dumps([name, value])}", flush=True)  # noqa: T201 - the parent reads it
