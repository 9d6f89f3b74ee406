"""The build backend: what an sdist, a wheel and an editable install hold, and how a failure reads."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sysconfig
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from stand_in import CSRC, ROOT, last_paragraph, make_libtorch, run_hook, run_python

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
LOAD = "from libtorch_ffi._load import load; print(load().answer())"


def python_files(folder: Path) -> set[str]:
    """Return the package's Python files and data, as the wheel names them."""
    suffixes = {".py", ".pyi", ".json", ".typed", ".cmake"}
    kept = [path for path in (folder / "libtorch_ffi").rglob("*") if path.suffix in suffixes or "include" in path.parts]
    kept = [path for path in kept if path.is_file()]
    names = {path.relative_to(folder).as_posix() for path in kept if "__pycache__" not in path.parts}
    return names - {"libtorch_ffi/_built.json"}


def build_wheel(project: Path, libtorch: Path) -> Path:
    answer = run_hook(project, "build_wheel", "dist", LIBTORCH=str(libtorch))
    assert answer.returncode == 0, answer.stderr
    (wheel,) = (project / "dist").glob("*.whl")
    return wheel


def test_the_wheel_holds_the_package_the_extension_and_nothing_else(project: Path, libtorch_prefix: Path) -> None:
    wheel = build_wheel(project, libtorch_prefix)
    info = "libtorch_ffi-0.1.0.dist-info"
    stated = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}
    expected = python_files(project) | {f"libtorch_ffi/_C{SUFFIX}", "libtorch_ffi/_built.json"}
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == expected | {f"{info}/{name}" for name in stated}
        assert "Root-Is-Purelib: false" in archive.read(f"{info}/WHEEL").decode()


STUBS = """
import sys
from pathlib import Path
extension, folder = Path(sys.argv[sys.argv.index("--extension") + 1]), Path(sys.argv[sys.argv.index("--output") + 1])
for name in ("__init__.pyi", "_ops.pyi", "ops.pyi"):
    (folder / name).write_text(f"{extension.is_file()}, {extension.parent == folder}")
"""


def test_the_wheel_holds_the_stubs_of_what_was_built(project: Path, libtorch_prefix: Path) -> None:
    (project / "libtorch_ffi/stubs/__main__.py").write_text(STUBS)
    (project / "libtorch_ffi/ops.pyi").write_text("of an earlier build")
    with zipfile.ZipFile(build_wheel(project, libtorch_prefix)) as archive:
        for name in ("__init__.pyi", "_ops.pyi", "ops.pyi"):
            assert archive.read(f"libtorch_ffi/{name}") == b"True, True"


def test_no_stubs_are_no_failure_and_no_stale_ones_stay(project: Path, libtorch_prefix: Path) -> None:
    stale = project / "libtorch_ffi/_ops.pyi"
    stale.write_text("of an earlier build")
    answer = run_hook(project, "build_editable", "dist", LIBTORCH=str(libtorch_prefix))
    assert answer.returncode == 0, answer.stderr
    assert "no stubs for type checkers were written: AttributeError" in answer.stderr
    assert not stale.exists()


def test_the_wheel_is_for_this_python_and_platform(project: Path, libtorch_prefix: Path) -> None:
    wheel = build_wheel(project, libtorch_prefix)
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert re.fullmatch(rf"libtorch_ffi-0\.1\.0-(cp3\d+)-\1-{platform}\.whl", wheel.name)


def test_the_wheel_runs_and_says_what_it_was_built_against(
    project: Path, libtorch_prefix: Path, tmp_path: Path
) -> None:
    installed = tmp_path / "installed"
    shutil.unpack_archive(build_wheel(project, libtorch_prefix), installed, "zip")
    assert run_python(LOAD, installed).stdout == "42\n"
    lib = libtorch_prefix / "lib"
    names = ["libtorch.so", "libtorch_cpu.so", "libc10.so"]
    assert json.loads((installed / "libtorch_ffi/_built.json").read_text()) == {
        "version": "2.5.0",
        "flavor": "cpu",
        "platform": "linux-x86_64",
        "prefix": str(libtorch_prefix),
        "include_dirs": [str(libtorch_prefix / "include"), str(libtorch_prefix / "include/torch/csrc/api/include")],
        "library_dirs": [str(lib)],
        "libraries": ["torch", "torch_cpu", "c10"],
        "cxx11_abi": True,
        "cxx_standard": 17,
        "origin": "given",
        "sizes": {name: (lib / name).stat().st_size for name in names},
    }


def test_the_extension_shows_its_init_function_alone(project: Path, libtorch_prefix: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(project, libtorch_prefix)) as archive:
        extension = archive.extract(f"libtorch_ffi/_C{SUFFIX}", tmp_path)
    read = subprocess.run(["nm", "-D", "--defined-only", extension], capture_output=True, text=True, check=True)
    assert [line.split()[-1] for line in read.stdout.splitlines()] == ["PyInit__C"]
    stripped = subprocess.run(["nm", extension], capture_output=True, text=True, check=False)
    assert "no symbols" in stripped.stderr
    dynamic = subprocess.run(["readelf", "-d", extension], capture_output=True, text=True, check=True)
    for name in ("libtorch.so", "libtorch_cpu.so", "libc10.so"):
        assert f"(NEEDED)             Shared library: [{name}]" in dynamic.stdout
    assert f"(RPATH)              Library rpath: [{libtorch_prefix}/lib]" in dynamic.stdout


def test_a_build_leaves_no_precompiled_header(project: Path, libtorch_prefix: Path) -> None:
    build_wheel(project, libtorch_prefix)
    assert not [path for path in (project / "build").rglob("*") if path.suffix in {".gch", ".pch"}]


def test_an_editable_install_builds_into_the_tree_and_builds_again_what_changed(
    project: Path, libtorch_prefix: Path
) -> None:
    environ = {"LIBTORCH": str(libtorch_prefix)}
    first = run_hook(project, "build_editable", "dist", **environ)
    assert first.returncode == 0, first.stderr
    assert (project / f"libtorch_ffi/_C{SUFFIX}").is_file()
    assert (project / "libtorch_ffi/_built.json").is_file()
    assert run_python(LOAD, project).stdout == "42\n"
    (project / "libtorch_ffi/stubs/__main__.py").write_text(STUBS)
    again = run_hook(project, "build_editable", "dist", **environ)
    assert (project / "libtorch_ffi/_ops.pyi").read_text().startswith("True")
    assert f"compiling 0 of {len(CSRC) - 2} files" in again.stdout
    answer = project / "libtorch_ffi/csrc/answer.cpp"
    answer.write_text(answer.read_text().replace("at::answer()", "at::answer() + 1"))
    third = run_hook(project, "build_editable", "dist", **environ)
    assert f"compiling 1 of {len(CSRC) - 2} files" in third.stdout
    assert run_python(LOAD, project).stdout == "43\n"


def test_an_editable_install_against_another_libtorch(project: Path, libtorch_prefix: Path, tmp_path: Path) -> None:
    other = make_libtorch(tmp_path / "other", "2.6.0", answer=7)
    for prefix, answer in ((libtorch_prefix, "42\n"), (other, "7\n")):
        assert run_hook(project, "build_editable", "dist", LIBTORCH=str(prefix)).returncode == 0
        assert run_python(LOAD, project).stdout == answer


def test_the_old_abi_is_compiled_with(project: Path, tmp_path: Path) -> None:
    old = make_libtorch(tmp_path / "old", cxx11_abi=False)
    assert run_hook(project, "build_editable", "dist", LIBTORCH=str(old)).returncode == 0
    (stamp,) = (project / "build").rglob("*answer.cpp.o.stamp")
    assert "-D_GLIBCXX_USE_CXX11_ABI=0" in stamp.read_text()
    assert json.loads((project / "libtorch_ffi/_built.json").read_text())["cxx11_abi"] is False


def test_the_user_s_flags_come_last(project: Path, libtorch_prefix: Path) -> None:
    environ = {"LIBTORCH": str(libtorch_prefix), "CXXFLAGS": "-O0 -g -DMINE='a b'", "LDFLAGS": "-Wl,-z,now"}
    answer = run_hook(project, "build_editable", "dist", **environ)
    assert answer.returncode == 0, answer.stderr
    (stamp,) = (project / "build").rglob("*answer.cpp.o.stamp")
    assert stamp.read_text().splitlines()[1].endswith("-O0 -g '-DMINE=a b'")


def test_the_sdist_builds_the_same_wheel(project: Path, libtorch_prefix: Path, tmp_path: Path) -> None:
    assert run_hook(project, "build_sdist", "dist").returncode == 0
    with tarfile.open(project / "dist/libtorch_ffi-0.1.0.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    shutil.unpack_archive(project / "dist/libtorch_ffi-0.1.0.tar.gz", tmp_path / "unpacked", filter="data")
    assert {name for name in names if "csrc" in name} == {f"libtorch_ffi/csrc/{name}" for name in CSRC}
    with zipfile.ZipFile(build_wheel(project, libtorch_prefix)) as archive:
        expected = set(archive.namelist())
    with zipfile.ZipFile(build_wheel(tmp_path / "unpacked/libtorch_ffi-0.1.0", libtorch_prefix)) as archive:
        assert set(archive.namelist()) == expected


def test_the_sdist_holds_all_that_a_checkout_needs(project: Path) -> None:
    whole = ["tests", "benchmarks", "tools"]
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
    for folder in whole:
        shutil.copytree(ROOT / folder, project / folder, ignore=ignored)
    answer = run_hook(project, "build_sdist", "dist")
    assert answer.returncode == 0, answer.stderr
    with tarfile.open(project / "dist/libtorch_ffi-0.1.0.tar.gz") as archive:
        members = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    trees = [path for folder in ["libtorch_ffi", *whole] for path in (project / folder).rglob("*") if path.is_file()]
    expected = {path.relative_to(project).as_posix() for path in trees if "__pycache__" not in path.parts}
    top = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml"}
    made = {"PKG-INFO", "setup.cfg"}
    info = {name for name in members if name.startswith("libtorch_ffi.egg-info/")}
    assert members - info == expected | top | made


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="what is tracked is known in a clone alone")
def test_the_sdist_holds_what_is_tracked_and_nothing_else(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True).stdout
    tracked = {name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()}
    for name in tracked:
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "clone" / name)
    answer = run_hook(tmp_path / "clone", "build_sdist", str(tmp_path))
    assert answer.returncode == 0, answer.stderr
    with tarfile.open(tmp_path / "libtorch_ffi-0.1.0.tar.gz") as archive:
        members = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    made = {name for name in members if name.startswith("libtorch_ffi.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert members - made == tracked


@pytest.mark.parametrize("hook", ["build_wheel", "build_editable"])
def test_no_compiler_ends_in_one_paragraph(project: Path, libtorch_prefix: Path, hook: str) -> None:
    answer = run_hook(project, hook, "dist", LIBTORCH=str(libtorch_prefix), CXX="no-such-compiler")
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    paragraph = last_paragraph(answer.stderr)
    assert paragraph.startswith("libtorch-ffi: CXX names 'no-such-compiler', which is not a program on PATH. ")
    assert "\n" not in paragraph


def test_an_old_setuptools_ends_in_one_paragraph(project: Path, tmp_path: Path) -> None:
    old = tmp_path / "site/setuptools"
    old.mkdir(parents=True)
    (old / "__init__.py").write_text("__version__ = '65.5.0'\n")
    (old / "build_meta.py").touch()
    answer = run_hook(project, "prepare_metadata_for_build_wheel", "dist", PYTHONPATH=str(old.parent))
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert "has setuptools 65.5.0, and the build needs 77 or later" in last_paragraph(answer.stderr)


def test_no_compiler_is_told_before_anything_is_downloaded(project: Path) -> None:
    answer = run_hook(project, "build_wheel", "dist", CXX="no-such-compiler", LIBTORCH_INDEX_URL="http://127.0.0.1:9/")
    assert last_paragraph(answer.stderr).startswith("libtorch-ffi: CXX names 'no-such-compiler'")


def test_a_libtorch_that_is_none_ends_in_one_paragraph(project: Path, tmp_path: Path) -> None:
    answer = run_hook(project, "build_wheel", "dist", LIBTORCH=str(tmp_path / "nothing"))
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    paragraph = last_paragraph(answer.stderr)
    assert paragraph.startswith("libtorch-ffi: ")
    assert str(tmp_path / "nothing") in paragraph


def test_a_libtorch_of_the_system_that_is_too_old_ends_in_one_paragraph(project: Path, tmp_path: Path) -> None:
    """As Debian 12's is, 1.13.1, which the compiler finds by itself."""
    old = make_libtorch(tmp_path / "old", "1.13.1")
    found = {"CPATH": str(old / "include"), "LIBRARY_PATH": str(old / "lib"), "LIBTORCH_SKIP_DOWNLOAD": ""}
    answer = run_hook(project, "build_wheel", "dist", **found)
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    paragraph = last_paragraph(answer.stderr)
    assert paragraph.startswith(f"libtorch-ffi: The libtorch in {old} (from: system) is 1.13.1, and libtorch-ffi is ")
    assert "written for 2.0.0 and later" in paragraph


def test_a_source_that_does_not_compile_ends_in_one_paragraph(project: Path, libtorch_prefix: Path) -> None:
    (project / "libtorch_ffi/csrc/answer.cpp").write_text('#include "pch.h"\nint bound_answer() { return missing; }\n')
    answer = run_hook(project, "build_wheel", "dist", LIBTORCH=str(libtorch_prefix))
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert "'missing' was not declared" in answer.stderr
    assert "libtorch_ffi/csrc/answer.cpp:2:" in answer.stderr
    told = last_paragraph(answer.stderr)
    assert re.search(r"could not compile \S+/batch\d\.cpp: it ended with status 1", told)


def test_a_link_that_fails_ends_in_one_paragraph(project: Path, libtorch_prefix: Path) -> None:
    answer = run_hook(project, "build_wheel", "dist", LIBTORCH=str(libtorch_prefix), LDFLAGS="-lno-such-library")
    assert answer.returncode == 1
    assert "no-such-library" in answer.stderr
    assert last_paragraph(answer.stderr).startswith("libtorch-ffi: The extension libtorch_ffi._C could not be linked")
