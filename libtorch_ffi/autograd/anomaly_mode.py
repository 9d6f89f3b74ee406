"""The search for the operation behind a failed gradient.

Owns `detect_anomaly` and `set_detect_anomaly`. While it is on, each node of the graph remembers the Python stack that
it was recorded in; a backward that fails, or computes NaN, warns with the stack of the node. It makes everything
slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["detect_anomaly", "set_detect_anomaly"]


class set_detect_anomaly:  # noqa: N801 - torch's name
    """Sets at once whether anomalies are searched for, in all threads; as a context manager, until its end.

    Parameters
    ----------
    mode
        Whether they are.
    check_nan
        Whether NaN in a gradient is an error.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (core.is_anomaly_enabled(), core.is_anomaly_check_nan_enabled())
        core.set_anomaly_enabled(mode, check_nan)

    def __enter__(self) -> None:
        """Stay as set."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        core.set_anomaly_enabled(*self._before)


class detect_anomaly:  # noqa: N801 - torch's name
    """Searches for anomalies inside a ``with`` block.

    Parameters
    ----------
    check_nan
        Whether NaN in a gradient is an error.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((core.is_anomaly_enabled(), core.is_anomaly_check_nan_enabled()))
        core.set_anomaly_enabled(True, self._check_nan)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        core.set_anomaly_enabled(*self._before.pop())
