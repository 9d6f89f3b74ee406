"""How libtorch was built.

Owns torch's `show` and `parallel_info`, which answer texts for people to read.
"""

from libtorch_ffi._binding import core

__all__ = ["parallel_info", "show"]


def show() -> str:
    """Describe the build: compilers, libraries, settings."""
    text: str = core.show_config()
    return text


def parallel_info() -> str:
    """Describe the thread pools and the environment variables that set them."""
    text: str = core.parallel_info()
    return text
