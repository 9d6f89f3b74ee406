"""The stubs of the libtorch at hand, and what type checkers make of them."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import libtorch_ffi as lt
from libtorch_ffi._binding import core
from libtorch_ffi.stubs import surface
from libtorch_ffi.stubs.__main__ import PACKAGE, main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from libtorch_ffi.stubs.schema import Schema

    Checker = Callable[[Path, Path], Iterator[tuple[str, int, str]]]

FILES = ("__init__.pyi", "_ops.pyi", "fft.pyi", "linalg.pyi", "ops.pyi", "sparse.pyi", "special.pyi")
RIGHT = """\
import libtorch_ffi as lt

x: lt.Tensor = lt.zeros(2, 3, dtype=lt.float32, requires_grad=True)
x = lt.zeros((2, 3), device="cpu") + 1
x = x.view(3, -1).permute(1, 0).sum(0, keepdim=True)
x = lt.softmax(x, 1).relu_() * 2
x = lt.where(x > 0, x, 0.0)
x = lt.add(x, 1, out=x)
x = lt.cat([x, x], dim=1)
x = x[0, 1:3, None, ..., x > 0]
x[x > 0] = 1
values, indices = lt.topk(x, 2)
values = x.max(1).values
parts: tuple[lt.Tensor, ...] = x.chunk(2)
listed: list[lt.Tensor] = lt.ops.aten.chunk(x, 2)
x = lt.ops.aten.add.Tensor(x, x, alpha=2)
schema: str = lt.ops.aten.add.Tensor.schema
length: int = x.shape[0]
x = lt.linalg.svd(x, full_matrices=False).S + lt.fft.rfft(x).abs()
x = x.random_(0, 4).uniform_(to=2.0)
lt.ops.a_library_that_is_loaded_later.operator(x)
"""
WRONG = """\
import libtorch_ffi as lt

x = lt.zeros(2)
lt.sofmax(x, 1)
lt.softmax("x", 1)
lt.relu()
lt.zeros("2")
lt.float3
x.rellu()
x.softmax(dim=1.5)
x.softmax(1, diim=1)
x.shape.length
lt.max(x, 1).value
lt.linalg.svdd(x)
lt.fft.rfft(x, n="2")
number: int = lt.add(x, 1)
lt.ops.aten.addd(x, x)
lt.ops.aten.add.Tensorr(x, x)
lt.ops.aten.add.Tensor(x)
"""
WRONG_LINES = set(range(4, WRONG.count("\n") + 1))


def test_they_are_what_is_written_beside_the_extension(tmp_path: Path) -> None:
    if not (PACKAGE / "_ops.pyi").is_file():
        pytest.skip("the package under test was not installed")
    # In a process of its own: here, other tests have registered operators of theirs.
    command = [sys.executable, "-m", "libtorch_ffi.stubs", "--check"]
    answer = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_check_tells_what_is_not_fresh(stubbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stubbed / "libtorch_ffi"
    assert main(["--check", "--output", str(folder)]) == 0
    for name in FILES:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "ops.pyi").write_text("")
    (tmp_path / "_ops.pyi").unlink()
    assert main(["--check", "--output", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert f"{tmp_path / '_ops.pyi'}, {tmp_path / 'ops.pyi'}: not what" in err
    assert "python -m libtorch_ffi.stubs" in err


@pytest.mark.parametrize("name", FILES)
def test_python_3_10_reads_them(stubbed: Path, name: str) -> None:
    tree = ast.parse((stubbed / "libtorch_ffi" / name).read_text(), feature_version=(3, 10))
    assert tree.body


def definitions(stubbed: Path, name: str) -> dict[str, list[ast.stmt]]:
    """Return what a stub defines at its top, by name."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in ast.parse((stubbed / "libtorch_ffi" / name).read_text()).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found.setdefault(statement.name, []).append(statement)
    return found


def test_every_overload_has_its_class(stubbed: Path) -> None:
    classes = definitions(stubbed, "ops.pyi")
    for full in core.operators():
        namespace, _, rest = full.partition("::")
        name, _, overload = rest.partition(".")
        assert f"_O_{namespace}__{name}__{overload}" in classes


def overloads(namespace: str, name: str) -> list[Schema]:
    return surface.operators()[namespace][name]


def test_every_function_is_there_or_taken(stubbed: Path) -> None:
    functions = definitions(stubbed, "_ops.pyi")
    taken = {*surface.modules(), *surface.homes(), *surface.core_names(), *surface.constants()}
    names = {name.removeprefix("aten::").partition(".")[0] for name in core.operators() if name.startswith("aten::")}
    left_out = {name for name in names - taken if name not in functions and not name.startswith("__")}
    assert "add" in functions
    assert {name for name in left_out if any(not schema.outs for schema in overloads("aten", name))} == set()


def test_every_method_is_there(stubbed: Path) -> None:
    (tensor,) = (one for one in definitions(stubbed, "_ops.pyi")["TensorMethods"] if isinstance(one, ast.ClassDef))
    written = {one.name for one in tensor.body if isinstance(one, ast.FunctionDef)}
    assigned = [one.targets[0] for one in tensor.body if isinstance(one, ast.Assign)]
    written |= {target.id for target in assigned if isinstance(target, ast.Name)}
    assert {"add", "softmax", "view", "backward"} <= written
    assert {name for name in written if not hasattr(lt.Tensor, name)} == set()


def mypy(folder: Path, stubbed: Path) -> Iterator[tuple[str, int, str]]:
    """Yield file, line and text of each error in the programs of a folder."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", "."]
    environment = {**os.environ, "MYPYPATH": str(stubbed)}
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert answer.stderr == ""
    for line in answer.stdout.splitlines():
        match = re.fullmatch(r"(?P<file>[^:/]+):(?P<line>\d+): error: (?P<text>.*)", line)
        if match:
            yield match["file"], int(match["line"]), match["text"]


def pyright(folder: Path, stubbed: Path) -> Iterator[tuple[str, int, str]]:
    """Yield the same of pyright, in the form that comes as a wheel with all that it needs."""
    pytest.importorskip("basedpyright")
    settings = {"extraPaths": [str(stubbed)], "typeCheckingMode": "standard", "reportPossiblyUnboundVariable": False}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    for found in json.loads(answer.stdout)["generalDiagnostics"]:
        if found["severity"] == "error":
            yield Path(found["file"]).name, found["range"]["start"]["line"] + 1, found["message"]


def readme_program() -> str:
    readme = Path(__file__).parents[2] / "README.md"
    match = re.search(r"```python\n(import libtorch_ffi as lt\n.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return match[1]


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_checker_accepts_right_programs_and_refuses_wrong_lines(
    stubbed: Path, tmp_path: Path, checker: Checker
) -> None:
    (tmp_path / "readme.py").write_text(readme_program())
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    found = list(checker(tmp_path, stubbed))
    assert [one for one in found if one[0] != "wrong.py"] == []
    assert {line for _, line, _ in found} == WRONG_LINES
