"""`libtorch_ffi.build.objects`: what is compiled again, and what is not."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi.build import objects
from libtorch_ffi.build.objects import Recipe
from libtorch_ffi.errors import BuildError, SettingError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.compile


class Sources:
    """A few source files that share a header, and a recipe for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = folder / "objects"
        self.recipe = Recipe(("g++", "-O0", f"-I{folder}"), "gcc", "a compiler", folder / "pch.h")
        self.write("pch.h", '#pragma once\n#include "inner header.h"\n')
        self.write("inner header.h", "#pragma once\ninline int one() { return 1; }\n")
        self.write("own.h", "#pragma once\nint own();\n")
        self.write("a.cpp", '#include "pch.h"\n#include "own.h"\nint a() { return one(); }\n')
        self.write("b.cpp", '#include "pch.h"\nint b() { return one(); }\n')

    def write(self, name: str, text: str) -> None:
        """Write a file that is a minute old, so that whatever is compiled now is newer."""
        path = self.folder / name
        path.write_text(text)
        past = time.time() - 60
        os.utime(path, (past, past))

    def save(self, name: str) -> None:
        """Save a file a minute from now: later than any compilation of this test."""
        future = time.time() + 60
        os.utime(self.folder / name, (future, future))

    def compile(self, recipe: Recipe | None = None, jobs: int = 2) -> set[str]:
        """Compile, and return the names of what was compiled."""
        before = self.stamps()
        sources = sorted(self.folder.glob("*.cpp"))
        made = objects.compile_all(sources, self.objects, recipe or self.recipe, jobs)
        assert [path for path in made if not path.is_file()] == []
        assert len(made) == len(sources)
        return {name for name, inode in self.stamps().items() if before.get(name) != inode}

    def stamps(self) -> dict[str, tuple[int, float]]:
        """Return, for each stamp by the name of its source, what changes when it is written anew."""
        found = {path.name: path.stat() for path in self.objects.glob("*.stamp")}
        return {name.split("-")[-1].removesuffix(".o.stamp"): (s.st_ino, s.st_mtime) for name, s in found.items()}


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def test_nothing_is_compiled_twice(sources: Sources) -> None:
    assert sources.compile() == {"a.cpp", "b.cpp"}
    assert sources.compile() == set()


def test_a_source_that_changed(sources: Sources) -> None:
    sources.compile()
    sources.save("a.cpp")
    assert sources.compile() == {"a.cpp"}


def test_a_header_that_one_of_them_reads(sources: Sources) -> None:
    sources.compile()
    sources.save("own.h")
    assert sources.compile() == {"a.cpp"}


def test_a_header_whose_name_has_a_space(sources: Sources) -> None:
    sources.compile()
    sources.save("inner header.h")
    assert sources.compile() == {"a.cpp", "b.cpp"}


def test_a_header_that_is_gone(sources: Sources) -> None:
    sources.compile()
    (sources.folder / "own.h").unlink()
    sources.write("a.cpp", "int a() { return 1; }\n")
    assert sources.compile() == {"a.cpp"}


def test_other_flags(sources: Sources) -> None:
    sources.compile()
    other = Recipe((*sources.recipe.command, "-DOTHER"), "gcc", "a compiler", sources.recipe.header)
    assert sources.compile(other) == {"a.cpp", "b.cpp"}


def test_another_compiler(sources: Sources) -> None:
    sources.compile()
    other = Recipe(sources.recipe.command, "gcc", "a newer compiler", sources.recipe.header)
    assert sources.compile(other) == {"a.cpp", "b.cpp"}


def test_a_build_that_was_cut_off(sources: Sources) -> None:
    sources.compile()
    (stamp,) = sources.objects.glob("*b.cpp.o.stamp")
    stamp.unlink()
    assert sources.compile() == {"b.cpp"}


def test_two_files_of_one_name_have_two_objects(sources: Sources) -> None:
    folder = sources.folder / "deeper"
    folder.mkdir()
    (folder / "a.cpp").write_text("int deeper() { return 2; }\n")
    both = [sources.folder / "a.cpp", folder / "a.cpp"]
    assert len(set(objects.compile_all(both, sources.objects, sources.recipe, 1))) == 2


def test_few_files_are_compiled_without_a_precompiled_header(sources: Sources) -> None:
    sources.compile(jobs=1)
    assert not list(sources.objects.glob("*.gch"))


def test_many_files_share_a_precompiled_header(sources: Sources) -> None:
    for number in range(4):
        sources.write(f"more{number}.cpp", f'#include "pch.h"\nint more{number}() {{ return one(); }}\n')
    compiled = sources.compile(jobs=1)
    assert len(list(sources.objects.glob("*.gch"))) == 1
    assert {"a.cpp", "b.cpp", "more3.cpp"} <= compiled
    sources.save("inner header.h")
    assert {"a.cpp", "b.cpp", "more3.cpp"} <= sources.compile(jobs=1)


def test_a_precompiled_header_is_removed(sources: Sources) -> None:
    test_many_files_share_a_precompiled_header(sources)
    objects.remove_precompiled(sources.objects)
    assert not list(sources.objects.glob("*.gch"))


def test_a_header_that_cannot_be_precompiled_is_no_error_by_itself(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(objects, "WORTH_PRECOMPILING", 0)
    missing = Recipe(sources.recipe.command, "gcc", "a compiler", sources.folder / "missing.h")
    with caplog.at_level(logging.WARNING):
        assert {"a.cpp", "b.cpp"} <= sources.compile(missing, jobs=1)
    assert "no precompiled header" in caplog.text


def test_a_file_that_does_not_compile(sources: Sources, caplog: pytest.LogCaptureFixture) -> None:
    sources.write("b.cpp", "int b() { return none; }\n")
    with pytest.raises(BuildError, match=r"could not compile .*b\.cpp: it ended with status 1"):
        sources.compile()
    assert "none" in caplog.text
    sources.write("b.cpp", "int b() { return 1; }\n")
    assert "b.cpp" in sources.compile()


def test_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAX_JOBS", raising=False)
    assert objects.jobs() >= 1
    monkeypatch.setenv("MAX_JOBS", "3")
    assert objects.jobs() == 3
    assert objects.jobs(5) == 5


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_jobs_that_are_no_number(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MAX_JOBS", value)
    with pytest.raises(SettingError, match=f"MAX_JOBS is '{value}'"):
        objects.jobs()


def test_batches_hold_each_source_once_and_are_of_about_one_size(tmp_path: Path) -> None:
    sizes = {"a.cpp": 50, "b.cpp": 40, "c.cpp": 30, "d.cpp": 20}
    for name, size in sizes.items():
        (tmp_path / name).write_text("/" * size)
    batches = objects.batches(sorted(tmp_path.glob("*.cpp")), tmp_path / "objects", 2)
    shares = [[name for name in sizes if f'#include "{tmp_path / name}"' in batch.read_text()] for batch in batches]
    assert sorted(shares) == [["a.cpp", "d.cpp"], ["b.cpp", "c.cpp"]]


def test_there_are_no_more_batches_than_sources(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").write_text("int a;")
    assert len(objects.batches([tmp_path / "a.cpp"], tmp_path / "objects", 8)) == 1


def test_a_batch_is_compiled_again_only_where_a_source_of_it_changed(tmp_path: Path) -> None:
    recipe = Recipe(("g++", "-O0"), "gcc", "a compiler")
    past = time.time() - 60
    for name in ("a", "b"):
        (tmp_path / f"{name}.cpp").write_text(f"int {name};")
        os.utime(tmp_path / f"{name}.cpp", (past, past))

    def compile_batches() -> list[int]:
        batches = objects.batches(sorted(tmp_path.glob("*.cpp")), tmp_path / "objects", 2)
        return [made.stat().st_mtime_ns for made in objects.compile_all(batches, tmp_path / "objects", recipe, 2)]

    first = compile_batches()
    assert compile_batches() == first
    future = time.time() + 60
    os.utime(tmp_path / "b.cpp", (future, future))
    again = compile_batches()
    assert [before == after for before, after in zip(first, again, strict=True)].count(False) == 1
