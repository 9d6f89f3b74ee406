"""What libtorch warns of reaches Python's warnings."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Literal

import pytest

import libtorch_ffi as lt

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

TEXT = "An output with one or more elements was resized"


def warn() -> lt.Tensor:
    result: lt.Tensor = lt.add(lt.ones(2), 1, out=lt.empty(3))
    return result


def warn_often() -> None:
    for _ in range(200):
        warn()


def test_a_warning_names_the_line_that_called(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(UserWarning, match=TEXT) as caught:
        warn()
    assert caught[0].filename == __file__
    assert capfd.readouterr().err == ""


def test_the_result_is_there_all_the_same() -> None:
    with pytest.warns(UserWarning, match=TEXT):
        assert warn().tolist() == [2, 2]


def test_a_filter_makes_it_an_error_of_the_call() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=TEXT):
            warn()
        assert lt.ones(2).sum().item() == 2  # the next call is none the worse


def test_a_filter_makes_it_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warn()
    assert capfd.readouterr().err == ""


def test_many_are_issued_each_once() -> None:
    with pytest.warns(UserWarning, match=TEXT) as caught:
        warn_often()
    assert len(caught) == 200


def test_handlers_of_warnings_may_call_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def show(*_: object, **__: object) -> None:
        seen.append(lt.ones(3).sum().item())

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show)
        warn()
    assert seen == [3]


def test_a_warning_of_the_last_call_is_not_lost(tmp_path: Path) -> None:
    program = (
        "import warnings; warnings.simplefilter('always'); import libtorch_ffi as lt;"
        "lt.add(lt.ones(2), 1, out=lt.empty(3))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert TEXT in done.stderr
    assert "UserWarning" in done.stderr


@pytest.mark.parametrize("handling", ["always", "error"])
def test_other_threads_have_warnings_too(
    handling: Literal["always", "error"], capfd: pytest.CaptureFixture[str]
) -> None:
    """Each thread's are issued in that thread: one filter makes them errors of its calls and of no other's."""
    raised: list[Warning] = []

    def attempt() -> None:
        try:
            warn()
        except UserWarning as error:
            raised.append(error)

    def work() -> None:
        for _ in range(50):
            attempt()

    def calculate() -> None:
        for _ in range(500):
            lt.ones(2)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(handling)
        threads = [threading.Thread(target=target) for target in (work, calculate, work, calculate)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert capfd.readouterr().err == ""
    assert len(raised if handling == "error" else caught) == 100
    assert {one.filename for one in caught} <= {__file__}


def test_a_backward_has_warnings_too(capfd: pytest.CaptureFixture[str]) -> None:
    """The engine holds them back until it has ended."""
    x = lt.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda gradient: warn())
    with pytest.warns(UserWarning, match=TEXT):
        y.sum().backward()
    assert capfd.readouterr().err == ""


def test_the_category_is_torch_s(torch: ModuleType) -> None:
    with pytest.warns(UserWarning, match=TEXT) as theirs:
        torch.add(torch.ones(2), 1, out=torch.empty(3))
    with pytest.warns(UserWarning, match=TEXT) as ours:
        warn()
    assert [one.category for one in ours] == [one.category for one in theirs]
