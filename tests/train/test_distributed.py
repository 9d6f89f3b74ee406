"""Processes that compute together over loopback: each operation, data-parallel training, who is missing, bad input."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import libtorch_ffi as lt
from libtorch_ffi import distributed as dist
from libtorch_ffi.errors import LibtorchFFIError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType
    from typing import Any

SIZE = 4
LIMIT = 120

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this libtorch has no Gloo")

MEET = """
    import os, signal, sys
    from datetime import timedelta
    import libtorch_ffi as lt
    from libtorch_ffi import distributed as dist

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests with it ignored
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    lt.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    assert dist.is_initialized() and dist.get_backend() == "gloo"
    assert (dist.get_rank(), dist.get_world_size()) == (rank, size)
"""


ALONE = """
    import signal
    from datetime import timedelta
    import libtorch_ffi as lt
    from libtorch_ffi import distributed as dist

    signal.signal(signal.SIGINT, signal.default_int_handler)  # likewise
"""


def together(program: str, tmp_path: Path, size: int = SIZE) -> list[str]:
    """Run a program in several processes that meet at a port of this one's store; return what each printed."""
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(MEET) + textwrap.dedent(program))
    master = dist.TCPStore("127.0.0.1", 0, None, is_master=True, wait_for_workers=False)
    script.write_text(
        script.read_text().replace(
            'dist.init_process_group("gloo", ',
            f'store = dist.TCPStore("127.0.0.1", {master.port}, is_master=False)\n'
            'dist.init_process_group("gloo", store=store, world_size=size, rank=rank, ',
        )
    )
    environ = {**os.environ, "WORLD_SIZE": str(size), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env={**environ, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        answers = [process.communicate(timeout=LIMIT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, answers, strict=True):
        assert process.returncode == 0, errors[-3000:]
    return [answer for answer, _ in answers]


OPERATIONS = """
    def full(value, count=3, dtype=lt.float32):
        return lt.full((count,), value, dtype=dtype)

    t = full(float(rank + 1)); dist.all_reduce(t); print(t.tolist())
    for op in (dist.ReduceOp.PRODUCT, dist.ReduceOp.MIN, dist.ReduceOp.MAX):
        t = full(rank + 1, 1, lt.int64); dist.all_reduce(t, op); print(t.tolist())
    for op in (dist.ReduceOp.BAND, dist.ReduceOp.BOR, dist.ReduceOp.BXOR):
        t = full(rank + 4, 1, lt.int32); dist.all_reduce(t, op); print(t.tolist())
    t = full(float(rank)); dist.broadcast(t, 2); print(t.tolist())
    parts = [lt.zeros(1) for _ in range(size)]; dist.all_gather(parts, full(float(rank), 1))
    print([p.item() for p in parts])
    parts = [lt.zeros(1) for _ in range(size)] if rank == 1 else None
    dist.gather(full(float(rank), 1), parts, dst=1); print([p.item() for p in parts or []])
    t = lt.zeros(1); dist.scatter(t, [full(float(i * i), 1) for i in range(size)] if rank == 3 else None, src=3)
    print(t.tolist())
    t = full(float(rank + 1)); dist.reduce(t, 0); print(t.tolist() if rank == 0 else None)
    t = full(float(rank)); dist.recv(t, rank - 1) if rank else None
    if rank + 1 < size: dist.send(t + 10, rank + 1)
    print(t.tolist())
    works = [(t, dist.all_reduce(t, async_op=True)) for t in (full(float(i)) for i in range(5))]
    print([w.wait(timedelta(seconds=30)) and w.is_completed() and t[0].item() for t, w in works])
    dist.barrier()
    big = lt.ones(300_000); dist.all_reduce(big); print(big.sum().item())
    dist.destroy_process_group(); print(dist.is_initialized(), dist.get_rank())
"""


def test_every_operation(tmp_path: Path) -> None:
    for rank, answer in enumerate(together(OPERATIONS, tmp_path)):
        assert answer.splitlines() == [
            "[10.0, 10.0, 10.0]",
            "[24]",
            "[1]",
            "[4]",
            "[4]",
            "[7]",
            "[0]",
            "[2.0, 2.0, 2.0]",
            "[0.0, 1.0, 2.0, 3.0]",
            "[0.0, 1.0, 2.0, 3.0]" if rank == 1 else "[]",
            f"[{float(rank * rank)}]",
            "[10.0, 10.0, 10.0]" if rank == 0 else "None",
            str([10.0 * rank] * 3),
            "[0.0, 4.0, 8.0, 12.0, 16.0]",
            "1200000.0",
            "False -1",
        ]


TRAINING = """
    from libtorch_ffi import demo
    from libtorch_ffi.nn import functional

    def train(share):
        digits = demo.load()
        lt.manual_seed(1)
        model = demo.Classifier()
        optimizer = lt.optim.SGD(model.parameters, lr=0.5, momentum=0.5)
        losses = []
        for batch in lt.split(lt.randperm(digits.train_images.shape[0]), 64)[:20]:
            mine = batch[share]
            optimizer.zero_grad()
            weight = len(mine) / len(batch)
            loss = functional.cross_entropy(model(digits.train_images[mine]), digits.train_labels[mine]) * weight
            loss.backward()
            total = loss.detach().clone()
            if share != slice(None):
                for parameter in model.parameters:
                    dist.all_reduce(parameter.grad)
                dist.all_reduce(total)
            optimizer.step()
            losses.append(total.item())
        return losses, [parameter.detach() for parameter in model.parameters]

    losses, parameters = train(slice(rank, None, size))
    alone_losses, alone = train(slice(None))
    assert lt.allclose(lt.tensor(losses), lt.tensor(alone_losses), rtol=1e-4), (losses, alone_losses)
    assert all(lt.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(parameters, alone))
    assert losses[-1] < 0.6 * losses[0]
    sums = [lt.zeros(1) for _ in range(size)]
    dist.all_gather(sums, sum(parameter.double().sum() for parameter in parameters).float().reshape(1))
    print(len({value.item() for value in sums}))
"""


def test_data_parallel_training_equals_one_process(tmp_path: Path) -> None:
    assert together(TRAINING, tmp_path) == ["1\n"] * SIZE


def test_who_does_not_come_is_an_error_for_the_others(tmp_path: Path) -> None:
    program = """
        if rank == 0:
            try:
                dist.all_reduce(lt.ones(3), async_op=True).wait(timedelta(seconds=1))
            except RuntimeError as error:
                print("told")
            import os
            os._exit(0)
        import time
        time.sleep(4)
    """
    assert together(program, tmp_path, 2)[0] == "told\n"


def test_who_ends_in_the_middle_is_an_error_for_the_others(tmp_path: Path) -> None:
    program = """
        dist.barrier()
        if rank == 1:
            os._exit(0)  # without leaving the group
        try:
            for _ in range(1000):
                dist.all_reduce(lt.ones(3))
        except dist.DistributedError as error:
            print("another process of the group has ended" in str(error))
    """
    assert together(program, tmp_path, 3) == ["True\n", "", "True\n"]


def _run_alone(program: str, **options: Any) -> subprocess.Popen[str]:
    script = textwrap.dedent(ALONE) + textwrap.dedent(program)
    return subprocess.Popen([sys.executable, "-c", script], text=True, **options)


WAITS = {
    "for rank 0": "dist.init_process_group('gloo', 'tcp://127.0.0.1:{port}', rank=1, world_size=2)",
    "for rank 1": "dist.init_process_group('gloo', 'tcp://127.0.0.1:{port}', rank=0, world_size=2)",
    "for a key": "dist.TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False).get('never')",
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_the_wait_for_others(wait: str, tmp_path: Path) -> None:
    program = f"print('ready', flush=True)\n{WAITS[wait].format(port=_free_port())}"
    with _run_alone(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        _interrupt(process)


def test_ctrl_c_ends_a_collective_operation_that_the_others_do_not_join(tmp_path: Path) -> None:
    program = """
        if rank == 0:
            import _thread, threading
            threading.Timer(0.5, _thread.interrupt_main).start()
            try:
                dist.all_reduce(lt.ones(3))
            except KeyboardInterrupt:
                print("heard", dist.is_initialized())
            store.set("done", b"")
        else:
            store.wait(["done"])
    """
    assert together(program, tmp_path, 2) == ["heard False\n", ""]


def test_who_misses_the_others_is_told_whom(tmp_path: Path) -> None:
    program = "dist.init_process_group('gloo', 'tcp://127.0.0.1:{}', timedelta(seconds=1), rank={}, world_size=2)"
    for rank, words in ((0, "rank 0 waited 1 s for the 2 of its group"), (1, "rank 1 found nobody at 127.0.0.1:")):
        text = program.format(_free_port(), rank)
        with _run_alone(text, cwd=tmp_path, stderr=subprocess.PIPE) as process:
            errors = process.communicate(timeout=LIMIT)[1]
        assert process.returncode == 1
        assert "DistributedError" in errors
        assert words in errors


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Send Ctrl-C to a process that says that it is ready and then waits for minutes."""
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "KeyboardInterrupt" in errors


def test_a_store_keeps_values() -> None:
    store = dist.TCPStore("127.0.0.1", 0, 1, is_master=True, timeout=timedelta(seconds=5))
    store.set("key", "value")
    assert store.get("key") == b"value"
    assert [store.add("count", 2), store.add("count", -5)] == [2, -3]
    assert store.compare_set("key", b"value", b"\x00other") == b"\x00other"
    assert store.compare_set("key", "value", "third") == b"\x00other"
    assert (store.check(["key"]), store.check(["key", "missing"])) == (True, False)
    store.wait(["key", "count"], timedelta(seconds=1))
    before = store.num_keys()
    assert (store.delete_key("key"), store.delete_key("key")) == (True, False)
    assert store.num_keys() == before - 1
    assert (store.host, store.port > 0) == ("127.0.0.1", True)
    with pytest.raises(RuntimeError):
        store.wait(["missing"], timedelta(milliseconds=50))
    store.set_timeout(timedelta(milliseconds=50))
    with pytest.raises(RuntimeError):
        store.get("missing")


def test_a_port_that_is_taken_is_an_error() -> None:
    store = dist.TCPStore("127.0.0.1", 0, 1, is_master=True)
    with pytest.raises(RuntimeError, match="address"):
        dist.TCPStore("127.0.0.1", store.port, 1, is_master=True)


def test_a_group_of_one() -> None:
    store = dist.TCPStore("127.0.0.1", 0, 1, is_master=True)
    dist.init_process_group(store=store, rank=0, world_size=1)
    try:
        with pytest.raises(dist.DistributedError, match="twice"):
            dist.init_process_group(store=store, rank=0, world_size=1)
        tensor = lt.ones(2)
        dist.all_reduce(tensor)
        assert tensor.tolist() == [1.0, 1.0]
        _refused_in_a_group()
    finally:
        dist.destroy_process_group()
    dist.destroy_process_group()
    assert not dist.is_initialized()


def _refused_in_a_group() -> None:
    with pytest.raises(ValueError, match="no rank 3 in a group of 1"):
        dist.broadcast(lt.ones(1), 3)
    with pytest.raises(ValueError, match="no rank -1 in a group of 1"):
        dist.send(lt.ones(1), -1)
    with pytest.raises(ValueError, match="17 is not a valid ReduceOp"):
        dist.all_reduce(lt.ones(1), 17)  # type: ignore[arg-type]
    for tensor in (lt.ones(2, 2).to_sparse(), lt.ones(2, device="meta"), lt.ones(2, 3).t(), lt.ones(1).expand(9)):
        with pytest.raises(ValueError, match="strided and contiguous"):
            dist.all_reduce(tensor)
    with pytest.raises((RuntimeError, ValueError)):
        dist.all_gather([], lt.ones(1))
    with pytest.raises((RuntimeError, ValueError)):
        dist.all_gather([lt.ones(2)], lt.ones(1))
    with pytest.raises((RuntimeError, ValueError)):
        dist.scatter(lt.ones(1))
    with pytest.raises(ValueError, match="a positive number of seconds"):
        dist.barrier(async_op=True).wait(timedelta(seconds=-1))  # type: ignore[union-attr]


def test_torch_has_stores_of_its_own_in_the_same_process(torch: ModuleType) -> None:
    """Both register c10d's classes; torch's are made by torch, and ours by us."""
    ours = dist.TCPStore("127.0.0.1", 0, 1, is_master=True)
    theirs = torch.distributed.TCPStore("127.0.0.1", ours.port, 1, is_master=False)
    theirs.set("key", "value")
    assert ours.get("key") == b"value"
    assert type(theirs).__module__.startswith("torch.")


def test_bad_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(dist.DistributedError, match="has not been initialized"):
        dist.barrier()
    with pytest.raises(LibtorchFFIError, match="'nccl' is not here"):
        dist.init_process_group("nccl")
    with pytest.raises(ValueError, match="'env://' or 'tcp://host:port', but got 'file:///tmp/x'"):
        dist.init_process_group(init_method="file:///tmp/x", rank=0, world_size=1)
    with pytest.raises(ValueError, match="world_size=2, rank=2"):
        dist.init_process_group(init_method="tcp://127.0.0.1:1", rank=2, world_size=2)
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="environment variable WORLD_SIZE expected"):
        dist.init_process_group()
    with pytest.raises(ValueError, match=r"a port lies in \[0, 65536\), but got 70000"):
        dist.TCPStore("127.0.0.1", 70000)
    with pytest.raises(ValueError, match="world_size=0"):
        dist.TCPStore("127.0.0.1", 0, 0)
    assert (dist.get_rank(), dist.get_world_size(), dist.is_initialized()) == (-1, -1, False)


def test_meeting_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    free = dist.TCPStore("127.0.0.1", 0, 1, is_master=True)
    port = free.port
    del free
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, str(value))
    dist.init_process_group("gloo", timeout=timedelta(seconds=20))
    try:
        assert (dist.get_rank(), dist.get_world_size()) == (0, 1)
    finally:
        dist.destroy_process_group()
