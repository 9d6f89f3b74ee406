"""Random numbers: the default generators of all devices.

Owns torch's functions on them. A generator of one's own is a `Generator`, which the compiled core defines; operators
take it as ``generator=``. The same seed gives the numbers that torch gives.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import SupportsInt

    from libtorch_ffi._C import Generator, Tensor
    from libtorch_ffi._C import device as Device  # noqa: N812 - the name is an argument's, too

__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]

default_generator: Generator = core.default_generator
"""The generator that the CPU's operators use where none is given."""


def manual_seed(seed: SupportsInt) -> Generator:
    """Seed the default generator of every device.

    Parameters
    ----------
    seed
        From -2**63 to 2**64 - 1; a negative one wraps around.

    Returns
    -------
    Generator
        The CPU's.
    """
    generator: Generator = core.manual_seed(int(seed))
    return generator


def seed() -> int:
    """Seed the default generator of every device from the system's source of randomness, and return the seed."""
    value: int = default_generator.seed()
    core.manual_seed(value)
    return value


def initial_seed() -> int:
    """Return the seed of the CPU's default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """Return the state of the CPU's default generator, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Put the CPU's default generator into a state.

    Parameters
    ----------
    new_state
        What `get_rng_state` returned.
    """
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(
    devices: Iterable[Device | str | int] | None = None, enabled: bool = True, device_type: str = "cuda"
) -> Iterator[None]:
    """Draw random numbers inside a ``with`` block, or a function, without changing what is drawn after it.

    Parameters
    ----------
    devices
        The devices whose generators go back to their states, beside the CPU's; by default all of `device_type`.
    enabled
        Whether anything is done at all.
    device_type
        Of the devices that are given by index, or not at all.
    """
    if not enabled:
        yield
        return
    count = core.device_count(device_type) if devices is None else 0
    chosen = range(count) if devices is None else devices
    places = [core.device(device_type, place) if isinstance(place, int) else place for place in chosen]
    generators = [default_generator, *(core.device_generator(place) for place in places)]
    states = [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def restored(device: Device, state: bytes) -> Generator:
    """Return a generator in a state; what a pickled one is made of again."""
    generator: Generator = core.restored_generator(device, state)
    return generator
