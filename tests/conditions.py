# SPDX-License-Identifier: MIT
"""Waiting for conditions, never for time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


def eventually(
    condition: Callable[[], _Result], within_s: float = 10.0, what: str = "the condition"
) -> _Result:
    """Return the first truthy value of `condition`; fail if there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"{what} did not come true within {within_s} s"
        time.sleep(0.02)
