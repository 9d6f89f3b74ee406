"""Operators of a library that is loaded: `ops.load_library`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from custom_operators import SOURCE, compile_library, running_libtorch

from libtorch_ffi import ops
from libtorch_ffi.errors import LibraryError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.compile


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    return compile_library(folder, SOURCE, "tested", libtorch=running_libtorch())


def run(code: str, library: Path, *arguments: str) -> str:
    """Run code in a process of its own, which alone has the library's operators."""
    head = f"import sys\nimport libtorch_ffi as lt\nfrom libtorch_ffi import ops\npath = {str(library)!r}\n"
    words = [sys.executable, "-c", head + code, *arguments]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_operators_are_called_by_place_and_by_name(library: Path) -> None:
    code = """
ops.load_library(path)
x = lt.tensor([1.0, 2.0])
print(ops.tested.scaled(x).tolist(), ops.tested.scaled(x=x, by=3).tolist(), ops.tested.scaled.default(x).tolist())
copy, number = ops.tested.counted(x, more=5)
print(number, ops.tested.counted(x).number, ops.tested.counted(x).copy.tolist())
"""
    assert run(code, library) == "[2.0, 4.0] [3.0, 6.0] [2.0, 4.0]\n7 2 [1.0, 2.0]\n"


def test_they_are_listed_with_their_schemas(library: Path) -> None:
    code = """
print("tested" in dir(ops))
ops.load_library(path)
print("tested" in dir(ops), dir(ops.tested))
print(ops.tested.scaled.__doc__)
print("tested::traced" in lt.operators())
"""
    assert run(code, library) == (
        "False\nTrue ['counted', 'refused', 'scaled', 'traced']\n"
        "tested::scaled(Tensor x, *, Scalar by=2) -> Tensor\nTrue\n"
    )


def test_gradients_are_the_library_s_own(library: Path) -> None:
    code = """
ops.load_library(path)
x = lt.tensor([1.0, 2.0], requires_grad=True)
ops.tested.traced(x).sum().backward()
print(x.grad.tolist())
ops.tested.scaled(x, by=5).sum().backward()
print(x.grad.tolist())
"""
    assert run(code, library) == "[3.0, 3.0]\n[8.0, 8.0]\n"


def test_errors_are_the_library_s_own(library: Path) -> None:
    code = """
ops.load_library(path)
for call in (lambda: ops.tested.refused(lt.zeros(2)), lambda: ops.tested.scaled("x"), lambda: ops.tested.missing):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[0])
"""
    assert run(code, library) == (
        "ValueError refused: expected 7 dimensions, got 1\n"
        "TypeError tested::scaled(): no overload takes these arguments (str). "
        "The overloads, and why each was refused:\n"
        "AttributeError libtorch has no operator tested::missing\n"
    )


def test_to_load_it_again_does_nothing(library: Path) -> None:
    code = """
from pathlib import Path
ops.load_library(path)
held = ops.tested.scaled
ops.load_library(Path(path))
print(held(lt.ones(1)).tolist(), ops.tested.scaled(lt.ones(1)).tolist())
"""
    assert run(code, library) == "[2.0] [2.0]\n"


def test_a_second_library_of_the_same_namespace_is_refused(library: Path, tmp_path: Path) -> None:
    other = shutil.copy(library, tmp_path / "other.so")
    code = """
ops.load_library(path)
try:
    ops.load_library(sys.argv[1])
except lt.errors.LibraryError as error:
    print(error)
import ctypes, threading
thread = threading.Thread(target=ctypes.CDLL, args=[path])  # the loader is free for other threads
thread.start()
thread.join()
print(ops.tested.scaled(lt.ones(1)).tolist())
"""
    refusal, _, after = run(code, library, str(other)).rstrip().rpartition("\n")
    assert refusal.startswith(f"libtorch refuses what {other} registers: Only a single TORCH_LIBRARY")
    assert refusal.endswith("start a new one.")
    assert after == "[2.0]"


def test_the_command_line_shows_them(library: Path) -> None:
    words = [sys.executable, "-m", "libtorch_ffi", "ops", "--load", str(library), "tested::counted"]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (answer.stdout, answer.stderr) == (
        "tested::counted(Tensor x, int more=0) -> (Tensor copy, int number)\n",
        "",
    )


def test_stubs_can_include_them(library: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "libtorch_ffi.stubs", "--load", str(library), "--output", str(tmp_path)]
    subprocess.run(words, check=True)
    text = (tmp_path / "ops.pyi").read_text()
    assert "def __call__(_, x: _Tensor, *, by: _Number = 2) -> _Tensor: ..." in text
    assert "\ntested: _N_tested\n" in text


def test_a_library_for_another_libtorch_says_so(tmp_path: Path) -> None:
    source = (
        "namespace c10 { void a_function_of_another_release(); }\nvoid f() { c10::a_function_of_another_release(); }"
    )
    library = compile_library(tmp_path, source, "foreign")
    with pytest.raises(LibraryError, match=r"(?s)a_function_of_another_release.*libtorch-ffi config --cxxflags"):
        ops.load_library(library)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("missing/lib.so", None, "There is no file"),
        ("text.so", "this is no library", "has to be a shared library"),
        ("empty.so", "", "has to be a shared library"),
    ],
)
def test_what_is_no_library_is_refused_in_words(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(LibraryError, match=said) as caught:
        ops.load_library(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, OSError)


def test_a_bare_name_is_the_loader_s_to_find() -> None:
    with pytest.raises(LibraryError, match=r"knows no library libnosuchlibrary\.so"):
        ops.load_library("libnosuchlibrary.so")
    assert not os.path.lexists("libnosuchlibrary.so")
