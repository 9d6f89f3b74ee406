"""From source files to object files: in parallel, and only what changed.

Owns the compile step: which files are stale, how many compilers run at once, and the precompiled header. Never chooses
a flag (a `Recipe` brings them) and never links.

libtorch's headers are most of the work: 4 to 12 s of every file, whatever the file says. A precompiled header takes
that away from each file, but to make one costs two to three times what it saves on a file, so it is made where a
processor has more than `WORTH_PRECOMPILING` files before it. Meanwhile the other processors compile files without it.
Where all is compiled once and thrown away, `batches` cost less still: a few files that include all the others.

An object is fresh while its stamp says so: the stamp holds the command that made the object and the files that it was
made of, and is as old as the moment at which the compiler started, so that a file which is saved during the
compilation counts as newer.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from libtorch_ffi.build import process
from libtorch_ffi.errors import BuildError, SettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

log = logging.getLogger(__name__)

WORTH_PRECOMPILING = 3
"""Stale files per processor above which a precompiled header pays (measured with g++ 12)."""

PRECOMPILED_SUFFIX = {"gcc": ".gch", "clang": ".pch"}
"""What each compiler looks for beside a header that ``-include`` names."""


@dataclass(frozen=True)
class Recipe:
    """How every file of an extension is compiled.

    Parameters
    ----------
    command
        The compiler and its flags.
    family
        The compiler's, as `libtorch_ffi.build.toolchain.Compiler` has it.
    identity
        What else an object depends on and no flag shows: the compiler's release, libtorch's version.
    header
        The header that each file includes first, worth precompiling; None where there is none.
    """

    command: tuple[str, ...]
    family: str
    identity: str
    header: Path | None = None


@dataclass(frozen=True)
class Unit:
    """One call of the compiler: what it reads and what it writes."""

    source: Path
    output: Path

    @property
    def depfile(self) -> Path:
        """Where the compiler lists the files that it read."""
        return self.output.with_name(self.output.name + ".d")

    @property
    def stamp(self) -> Path:
        """What is written once the output is whole: how it was made, and of which files."""
        return self.output.with_name(self.output.name + ".stamp")


def compile_all(sources: Iterable[Path], folder: Path, recipe: Recipe, jobs: int) -> list[Path]:
    """Bring the object of each source up to date and return the objects, in the order of the sources.

    Parameters
    ----------
    sources
        The source files.
    folder
        Where objects, stamps and the precompiled header are kept from one build to the next.
    recipe
        How to compile.
    jobs
        How many compilers may run at once.

    Raises
    ------
    BuildError
        A file did not compile; what the compiler said is in the log.
    """
    units = [Unit(source, folder / _object_name(source)) for source in sources]
    stale = [unit for unit in units if not _is_fresh(unit, recipe)]
    log.info("compiling %d of %d files, %d at a time", len(stale), len(units), jobs)
    if stale:
        folder.mkdir(parents=True, exist_ok=True)
        _compile(stale, _header_unit(folder, recipe), recipe, jobs)
    return [unit.output for unit in units]


def batches(sources: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Write files that include the sources between them, and return these files.

    The sources must get along in one file: no two may give a name in an anonymous namespace different meanings.

    Parameters
    ----------
    sources
        The source files.
    folder
        Where the files are written, one a batch.
    count
        How many batches, of about the same number of bytes each.
    """
    shares: list[list[Path]] = [[] for _ in range(min(count, len(sources)))]
    for source in sorted(sources, key=lambda one: one.stat().st_size, reverse=True):
        min(shares, key=_bytes).append(source)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, share in enumerate(shares):
        batch = folder / f"batch{number}.cpp"
        text = "".join(f'#include "{source.absolute()}"\n' for source in sorted(share))
        if not batch.is_file() or batch.read_text(encoding="utf-8") != text:
            batch.write_text(text, encoding="utf-8")
        written.append(batch)
    return written


def _bytes(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def jobs(asked: int | None = None) -> int:
    """Return how many compilers may run at once.

    Parameters
    ----------
    asked
        What the command line said; else ``MAX_JOBS``, else the number of processors that this process may use.

    Raises
    ------
    SettingError
        ``MAX_JOBS`` is not a number from 1 on.
    """
    if asked:
        return asked
    value = os.environ.get("MAX_JOBS", "").strip()
    if not value:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not value.isdecimal() or int(value) < 1:
        raise SettingError(
            f"MAX_JOBS is {value!r}, where the number of compilers to run at once was expected, such as 4. "
            "Nothing was compiled. Set it to a whole number from 1 on, or unset it to use every processor."
        )
    return int(value)


def remove_precompiled(folder: Path) -> None:
    """Remove the precompiled header of a folder, if it has one; the next build makes it again where it pays."""
    for suffix in PRECOMPILED_SUFFIX.values():
        for path in folder.glob(f"precompiled-*{suffix}"):
            path.unlink(missing_ok=True)


def _object_name(source: Path) -> str:
    """Name an object after its source's whole path, so that two files of one name do not meet."""
    return "-".join(part for part in source.parts if part not in {"/", "..", "."}) + ".o"


def _compile(stale: Sequence[Unit], header: Unit | None, recipe: Recipe, jobs: int) -> None:
    """Compile the stale units, the largest first, with the header precompiled as soon as it is."""
    largest_first = sorted(stale, key=lambda unit: unit.source.stat().st_size, reverse=True)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        precompiled = _precompiled(header, recipe, pool, worth_it=len(stale) > WORTH_PRECOMPILING * jobs)
        tasks = [pool.submit(_compile_one, unit, recipe, precompiled) for unit in largest_first]
        done, pending = wait(tasks, return_when=FIRST_EXCEPTION)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()


def _precompiled(
    header: Unit | None, recipe: Recipe, pool: ThreadPoolExecutor, *, worth_it: bool
) -> Callable[[], Unit | None]:
    """Return what tells whether the precompiled header is ready: the header, or None (not yet, or not at all)."""
    if header is None:
        return lambda: None
    if _is_fresh(header, recipe):
        return lambda: header
    if not worth_it:
        return lambda: None
    return partial(_if_done, pool.submit(_precompile, header, recipe))


def _if_done(making: Future[Unit | None]) -> Unit | None:
    return making.result() if making.done() else None


def _header_unit(folder: Path, recipe: Recipe) -> Unit | None:
    """Return the header to precompile: one of our own that includes the real one, whose folder is not for objects."""
    suffix = PRECOMPILED_SUFFIX.get(recipe.family)
    if recipe.header is None or suffix is None:
        return None
    source = folder / f"precompiled-{recipe.header.name}"
    text = f'#include "{recipe.header.absolute()}"\n'
    if not source.is_file() or source.read_text(encoding="utf-8") != text:
        source.write_text(text, encoding="utf-8")
    return Unit(source, source.with_name(source.name + suffix))


def _precompile(unit: Unit, recipe: Recipe) -> Unit | None:
    """Precompile the header; where that fails (a full disk, say) the files are compiled without."""
    try:
        _run_compiler(unit, recipe, ["-x", "c++-header"])
    except BuildError as error:
        log.warning("no precompiled header: %s", error)
        unit.output.unlink(missing_ok=True)
        return None
    return unit


def _compile_one(unit: Unit, recipe: Recipe, precompiled: Callable[[], Unit | None]) -> None:
    header = precompiled()
    if header is None:
        _run_compiler(unit, recipe, ["-c"])
    else:
        _run_compiler(unit, recipe, ["-include", str(header.source), "-c"], read_before=_files_of(header))


def _run_compiler(unit: Unit, recipe: Recipe, mode: Sequence[str], read_before: Iterable[str] = ()) -> None:
    """Run the compiler and stamp what it made; the files of a precompiled header were read before, and go unlisted."""
    unit.stamp.unlink(missing_ok=True)
    started = time.time()
    files = ["-MMD", "-MF", str(unit.depfile), "-o", str(unit.output), str(unit.source)]
    words = [*recipe.command, *mode, *files]
    log.debug("%s", shlex.join(words))
    answer = process.run(words)
    if answer.stderr:
        log.log(logging.ERROR if answer.returncode else logging.WARNING, "%s", answer.stderr.rstrip())
    if answer.returncode != 0:
        raise BuildError(_failed(unit.source, answer.returncode))
    read = dict.fromkeys([*listed(unit.depfile.read_text(encoding="utf-8")), *read_before])
    unit.stamp.write_text(_how(recipe) + "".join(f"{file}\n" for file in read), encoding="utf-8")
    os.utime(unit.stamp, (started, started))
    unit.depfile.unlink()
    log.info("compiled %s in %.1f s", unit.source.name, time.time() - started)


def _failed(source: Path, status: int) -> str:
    killed = " (it was killed; compilers that run at once may need more memory than there is)" if status < 0 else ""
    return (
        f"The compiler could not compile {source}: it ended with status {status}{killed}. What it said stands above. "
        "Nothing was installed. Mend what it complains of and run the same command again; "
        "MAX_JOBS=1 compiles one file at a time."
    )


def _how(recipe: Recipe) -> str:
    """Return the first lines of a stamp."""
    return f"{recipe.identity}\n{shlex.join(recipe.command)}\n"


def _files_of(unit: Unit) -> list[str]:
    """Return the files that a stamp names, which are those that the output was made of."""
    _, _, *files = unit.stamp.read_text(encoding="utf-8").splitlines()
    return files


def _is_fresh(unit: Unit, recipe: Recipe) -> bool:
    """Tell whether an output was made by this recipe, and after the last change to each file that it was made of."""
    try:
        if not unit.output.is_file() or not unit.stamp.read_text(encoding="utf-8").startswith(_how(recipe)):
            return False
        made = unit.stamp.stat().st_mtime
        return all(Path(file).stat().st_mtime <= made for file in _files_of(unit))
    except FileNotFoundError:
        return False


def listed(depfile: str) -> list[str]:
    """Return the files that a compiler lists, as a rule of a Makefile: the source, and each header but a system's."""
    _, _, names = depfile.replace("\\\n", " ").partition(": ")
    return [name.replace("\\ ", " ").replace("$$", "$") for name in re.findall(r"(?:\\ |\S)+", names)]
