"""Several processes that compute together, by libtorch's own c10d: a store of keys, and operations over Gloo.

Owns torch.distributed's vocabulary for it, the one group of a process, and the checks of ranks. The operations are
libtorch's; they work on contiguous CPU tensors, of the same shape and dtype in every process: c10d ends a process
that is sent more than it asked for. Other backends (NCCL, MPI) and groups within the group are not here.
"""

from __future__ import annotations

import atexit
import enum
import os
import threading
from concurrent.futures import Future
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from libtorch_ffi._binding import core
from libtorch_ffi.errors import LibtorchFFIError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from libtorch_ffi._C import Tensor

    T = TypeVar("T")

__all__ = [
    "ReduceOp",
    "TCPStore",
    "Work",
    "all_gather",
    "all_reduce",
    "barrier",
    "broadcast",
    "destroy_process_group",
    "gather",
    "get_backend",
    "get_rank",
    "get_world_size",
    "init_process_group",
    "irecv",
    "is_available",
    "is_initialized",
    "isend",
    "recv",
    "reduce",
    "scatter",
    "send",
]

DEFAULT_TIMEOUT = timedelta(minutes=30)
"""How long an operation waits for the other processes, as in torch."""

STORE_TIMEOUT = timedelta(seconds=300)
"""How long a store waits for a key or for the other processes, as in torch."""


_MOMENT = 0.2
"""Seconds, after which Ctrl-C is heard by who waits for the other processes."""


class DistributedError(LibtorchFFIError, RuntimeError):
    """There is no process group, or there is one already; or the other processes do not come, or are gone."""


class ReduceOp(enum.IntEnum):
    """What becomes of the tensors of all processes: the numbers are c10d's. The last three are for integers."""

    SUM = 0
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7


def is_available() -> bool:
    """Return whether the libtorch at hand has c10d with Gloo."""
    return hasattr(core, "GlooGroup")


def _check_available() -> None:
    if not is_available():
        raise UnsupportedError(
            "The libtorch that libtorch_ffi was built against has no c10d with Gloo inside (it was compiled with "
            "USE_DISTRIBUTED=0 or without Gloo); PyTorch's own releases have it"
        )


class TCPStore:
    """Keys and values that processes share; one of them, the master, keeps them.

    Parameters
    ----------
    host_name
        Where the master is.
    port
        Its port; 0 lets the master choose a free one.
    world_size
        How many processes to wait for, the master among them.
    is_master
        Whether this process keeps the values.
    timeout
        How long is waited for keys and for processes.
    wait_for_workers
        Whether the master waits for all processes at the start.

    Raises
    ------
    RuntimeError
        If the port is taken, or nobody answers in time.
    """

    def __init__(
        self,
        host_name: str,
        port: int,
        world_size: int | None = None,
        is_master: bool = False,
        timeout: timedelta = STORE_TIMEOUT,
        wait_for_workers: bool = True,
    ) -> None:
        _check_available()
        if not 0 <= port < 2**16:
            raise ValueError(f"a port lies in [0, 65536), but got {port}")
        if world_size is not None and world_size < 1:
            raise ValueError(f"a world has at least one process, but got world_size={world_size}")
        self.timeout = timeout
        seconds = timeout.total_seconds()
        self._core = core.TCPStoreCore(host_name, port, world_size, is_master, seconds, wait_for_workers)

    @property
    def host(self) -> str:
        """Where the master is."""
        return self._core.host

    @property
    def port(self) -> int:
        """The master's port."""
        return self._core.port

    def set(self, key: str, value: str | bytes) -> None:
        """Set a value."""
        self._core.set(key, _bytes(value))

    def get(self, key: str) -> bytes:
        """Return a value; wait for it where nobody has set it yet.

        Raises
        ------
        RuntimeError
            If that takes longer than the timeout.
        """
        return _listening_to(lambda: self._core.get(key))

    def add(self, key: str, amount: int) -> int:
        """Add to a number, which begins with 0, and return the sum."""
        return self._core.add(key, amount)

    def compare_set(self, key: str, expected_value: str | bytes, desired_value: str | bytes) -> bytes:
        """Set a value where it is the expected one, and return what it is then."""
        return self._core.compare_set(key, _bytes(expected_value), _bytes(desired_value))

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        """Wait until all keys are set.

        Raises
        ------
        RuntimeError
            If that takes longer than the timeout.
        """
        seconds = (timeout or self.timeout).total_seconds()
        _listening_to(lambda: self._core.wait(list(keys), seconds))

    def check(self, keys: Sequence[str]) -> bool:
        """Return whether all keys are set."""
        return self._core.check(list(keys))

    def delete_key(self, key: str) -> bool:
        """Delete a key, and return whether it was there."""
        return self._core.delete_key(key)

    def num_keys(self) -> int:
        """Return how many keys are set, with one of the store's own."""
        return self._core.num_keys()

    def set_timeout(self, timeout: timedelta) -> None:
        """Set how long is waited for keys."""
        self._core.set_timeout(timeout.total_seconds())
        self.timeout = timeout


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


class Work:
    """An operation that was begun with ``async_op=True``. It holds its tensors until it has ended."""

    def __init__(self, work: core.DistributedWork, *, collective: bool = False) -> None:
        self._core = work
        self._collective = collective

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait until it has ended.

        Parameters
        ----------
        timeout
            How long; by default as long as the group says.

        Raises
        ------
        DistributedError
            If another process is gone, or the time is up.
        """
        try:
            if self._collective and timeout is None:
                return self._listening()
            return self._core.wait(None if timeout is None else timeout.total_seconds())
        except RuntimeError as error:
            raise DistributedError(
                f"{error}: another process of the group has ended, or does not come in time. A group that has lost one "
                "cannot go on: end the others, and start all of them again"
            ) from error

    def _listening(self) -> bool:
        """Wait in moments, between which Ctrl-C is heard."""
        try:
            while not self._core.done_within(_MOMENT):
                pass
        except RuntimeError:
            raise
        except BaseException:  # of a signal's handler: Ctrl-C's, an alarm's
            while _worlds:
                _worlds.pop().group.abandon()
            raise
        return True

    def is_completed(self) -> bool:
        """Return whether it has ended."""
        return self._core.is_completed()


class _World:
    """The group of this process, its place in it, and the store that it met the others in."""

    def __init__(self, store: TCPStore, rank: int, size: int, timeout: timedelta) -> None:
        seconds = timeout.total_seconds()
        try:
            self.group = _listening_to(lambda: core.GlooGroup(store._core, rank, size, seconds))  # noqa: SLF001 - ours
        except RuntimeError as error:
            raise DistributedError(
                f"the process of rank {rank} waited {seconds:g} s for the {size} of its group, and could not reach all "
                f"({error}). Start as many processes as world_size says, each with a rank of its own from 0 on"
            ) from error
        self.store, self.rank, self.size = store, rank, size


def _listening_to(wait: Callable[[], T]) -> T:
    """Return what a function does that waits in libtorch: in a thread of its own, so that Ctrl-C is heard meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        return wait()
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(wait())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result()


def _met(host: str, port: int, size: int, rank: int, timeout: timedelta) -> TCPStore:
    """Return the store that the processes meet in."""
    try:
        return _listening_to(lambda: TCPStore(host, port, size, rank == 0, timeout, wait_for_workers=False))
    except RuntimeError as error:
        if rank == 0:
            raise
        raise DistributedError(
            f"the process of rank {rank} found nobody at {host}:{port} ({error}). That is where the process of rank 0 "
            "has to be: start it, and give all the same address"
        ) from error


_worlds: list[_World] = []
"""The one that there is, or none."""


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: TCPStore | None = None,
) -> None:
    """Meet the other processes.

    Parameters
    ----------
    backend
        ``"gloo"``, the only one.
    init_method
        Where to meet: ``"tcp://host:port"``, the master being the process of rank 0; or ``"env://"``, the default,
        which reads MASTER_ADDR, MASTER_PORT, WORLD_SIZE and RANK from the environment.
    timeout
        How long an operation waits for the other processes; 30 minutes by default.
    world_size, rank
        How many processes there are, and which is this one, from 0.
    store
        Instead of `init_method`: where to meet.

    Raises
    ------
    DistributedError
        If there is a group already, or the others do not come in time.
    UnsupportedError
        If the backend is another, or the libtorch at hand has none.
    ValueError
        If a rank, a size or an address is missing or makes no sense.
    RuntimeError
        If the port of rank 0 is taken.
    """
    _check_available()
    if _worlds:
        raise DistributedError("trying to initialize the default process group twice! destroy_process_group() first")
    if backend not in (None, "gloo", "cpu:gloo"):
        raise UnsupportedError(f"the backend {backend!r} is not here; expected 'gloo', which works on CPU tensors")
    if store is None:
        host, port, world_size, rank = _address(init_method or "env://", world_size, rank)
    if world_size < 1 or not 0 <= rank < world_size:
        raise ValueError(
            f"expected a world_size of at least 1 and a rank below it, but got world_size={world_size}, rank={rank}"
        )
    if store is None:
        store = _met(host, port, world_size, rank, timeout or STORE_TIMEOUT)
    _worlds.append(_World(store, rank, world_size, timeout or DEFAULT_TIMEOUT))


def _address(init_method: str, world_size: int, rank: int) -> tuple[str, int, int, int]:
    """Return host and port of the master, the size of the world and the rank."""
    parts = urlsplit(init_method)
    if parts.scheme == "env":
        size = world_size if world_size != -1 else int(_variable("WORLD_SIZE"))
        own = rank if rank != -1 else int(_variable("RANK"))
        return _variable("MASTER_ADDR"), int(_variable("MASTER_PORT")), size, own
    if parts.scheme != "tcp" or parts.hostname is None or parts.port is None:
        raise ValueError(f"init_method is 'env://' or 'tcp://host:port', but got {init_method!r}")
    return parts.hostname, parts.port, world_size, rank


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ValueError(
            f"Error initializing torch.distributed using env:// rendezvous: environment variable {name} expected, but "
            "not set"
        )
    return value


@atexit.register
def destroy_process_group() -> None:
    """Leave the group, after what is under way. Without a group, do nothing."""
    while _worlds:
        _worlds.pop().group.close()


def is_initialized() -> bool:
    """Return whether this process is in a group."""
    return bool(_worlds)


def _world() -> _World:
    if not _worlds:
        raise DistributedError(
            "Default process group has not been initialized, please make sure to call init_process_group."
        )
    return _worlds[0]


def get_backend() -> str:
    """Return ``"gloo"``, where there is a group."""
    _world()
    return "gloo"


def get_rank() -> int:
    """Return which process of the group this is, from 0; -1 without a group."""
    return _worlds[0].rank if _worlds else -1


def get_world_size() -> int:
    """Return how many processes the group has; -1 without a group."""
    return _worlds[0].size if _worlds else -1


# Collective operations: every process of the group calls the same, in the same order.


def _done(work: core.DistributedWork, async_op: bool) -> Work | None:
    begun = Work(work, collective=True)
    if async_op:
        return begun
    begun.wait()
    return None


def all_reduce(tensor: Tensor, op: ReduceOp = ReduceOp.SUM, async_op: bool = False) -> Work | None:
    """Replace the tensor of each process by the sum of all of them, or what else `op` says.

    Parameters
    ----------
    tensor
        Of the same shape and dtype in each process.
    op
        What becomes of them.
    async_op
        Return at once, with a `Work` to wait for.

    Raises
    ------
    DistributedError
        If there is no group, another process is gone, or it does not come in time.
    """
    return _done(_world().group.all_reduce(tensor, ReduceOp(op)), async_op)


def reduce(tensor: Tensor, dst: int, op: ReduceOp = ReduceOp.SUM, async_op: bool = False) -> Work | None:
    """Do what `all_reduce` does for the process `dst`; those of the others are spoiled."""
    return _done(_world().group.reduce(tensor, dst, ReduceOp(op)), async_op)


def broadcast(tensor: Tensor, src: int, async_op: bool = False) -> Work | None:
    """Replace the tensor of each process by that of the process `src`."""
    return _done(_world().group.broadcast(tensor, src), async_op)


def all_gather(tensor_list: Sequence[Tensor], tensor: Tensor, async_op: bool = False) -> Work | None:
    """Fill a list, of one tensor a process, with the tensors of all processes."""
    return _done(_world().group.all_gather(list(tensor_list), tensor), async_op)


def gather(
    tensor: Tensor, gather_list: Sequence[Tensor] | None = None, dst: int = 0, async_op: bool = False
) -> Work | None:
    """Do what `all_gather` does for the process `dst`, which alone gives a list."""
    return _done(_world().group.gather(list(gather_list or ()), tensor, dst), async_op)


def scatter(
    tensor: Tensor, scatter_list: Sequence[Tensor] | None = None, src: int = 0, async_op: bool = False
) -> Work | None:
    """Fill the tensor of each process with its one of a list, which the process `src` alone gives."""
    return _done(_world().group.scatter(tensor, list(scatter_list or ()), src), async_op)


def barrier(async_op: bool = False) -> Work | None:
    """Wait until every process has come here."""
    return _done(_world().group.barrier(), async_op)


def send(tensor: Tensor, dst: int, tag: int = 0) -> None:
    """Send a tensor to one process, which calls `recv`."""
    isend(tensor, dst, tag).wait()


def recv(tensor: Tensor, src: int, tag: int = 0) -> None:
    """Fill a tensor with what a process sends."""
    irecv(tensor, src, tag).wait()


def isend(tensor: Tensor, dst: int, tag: int = 0) -> Work:
    """Begin to `send`."""
    return Work(_world().group.send(tensor, dst, tag))


def irecv(tensor: Tensor, src: int, tag: int = 0) -> Work:
    """Begin to `recv`."""
    return Work(_world().group.recv(tensor, src, tag))
