# SPDX-License-Identifier: MIT
"""Time as an argument, and the pace of cameras that have no clock of their own."""

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


class Pace:
    """Says when the next picture is due. One that was missed is skipped and not made up for."""

    def __init__(self, period_s: float, clock: Clock) -> None:
        self._period_ns = round(period_s * 1e9)
        self._clock = clock
        self._due_ns: int | None = None

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the next due time and return it (CLOCK_MONOTONIC); None after `timeout_s`."""
        now = self._clock.monotonic_ns()
        if self._due_ns is None:
            self._due_ns = now
        elif now - self._due_ns > self._period_ns:
            self._due_ns += (now - self._due_ns) // self._period_ns * self._period_ns
        wait_s = (self._due_ns - now) / 1e9
        if wait_s > timeout_s:
            self._clock.sleep(timeout_s)
            return None
        if wait_s > 0:
            self._clock.sleep(wait_s)
        due = self._due_ns
        self._due_ns += self._period_ns
        return due
