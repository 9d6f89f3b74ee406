"""A server on loopback in a process of its own, for figures: it costs what is measured neither time nor memory.

Owns the process. What is served, and how it misbehaves, is `tests/servers.py`'s: each file of a folder by its name, and
again below ``whole/``, where ranges are not known.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TESTS = Path(__file__).resolve().parents[1] / "tests"
_FOREVER = 1 << 20


@dataclass(frozen=True)
class Served:
    """A server that runs: its address, and the pipes to its process."""

    url: str
    asks: IO[str]
    answers: IO[str]

    def sent(self) -> int:
        """Return how many bytes of files and pages it has sent so far."""
        self.asks.write("\n")
        self.asks.flush()
        return int(self.answers.readline())


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Serve the files of a folder, and a page of an index for a torch wheel among them."""
    command = [sys.executable, __file__, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None  # noqa: S101 (both are pipes)
        assert child.stdout is not None  # noqa: S101 (likewise)
        try:
            yield Served(child.stdout.readline().strip(), child.stdin, child.stdout)
        finally:
            child.stdin.close()


def main() -> None:
    """Serve until stdin is closed; a line there asks for the number of bytes that were sent."""
    sys.path.insert(0, str(_TESTS))
    import archives
    from servers import Server

    folder = Path(sys.argv[1])
    with Server() as server:
        for path in (path for path in folder.iterdir() if path.is_file()):
            for place in (f"/{path.name}", f"/whole/{path.name}"):
                server.site.put(place, path.read_bytes())
            server.site.misbehave(f"/whole/{path.name}", "no ranges", _FOREVER)
            if path.suffix == ".whl":
                page = archives.json_page("torch", {path.name: path.read_bytes()}, server.url)
                server.site.put("/simple/torch/", page, "application/vnd.pypi.simple.v1+json")
        print(server.url, flush=True)
        for _ in sys.stdin:
            print(server.site.sent, flush=True)


if __name__ == "__main__":
    main()
