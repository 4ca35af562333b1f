# SPDX-License-Identifier: MIT
"""The pace of cameras that have no clock of their own."""

from __future__ import annotations

from capture_proc.clock import Clock


class Pace:
    """Says when the next picture is due. One that was missed is skipped and not made up for.

    For the thread of its camera.
    """

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
