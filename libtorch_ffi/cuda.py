"""CUDA devices: which there are, their streams, events and memory.

Owns torch.cuda's vocabulary over the interfaces that a backend registers with libtorch. On a libtorch without CUDA all
of it is there and harmless: `is_available` answers no, `unavailable_reason` says why, and what needs a device raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._binding import core
from libtorch_ffi._C import OutOfMemoryError
from libtorch_ffi._hooks import Removable
from libtorch_ffi.autograd.grad_mode import Mode

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from libtorch_ffi._C import Tensor
    from libtorch_ffi._C import device as Device  # noqa: N812 - the name is a class of this module, too

    Place = Device | str | int | None

__all__ = [
    "Event",
    "OutOfMemoryError",
    "Stream",
    "current_device",
    "current_stream",
    "default_stream",
    "device",
    "device_count",
    "empty_cache",
    "get_rng_state",
    "initial_seed",
    "is_available",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "on_out_of_memory",
    "reset_accumulated_memory_stats",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_device",
    "set_rng_state",
    "set_stream",
    "stream",
    "synchronize",
    "unavailable_reason",
]


# Which there are


def is_available() -> bool:
    """Tell whether there is a CUDA device that this libtorch can use."""
    return device_count() > 0


def device_count() -> int:
    """Return how many CUDA devices libtorch sees; 0 where it has no CUDA."""
    count: int = core.device_count("cuda")
    return count


def unavailable_reason() -> str | None:
    """Say why `is_available` is false, and what mends it; None where it is true."""
    if device_count() > 0:
        return None
    if not core.features()["cuda"]:
        return (
            "this libtorch was built without CUDA: install a CUDA flavor (`libtorch-ffi list --available` names them), "
            "and build this package for it (LIBTORCH_CUDA_VERSION)"
        )
    problem = _driver_problem()
    return problem or (
        "the NVIDIA driver is there and has no device to offer: `nvidia-smi` shows what it sees, and "
        "CUDA_VISIBLE_DEVICES may hide devices"
    )


def _driver_problem() -> str | None:
    """Say what is wrong with the driver's library, libcuda.so.1; None where it answers."""
    import ctypes

    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return f"the NVIDIA driver's library cannot be loaded ({error}): install the driver, or in a container mount it"
    status = driver.cuInit(0)
    if status == 0:
        return None
    return f"the NVIDIA driver does not start (cuInit answers {status}): `nvidia-smi` tells more"


def is_initialized() -> bool:
    """Tell whether CUDA can be used: libtorch initializes it by itself."""
    return is_available()


# The current device


def _index(place: Place) -> int:
    """Return the index of a device; the current one where none is said."""
    if place is None:
        return current_device()
    if isinstance(place, int):
        return place
    named = core.device(place) if isinstance(place, str) else place
    if named.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {named}")
    return current_device() if named.index is None else named.index


def _device(place: Place) -> Device:
    return core.device("cuda", _index(place))


def current_device() -> int:
    """Return the index of the current CUDA device of this thread."""
    index: int = core.current_device("cuda")
    return index


def set_device(device: Place) -> None:
    """Make a device the current one of this thread.

    Parameters
    ----------
    device
        Its index, or a device.
    """
    core.exchange_device("cuda", _index(device))


class device(Mode):  # noqa: N801 - torch's name
    """A device is the current one, inside a ``with`` block or a decorated function.

    Parameters
    ----------
    device
        Its index, or a device; a negative index, or None, changes nothing.
    """

    def __init__(self, device: Place) -> None:
        self.idx = -1 if device is None else _index(device)
        self._before: list[int] = []

    def _again(self) -> device:
        return type(self)(self.idx)

    def __enter__(self) -> None:
        self._before.append(core.exchange_device("cuda", self.idx) if self.idx >= 0 else -1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        before = self._before.pop()
        if before >= 0:
            core.exchange_device("cuda", before)


def synchronize(device: Place = None) -> None:
    """Wait until all work of a device is done.

    Parameters
    ----------
    device
        By default the current one.
    """
    core.synchronize(_device(device))


# Streams and events


class Stream:
    """A queue of work of a CUDA device.

    Parameters
    ----------
    device
        By default the current one.
    priority
        -1 goes before 0.
    """

    def __init__(self, device: Place = None, priority: int = 0) -> None:
        self._stream = core.Stream(_device(device), priority)

    @classmethod
    def _of(cls, stream: core.Stream) -> Stream:
        made = cls.__new__(cls)
        made._stream = stream
        return made

    @property
    def device(self) -> Device:
        """The device whose work it is."""
        return self._stream.device

    @property
    def stream_id(self) -> int:
        """Libtorch's number of it."""
        return self._stream.stream_id

    def query(self) -> bool:
        """Tell whether all its work is done."""
        return self._stream.query()

    def synchronize(self) -> None:
        """Wait until all its work is done."""
        self._stream.synchronize()

    def record_event(self, event: Event | None = None) -> Event:
        """Set a mark behind the work that it has now, and return the mark."""
        marked = Event() if event is None else event
        marked.record(self)
        return marked

    def wait_event(self, event: Event) -> None:
        """Let the work from now on wait for a mark."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Let the work from now on wait for the work that another stream has now."""
        self.wait_event(stream.record_event())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and bool(self._stream == other._stream)

    def __hash__(self) -> int:
        return hash(self._stream)

    def __repr__(self) -> str:
        return f"<libtorch_ffi.cuda.Stream device={self.device} stream_id={self.stream_id}>"


class Event:
    """A mark in the work of a stream, to wait for and to measure time with.

    Parameters
    ----------
    enable_timing
        Whether `elapsed_time` can be asked.
    """

    def __init__(self, enable_timing: bool = False) -> None:
        self._event = core.Event("cuda", enable_timing)

    def record(self, stream: Stream | None = None) -> None:
        """Set the mark behind the work that a stream has now; by default the current one."""
        self._event.record((current_stream() if stream is None else stream)._stream)

    def wait(self, stream: Stream | None = None) -> None:
        """Let the work of a stream from now on wait for the mark; by default of the current one."""
        self._event.block((current_stream() if stream is None else stream)._stream)

    def query(self) -> bool:
        """Tell whether the work before the mark is done."""
        return self._event.query()

    def synchronize(self) -> None:
        """Wait until the work before the mark is done."""
        self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Return the milliseconds from this mark to another."""
        return self._event.elapsed_time(end_event._event)


def current_stream(device: Place = None) -> Stream:
    """Return the stream that operators of this thread use on a device; by default the current one."""
    return Stream._of(core.current_stream(_device(device)))


def default_stream(device: Place = None) -> Stream:
    """Return the stream that a device begins with; by default the current one."""
    return Stream._of(core.default_stream(_device(device)))


def set_stream(stream: Stream) -> None:
    """Make a stream the current one of its device, and its device the current one.

    Parameters
    ----------
    stream
        The stream.
    """
    core.exchange_stream(stream._stream)
    set_device(stream.device)


class stream(Mode):  # noqa: N801 - torch's name
    """A stream is the current one, inside a ``with`` block or a decorated function.

    Parameters
    ----------
    stream
        The stream; None changes nothing.
    """

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        self._before: list[tuple[int, core.Stream]] = []

    def _again(self) -> stream:
        return type(self)(self.stream)

    def __enter__(self) -> None:
        if self.stream is None:
            return
        before = core.exchange_device("cuda", _index(self.stream.device))
        self._before.append((before, core.exchange_stream(self.stream._stream)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.stream is None:
            return
        device, before = self._before.pop()
        core.exchange_stream(before)
        core.exchange_device("cuda", device)


# Memory


def memory_stats(device: Place = None) -> dict[str, int]:
    """Return what the caching allocator of a device counts, by torch's names, such as ``allocated_bytes.all.peak``.

    Parameters
    ----------
    device
        By default the current one.

    Raises
    ------
    NotImplementedError
        Before libtorch 2.9.
    """
    stats: dict[str, int] = core.memory_stats(_device(device))
    return stats


def memory_allocated(device: Place = None) -> int:
    """Return the bytes that tensors take on a device; 0 where CUDA is not available."""
    return _statistic("allocated_bytes.all.current", device)


def max_memory_allocated(device: Place = None) -> int:
    """Return the most bytes that tensors took on a device; 0 where CUDA is not available."""
    return _statistic("allocated_bytes.all.peak", device)


def memory_reserved(device: Place = None) -> int:
    """Return the bytes that the caching allocator holds of a device; 0 where CUDA is not available."""
    return _statistic("reserved_bytes.all.current", device)


def max_memory_reserved(device: Place = None) -> int:
    """Return the most bytes that the caching allocator held of a device; 0 where CUDA is not available."""
    return _statistic("reserved_bytes.all.peak", device)


def _statistic(name: str, device: Place) -> int:
    return memory_stats(device).get(name, 0) if is_available() else 0


def reset_peak_memory_stats(device: Place = None) -> None:
    """Set the peaks of `memory_stats` to the current values."""
    core.reset_memory_stats(_device(device), True)


def reset_accumulated_memory_stats(device: Place = None) -> None:
    """Set the sums of `memory_stats` to zero."""
    core.reset_memory_stats(_device(device), False)


def empty_cache() -> None:
    """Give cached memory that is not in use back to the devices; nothing where CUDA is not available."""
    if is_available():
        core.empty_cache(_device(None))


class on_out_of_memory(Removable):  # noqa: N801 - used like a function
    """Call a function whenever an operator has run out of a device's memory, before the error reaches its caller.

    It is called in the thread of the operator, with nothing locked, so that it may free tensors and call `empty_cache`.
    The error is raised all the same: whether to try again is the caller's choice.

    Parameters
    ----------
    hook
        Gets the error, an `OutOfMemoryError`. What it raises is reported and dropped.
    """

    def __init__(self, hook: Callable[[OutOfMemoryError], None]) -> None:
        self.hook = hook
        core.out_of_memory_hooks.append(hook)

    def remove(self) -> None:
        """Call it no more."""
        if self.hook in core.out_of_memory_hooks:
            core.out_of_memory_hooks.remove(self.hook)


# Random numbers


def manual_seed(seed: int) -> None:
    """Seed the generator of the current device; nothing where CUDA is not available."""
    if is_available():
        core.device_generator(_device(None)).manual_seed(int(seed))


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all devices; nothing where CUDA is not available."""
    for index in range(device_count()):
        core.device_generator(_device(index)).manual_seed(int(seed))


def seed() -> None:
    """Seed the generator of the current device from the system's source of randomness."""
    if is_available():
        core.device_generator(_device(None)).seed()


def seed_all() -> None:
    """Seed the generators of all devices alike from the system's source of randomness."""
    if is_available():
        manual_seed_all(core.device_generator(_device(None)).seed())


def initial_seed() -> int:
    """Return the seed of the current device's generator."""
    value: int = core.device_generator(_device(None)).initial_seed()
    return value


def get_rng_state(device: Place = None) -> Tensor:
    """Return the state of a device's generator, a uint8 tensor."""
    state: Tensor = core.device_generator(_device(device)).get_state()
    return state


def set_rng_state(new_state: Tensor, device: Place = None) -> None:
    """Put a device's generator into a state.

    Parameters
    ----------
    new_state
        What `get_rng_state` returned.
    device
        By default the current one.
    """
    core.device_generator(_device(device)).set_state(new_state)
