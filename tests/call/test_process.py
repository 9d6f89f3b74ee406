"""What happens to a process around the operators: its end, its forks, its other interpreters."""

from __future__ import annotations

import subprocess
import sys

import pytest

_THREADS = """
import threading, time
import libtorch_ffi as lt

x = lt.randn(100, 100, requires_grad=True)

def compute():
    while True:
        {work}

for _ in range(3):
    threading.Thread(target=compute, daemon=True).start()
time.sleep(0.2)
print("end")
"""

_HOOKED = "y = x * 1; y.register_hook(lambda gradient: gradient * 2); (y @ y).sum().backward()"

WORK = {
    "operators": "lt.randn(100, 100).mm(x.detach()).sum().item()",
    "backward": "(x @ x).sum().backward()",
    "hooks": _HOOKED,
}


def _run(program: str, *, patience: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=patience
    )


@pytest.mark.parametrize("work", WORK)
def test_a_process_ends_while_daemon_threads_compute(work: str) -> None:
    """CPython ends such threads where they ask for the GIL, which aborts the process in the middle of C++ code."""
    for _ in range(4):
        done = _run(_THREADS.format(work=WORK[work]))
        assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


_FORKED = """
import os
import libtorch_ffi as lt

lt.set_num_threads(2)
x = lt.randn(300, 300, requires_grad=True)
(x @ x).sum().backward()  # OpenMP has a second thread now
child = os.fork()
if child == 0:
    (x @ x).exp().sum().backward()
    print(lt.get_num_threads(), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1], lt.get_num_threads())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP is Linux's")
def test_a_forked_process_computes_alone() -> None:
    """OpenMP's threads are not in the child, which would wait for them forever."""
    done = _run(_FORKED)
    assert (done.returncode, done.stdout) == (0, "1\n0 2\n"), done.stderr


_UNTOUCHED = """
import os
import libtorch_ffi as lt

lt.ones(2).sum()
count = lt.get_num_threads()
child = os.fork()
if child == 0:
    os._exit(0 if lt.get_num_threads() == count else 1)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP is Linux's")
def test_a_process_without_such_threads_leaves_its_children_as_they_are() -> None:
    done = _run(_UNTOUCHED)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


_OTHER = """
import sys
import {interpreters} as interpreters
{before}
other = interpreters.create()
interpreters.run_string(other, "import sys; sys.path[:] = " + repr(sys.path) + '''
try:
    import libtorch_ffi; libtorch_ffi.ones(2)
except ImportError as error:
    print(type(error).__name__, error, flush=True)
''')
print("end")
"""


@pytest.mark.parametrize("before", ["", "import libtorch_ffi; libtorch_ffi.ones(2)"], ids=["first", "second"])
def test_a_subinterpreter_is_refused(before: str) -> None:
    """It would wait for its own GIL."""
    interpreters = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    pytest.importorskip(interpreters)
    done = _run(_OTHER.format(interpreters=interpreters, before=before))
    assert done.returncode == 0, done.stderr
    assert "LoadError libtorch_ffi was imported in a subinterpreter" in done.stdout
    assert "multiprocessing" in done.stdout
    assert done.stdout.endswith("end\n")
