"""A checkout as a flake, called with real Nix and evaluated with a stand-in for nixpkgs.

Owns the options that Nix is called with, so that it neither asks a cache nor needs a daemon, and a web server on
loopback for what the pins lead to.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
FOLDERS = ("nix", "tests", "libtorch_ffi", "tools", "benchmarks")
MADE = shutil.ignore_patterns("__pycache__", "*.so", "_built.json", "_ops.pyi", "ops.pyi", "__init__.pyi")
_SYSTEM_PATHS = ("/bin", "/usr", "/lib", "/lib64", "/sbin", "/etc/alternatives", "/etc/ld.so.cache")
_TRIVIAL = """
derivation {{ name = "probe-{}"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo >$out" ]; }}
"""


@dataclass(frozen=True)
class Flake:
    """A checkout, and the nixpkgs that it is evaluated with."""

    source: Path
    nixpkgs: Path
    home: Path

    @property
    def catalogue(self) -> Path:
        """The table of pins of this checkout."""
        return self.source / "libtorch_ffi/provision/catalogue.json"

    def repin(self, version: str, index: str, *, url: str, sha256: str) -> None:
        """Let a pin of PyTorch's own index lead elsewhere."""
        table = json.loads(self.catalogue.read_text())
        for entry in table["official-wheels"]:
            if (entry["version"], entry["platform"], entry["index"]) == (version, "linux-x86_64", index):
                entry.update(url=url, sha256=sha256)
        self.catalogue.write_text(json.dumps(table))

    def copied(self, source: Path) -> Flake:
        """Return a copy of the checkout, to be changed."""
        shutil.copytree(self.source, source)
        return replace(self, source=source)

    def nix(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Call `nix` with the options of these tests."""
        return run(["nix", *OPTIONS, *arguments], self.home, environ)

    def on(self, command: str, *arguments: str, output: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """Call a command of `nix` on one of the flake's outputs."""
        return self.nix(*self.words(command, output), *arguments, **environ)

    def words(self, command: str, output: str = "") -> list[str]:
        """Return a command of `nix` and what tells it of the flake."""
        flake = f"path:{self.source}{'#' + output if output else ''}"
        return [*command.split(), flake, "--override-input", "nixpkgs", f"path:{self.nixpkgs}", "--no-write-lock-file"]

    def build(self, output: str, link: Path, **environ: str) -> subprocess.CompletedProcess[str]:
        """Build an output, with its log on stderr."""
        return self.on("build", "-L", "--out-link", str(link), output=output, **environ)


@dataclass(frozen=True)
class Built:
    """What `nix build` made, and its log."""

    out: Path
    log: str


def _options() -> list[str]:
    settings = {
        "experimental-features": "nix-command flakes",
        "substituters": "",
        "build-users-group": "",
        "sandbox": "true",
        "sandbox-fallback": "false",
        "extra-sandbox-paths": " ".join(_sandbox_paths()),
    }
    return [word for name, value in settings.items() for word in ("--option", name, value)]


def _sandbox_paths() -> list[str]:
    wanted = [*_SYSTEM_PATHS, sys.prefix, sys.base_prefix, os.path.realpath(sys.prefix)]
    return [path for path in dict.fromkeys(wanted) if Path(path).exists() and (path in _SYSTEM_PATHS or path != "/usr")]


OPTIONS = _options()


def run(
    words: list[str], home: Path, environ: Mapping[str, str], *, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program with nothing of this process's environment but the path."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C", "MAX_JOBS": "2", **environ}
    return subprocess.run(words, env=variables, cwd=cwd or home, capture_output=True, text=True, check=False)


def why_not(home: Path) -> str:
    """Say why Nix cannot build in a sandbox here; nothing where it can."""
    if shutil.which("nix") is None:
        return "Nix is not installed: `apt-get install nix-bin` (Debian, Ubuntu)"
    expression = _TRIVIAL.format(os.getpid())
    answer = run(["nix", *OPTIONS, "build", "--no-link", "--impure", "--expr", expression], home, {})
    return "" if answer.returncode == 0 else f"Nix cannot build in a sandbox here: {answer.stderr.strip()[-300:]}"


class _Folder(http.server.SimpleHTTPRequestHandler):
    """A folder's files, and the way to those that lie elsewhere, by name, as PyPI has it for its old addresses."""

    elsewhere: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        """Answer with the file, or with where it is."""
        there = self.elsewhere.get(self.path.rpartition("/")[2])
        if there is None:
            super().do_GET()
            return
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", there)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the method that this overrides)
        """Say nothing."""


@dataclass(frozen=True)
class Files:
    """A folder on loopback's web; Nix reads it in a fixed-output derivation, which alone has network."""

    folder: Path
    url: str
    elsewhere: dict[str, str]

    def address(self, path: Path) -> str:
        """Return the address of a file of the folder."""
        return f"{self.url}/{path.name.replace('+', '%2B')}"


@contextmanager
def served(folder: Path) -> Iterator[Files]:
    """Serve a folder while the block runs."""
    elsewhere: dict[str, str] = {}
    handler = functools.partial(type("_Served", (_Folder,), {"elsewhere": elsewhere}), directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Files(folder, f"http://127.0.0.1:{server.server_address[1]}", elsewhere)
        server.shutdown()
        thread.join()
