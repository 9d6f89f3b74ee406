"""`libtorch_ffi._load` and `_guard`: the extension meets its own libtorch or a paragraph, each in a fresh process."""

from __future__ import annotations

import importlib.util
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from stand_in import last_paragraph, make_libtorch, run_python

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from load.conftest import Built

LOAD = "from libtorch_ffi._load import load\nprint(load().answer())\n"
PRELOAD = """
import ctypes
for name in ("c10", "torch_cpu"):
    ctypes.CDLL({lib!r} + f"/lib{{name}}.so")
"""


def refused(answer: CompletedProcess[str]) -> str:
    """Return the paragraph with which a process ended."""
    assert answer.returncode == 1, answer.stdout + answer.stderr
    line = answer.stderr.rstrip().splitlines()[-1]
    name, _, paragraph = line.partition(": ")
    assert name == "libtorch_ffi.errors.LoadError"
    assert last_paragraph(paragraph) == paragraph
    return paragraph


def make_torch(folder: Path, libtorch: Path | None) -> Path:
    """Make a package named torch that loads its libtorch as the real one does; return the folder to import it from."""
    package = folder / "site/torch"
    package.mkdir(parents=True)
    text = "__version__ = '2.6.0'\n"
    if libtorch is not None:
        shutil.copytree(libtorch / "lib", package / "lib")
        text += PRELOAD.format(lib=str(package / "lib"))
    (package / "__init__.py").write_text(text)
    return package.parent


# --- in place ---------------------------------------------------------------------------------------------------------


def test_it_loads(built_once: Built) -> None:
    assert run_python(LOAD, built_once.folder).stdout == "42\n"


def test_loading_twice_is_loading_once(built_once: Built) -> None:
    code = (
        LOAD + "import sys\nprint(load() is load(), len([f for f in sys.meta_path if 'Torch' in type(f).__name__]))\n"
    )
    assert run_python(code, built_once.folder).stdout == "42\nTrue 1\n"


def test_it_asks_nothing_of_provisioning(built_once: Built) -> None:
    code = (
        LOAD + "import sys\nprint([name for name in sys.modules if name.startswith(('libtorch_ffi.pro', 'ctypes'))])\n"
    )
    assert run_python(code, built_once.folder).stdout == "42\n[]\n"


def test_another_libtorch_on_the_library_path_does_not_get_in_between(built_once: Built, other_libtorch: Path) -> None:
    assert run_python(LOAD, built_once.folder, LD_LIBRARY_PATH=str(other_libtorch / "lib")).stdout == "42\n"


# --- gone, moved, replaced --------------------------------------------------------------------------------------------


def test_the_folder_is_gone(built: Built) -> None:
    shutil.rmtree(built.libtorch)
    paragraph = refused(run_python(LOAD, built.folder))
    assert paragraph.startswith(
        f"The libtorch that libtorch_ffi was built against is gone: {built.libtorch}/lib does not exist any more "
        "(libtorch 2.5.0 cpu, C++11 C++ ABI). It was looked for elsewhere: "
    )
    assert "`libtorch-ffi install --version 2.5.0 --flavor cpu`" in paragraph


def test_the_error_is_an_import_error(built: Built) -> None:
    shutil.rmtree(built.libtorch)
    code = f"try:\n    {LOAD.splitlines()[0]}\n    load()\nexcept ImportError:\n    print('caught')\n"
    assert run_python(code, built.folder).stdout == "caught\n"


def test_the_same_one_in_the_cache_takes_its_place(built: Built, tmp_path: Path) -> None:
    home = tmp_path / "home"
    tree = home / "2.5.0/linux-x86_64/cpu"
    tree.parent.mkdir(parents=True)
    shutil.move(built.libtorch, tree)
    (tree / ".ok").touch()
    answer = run_python(LOAD, built.folder, LIBTORCH_HOME=str(home))
    assert answer.stdout == "42\n", answer.stderr


def test_the_cache_is_asked_for_what_was_built_whatever_the_environment_asks_for(built: Built, tmp_path: Path) -> None:
    home = tmp_path / "home"
    tree = home / "2.5.0/linux-x86_64/cpu"
    tree.parent.mkdir(parents=True)
    shutil.move(built.libtorch, tree)
    (tree / ".ok").touch()
    environ = {"LIBTORCH_HOME": str(home), "LIBTORCH_VERSION": "2.6.0", "LIBTORCH": str(tmp_path / "nothing")}
    answer = run_python(LOAD, built.folder, **environ)
    assert answer.stdout == "42\n", answer.stderr


def test_the_same_one_that_is_given_takes_its_place(built: Built, tmp_path: Path) -> None:
    shutil.move(built.libtorch, tmp_path / "moved")
    answer = run_python(LOAD, built.folder, LIBTORCH=str(tmp_path / "moved"))
    assert answer.stdout == "42\n", answer.stderr


def test_another_version_that_is_given_does_not(built: Built, other_libtorch: Path) -> None:
    shutil.rmtree(built.libtorch)
    paragraph = refused(run_python(LOAD, built.folder, LIBTORCH=str(other_libtorch)))
    assert "2.6.0" in paragraph
    assert str(other_libtorch) in paragraph


def test_another_abi_that_is_given_does_not(built: Built, tmp_path: Path) -> None:
    shutil.rmtree(built.libtorch)
    old = make_libtorch(tmp_path / "old", cxx11_abi=False)
    paragraph = refused(run_python(LOAD, built.folder, LIBTORCH=str(old)))
    assert f"{old} holds libtorch 2.5.0 with the old C++ ABI, where 2.5.0 with the C++11 one was expected." in paragraph


def test_the_folder_holds_another_version_now(built: Built) -> None:
    shutil.rmtree(built.libtorch)
    make_libtorch(built.libtorch, "2.6.0", answer=7)
    paragraph = refused(run_python(LOAD, built.folder))
    assert f"{built.libtorch}/lib holds other files than at the build" in paragraph


def test_a_bad_variable_does_not_hide_that_the_folder_is_gone(built: Built) -> None:
    shutil.rmtree(built.libtorch)
    paragraph = refused(run_python(LOAD, built.folder, LIBTORCH_VERSION="two"))
    assert "LIBTORCH_VERSION" in paragraph


def test_there_is_no_record(built: Built) -> None:
    built.record.unlink()
    paragraph = refused(run_python(LOAD, built.folder))
    assert paragraph.startswith(f"The compiled part of libtorch_ffi is not there: {built.record} cannot be read")


def test_the_record_is_damaged(built: Built) -> None:
    built.record.write_text("{")
    assert "cannot be read" in refused(run_python(LOAD, built.folder))


def test_the_extension_is_of_another_python(built: Built) -> None:
    (extension,) = (built.folder / "libtorch_ffi").glob("_C*.so")
    extension.rename(extension.with_name("_C.cpython-39-x86_64-linux-gnu.so"))
    paragraph = refused(run_python(LOAD, built.folder))
    assert "cannot be loaded by Python 3." in paragraph
    assert "`pip install --force-reinstall --no-deps --no-cache-dir libtorch-ffi`" in paragraph


def test_the_extension_is_no_library(built: Built) -> None:
    (extension,) = (built.folder / "libtorch_ffi").glob("_C*.so")
    extension.write_bytes(b"no library")
    assert "cannot be loaded by Python 3." in refused(run_python(LOAD, built.folder))


# --- another libtorch in the process ----------------------------------------------------------------------------------


def test_another_one_is_in_the_process(built_once: Built, other_libtorch: Path) -> None:
    lib = other_libtorch / "lib"
    paragraph = refused(run_python(PRELOAD.format(lib=str(lib)) + LOAD, built_once.folder))
    assert paragraph.startswith(
        f"Another libtorch is in this process already, the one in {lib}; libtorch_ffi was built"
    )
    assert f"libtorch 2.5.0 cpu in {built_once.libtorch}" in paragraph
    assert "`LIBTORCH_SOURCE=torch pip install " in paragraph


def test_an_imported_torch_is_named(built_once: Built, other_libtorch: Path, tmp_path: Path) -> None:
    site = make_torch(tmp_path, other_libtorch)
    paragraph = refused(run_python("import torch\n" + LOAD, built_once.folder, PYTHONPATH=str(site)))
    assert f"the imported torch 2.6.0's, in {site}/torch/lib;" in paragraph


def test_the_very_same_one_in_the_process_is_welcome(built_once: Built, tmp_path: Path) -> None:
    shutil.copytree(built_once.libtorch, tmp_path / "copy")
    code = PRELOAD.format(lib=str(tmp_path / "copy/lib")) + LOAD
    assert run_python(code, built_once.folder).stdout == "42\n"


def test_a_torch_with_the_same_libtorch_lives_with_us(built_once: Built, tmp_path: Path) -> None:
    site = str(make_torch(tmp_path, built_once.libtorch))
    for code in ("import torch\n" + LOAD, LOAD + "import torch\n"):
        answer = run_python(code, built_once.folder, PYTHONPATH=site)
        assert (answer.returncode, answer.stdout) == (0, "42\n"), answer.stderr


def test_a_torch_with_another_libtorch_cannot_be_imported_after_us(
    built_once: Built, other_libtorch: Path, tmp_path: Path
) -> None:
    site = make_torch(tmp_path, other_libtorch)
    paragraph = refused(run_python(LOAD + "import torch\n", built_once.folder, PYTHONPATH=str(site)))
    assert paragraph.startswith(f"torch ({site}/torch/__init__.py) cannot be imported into this process: ")
    assert "`LIBTORCH_SOURCE=torch pip install " in paragraph


def test_who_asks_whether_torch_is_there_is_told_the_truth(
    built_once: Built, other_libtorch: Path, tmp_path: Path
) -> None:
    site = make_torch(tmp_path, other_libtorch)
    code = LOAD + "import importlib.util\nprint(importlib.util.find_spec('torch').origin)\n"
    answer = run_python(code, built_once.folder, PYTHONPATH=str(site))
    assert answer.stdout == f"42\n{site}/torch/__init__.py\n"


def test_who_can_do_without_torch_goes_on(built_once: Built, other_libtorch: Path, tmp_path: Path) -> None:
    site = make_torch(tmp_path, other_libtorch)
    code = LOAD + "try:\n    import torch\nexcept ImportError:\n    import sys\n    print('torch' in sys.modules)\n"
    assert run_python(code, built_once.folder, PYTHONPATH=str(site)).stdout == "42\nFalse\n"


def test_a_package_named_torch_without_a_libtorch_is_left_alone(built_once: Built, tmp_path: Path) -> None:
    site = make_torch(tmp_path, None)
    code = LOAD + "import torch\nprint(torch.__version__)\n"
    assert run_python(code, built_once.folder, PYTHONPATH=str(site)).stdout == "42\n2.6.0\n"


def test_where_there_is_no_torch_there_is_none(built_once: Built) -> None:
    code = LOAD + "import importlib.util\nprint(importlib.util.find_spec('torch_of_nobody'))\n"
    assert run_python(code, built_once.folder).stdout == "42\nNone\n"


# --- the real libtorch ------------------------------------------------------------------------------------------------

REAL = "from libtorch_ffi._load import load\nprint(load().__name__)\n"
WHERE = "print(*{line.split()[-1] for line in open('/proc/self/maps') if 'libtorch_cpu' in line})\n"


def test_the_real_one_loads(real: Path) -> None:
    answer = run_python(REAL, real)
    assert answer.stdout == "libtorch_ffi._C\n", answer.stderr


def test_the_real_one_is_refused_beside_another(real: Path, other_libtorch: Path) -> None:
    paragraph = refused(run_python(PRELOAD.format(lib=str(other_libtorch / "lib")) + REAL, real))
    assert paragraph.startswith("Another libtorch is in this process already")


def test_the_real_one_is_found_where_it_moved(real: Path, record: dict[str, Any], tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    prefix = record["prefix"]
    linked = shutil.copytree(prefix, moved, copy_function=_link, ignore=shutil.ignore_patterns("*.py", "*.pyc", "bin"))
    path = real / "libtorch_ffi/_built.json"
    path.write_text(json.dumps({**record, "prefix": "/gone", "library_dirs": ["/gone/lib"], "origin": "cache"}))
    answer = run_python(REAL + WHERE, real, LIBTORCH=str(linked))
    assert answer.stdout == f"libtorch_ffi._C\n{moved}/lib/libtorch_cpu.so\n", answer.stderr


def _link(source: str, target: str) -> None:
    """Link a file to a second place, so that nothing is copied where the two are on one disk."""
    from pathlib import Path

    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


@pytest.mark.reference
@pytest.mark.parametrize("first", ["torch", "libtorch_ffi"])
def test_the_real_torch_lives_with_us_in_either_order(real: Path, record: dict[str, Any], first: str) -> None:
    if record["origin"] != "torch":
        pytest.skip("the package under test was not built with LIBTORCH_SOURCE=torch")
    use = "print(float(torch.ones(3).sum()))\n"
    code = f"import torch\n{use}{REAL}" if first == "torch" else f"{REAL}import torch\n{use}"
    expected = {"3.0", "libtorch_ffi._C"}
    answer = run_python(code, real)
    assert set(answer.stdout.split()) == expected, answer.stderr
    assert answer.returncode == 0


@pytest.mark.reference
@pytest.mark.parametrize("first", ["torch", "libtorch_ffi"])
def test_the_real_torch_of_another_release_is_kept_apart(real: Path, record: dict[str, Any], first: str) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("the `reference` extra is not installed")
    if record["origin"] == "torch":
        pytest.skip("the package under test was built with LIBTORCH_SOURCE=torch")
    paragraph = refused(run_python(f"import torch\n{REAL}" if first == "torch" else f"{REAL}import torch\n", real))
    assert "`LIBTORCH_SOURCE=torch pip install " in paragraph
