"""`libtorch-ffi wheel`: what the wheel holds, and that it works where neither the checkout nor the libtorch is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from stand_in import make_libtorch, make_project, run_hook, run_python

if TYPE_CHECKING:
    from subprocess import CompletedProcess

SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
LOAD = "from libtorch_ffi._load import load; print(load().answer())"
WHERE = LOAD + "\nprint(*(line.split()[-1] for line in open('/proc/self/maps') if '/libtorch_cpu' in line))"


class Machine:
    """A folder with the package as pip puts it there, and the libtorch that it was built against."""

    def __init__(self, folder: Path) -> None:
        project = make_project(folder / "project")
        self.libtorch = make_libtorch(folder / "libtorch")
        self.site = folder / "site"
        built = run_hook(project, "build_wheel", "dist", LIBTORCH=str(self.libtorch))
        assert built.returncode == 0, built.stderr
        (wheel,) = (project / "dist").glob("*.whl")
        self.original = Path(shutil.move(wheel, folder))
        shutil.unpack_archive(self.original, self.site, "zip")
        shutil.rmtree(project)

    def pack(self, *words: str) -> CompletedProcess[str]:
        """Run the command in the folder above the package."""
        arguments = ["wheel", "dist", *words]
        return run_python(f"import sys; from libtorch_ffi.cli import main; sys.exit(main({arguments}))", self.site)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("machine"))


pytestmark = pytest.mark.compile


def test_the_answer_as_json(machine: Machine) -> None:
    facts = json.loads(machine.pack("--json").stdout)
    assert (machine.site / facts["path"]).stat().st_size == facts["size"]
    assert facts["bundle"] is False


def packed(machine: Machine, *words: str) -> Path:
    done = machine.pack(*words)
    assert (done.returncode, done.stderr) == (0, "")
    return machine.site / done.stdout.strip()


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_is_the_wheel_that_was_installed(machine: Machine) -> None:
    wheel = packed(machine)
    assert wheel.name == machine.original.name
    ours, theirs = contents(wheel), contents(machine.original)
    record = next(name for name in ours if name.endswith("/RECORD"))
    assert sorted(ours.pop(record).splitlines()) == sorted(theirs.pop(record).splitlines())
    assert ours == theirs


def test_the_same_files_make_the_same_wheel(machine: Machine) -> None:
    first = packed(machine).read_bytes()
    assert packed(machine).read_bytes() == first


def test_a_bundle_holds_the_libraries_and_nothing_else_besides(machine: Machine) -> None:
    plain, bundle = contents(packed(machine)), contents(packed(machine, "--bundle"))
    inside = {f"libtorch_ffi/_libtorch/lib/lib{name}.so" for name in ("torch", "torch_cpu", "c10")}
    assert set(bundle) - set(plain) == inside
    changed = {name for name in plain if plain[name] != bundle[name]}
    assert {name.rpartition("/")[2] for name in changed} == {"_built.json", "METADATA", "RECORD"}
    record = json.loads(bundle["libtorch_ffi/_built.json"])
    assert record["library_dirs"] == ["_libtorch/lib"]
    assert str(machine.libtorch) not in bundle["libtorch_ffi/_built.json"].decode()


def test_a_bundle_works_where_its_libtorch_is_not(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "one")
    wheel = packed(machine, "--bundle")
    shutil.unpack_archive(wheel, tmp_path / "two", "zip")
    here = run_python(WHERE, tmp_path / "two").stdout.split()
    assert here[0] == "42"
    assert set(here[1:]) == {str(tmp_path / "two/libtorch_ffi/_libtorch/lib/libtorch_cpu.so")}
    shutil.rmtree(tmp_path / "one")
    assert run_python(WHERE, tmp_path / "two").stdout.split() == here


def test_a_bundle_is_installed_without_an_index(machine: Machine, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin/python"), "install", "--no-index"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "LIBTORCH"))}
    subprocess.run([*pip, "--quiet", str(packed(machine, "--bundle"))], cwd=tmp_path, env=clean, check=True)
    words = [str(environment / "bin/python"), "-c", LOAD]
    done = subprocess.run(words, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("42\n", "")
    metadata = contents(packed(machine, "--bundle"))["libtorch_ffi-0.1.0.dist-info/METADATA"].decode()
    assert 'Requires-Dist: filelock>=3.12; extra == "provision"' in metadata.splitlines()
    assert "Provides-Extra: provision" in metadata.splitlines()


def test_a_plain_wheel_finds_the_libtorch_that_is_given_to_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "one")
    shutil.unpack_archive(packed(machine), tmp_path / "two", "zip")
    shutil.move(machine.libtorch, tmp_path / "elsewhere")
    refused = run_python(LOAD, tmp_path / "two")
    assert refused.returncode == 1
    assert "libtorch_ffi was built against is gone" in refused.stderr
    assert run_python(LOAD, tmp_path / "two", LIBTORCH=str(tmp_path / "elsewhere")).stdout == "42\n"


def test_a_bundle_from_which_a_library_was_lost_says_so(machine: Machine, tmp_path: Path) -> None:
    shutil.unpack_archive(packed(machine, "--bundle"), tmp_path / "two", "zip")
    (tmp_path / "two/libtorch_ffi/_libtorch/lib/libc10.so").unlink()
    done = run_python(LOAD, tmp_path / "two")
    assert done.returncode == 1
    assert done.stderr.rstrip().splitlines()[-1].startswith("libtorch_ffi.errors.LoadError: The libtorch that ")


def test_an_extension_that_needs_what_is_nowhere_is_not_bundled(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "one")
    source = "int odd() { return 1; }"
    odd = ["g++", "-shared", "-fPIC", "-x", "c++", "-", "-Wl,-soname,libodd.so.7", "-o", str(tmp_path / "libodd.so")]
    subprocess.run(odd, input=source, text=True, check=True)
    extension = machine.site / f"libtorch_ffi/_C{SUFFIX}"
    words = ["-shared", "-fPIC", "-x", "c++", "-", "-Wl,--no-as-needed", f"-L{tmp_path}", "-lodd", "-o", str(extension)]
    subprocess.run(["g++", *words], input=source, text=True, check=True)
    done = machine.pack("--bundle")
    assert done.returncode == 8
    assert "needs libodd.so.7, which is neither in" in done.stderr


def test_a_folder_of_sources_is_no_installed_package(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    done = run_python("import sys; from libtorch_ffi.cli import main; sys.exit(main(['wheel']))", project)
    assert done.returncode == 8
    assert "was not installed from a wheel" in done.stderr
