"""What the tests of the array API standard share: the reference namespace, where it is installed."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def strict() -> Any:
    """The namespace that does what the standard says and nothing else."""
    namespace = pytest.importorskip("array_api_strict")
    namespace.set_array_api_strict_flags(api_version="2024.12")
    return namespace
