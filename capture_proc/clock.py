# SPDX-License-Identifier: MIT
"""Time as an argument."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The clocks of the machine; tests pass one that moves when told."""

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC."""

    def read_ns(self, clock_id: int) -> int:
        """Return the clock `clock_id`: time.CLOCK_REALTIME, time.CLOCK_BOOTTIME …"""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""


class SystemClock:
    """The machine's own clocks."""

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def read_ns(self, clock_id: int) -> int:
        """Return the clock `clock_id`."""
        return time.clock_gettime_ns(clock_id)

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        time.sleep(seconds)
