# SPDX-License-Identifier: MIT
"""The time from frame to frame that a slow camera keeps to. Pure: times are arguments.

In the dark a camera exposes for longer than its rate allows, and gives fewer frames than it says. Limits of
time then have to follow, or a healthy camera is restarted and its picture flickers. A dying one must not buy
itself time so: only a rhythm counts that several frames in a row have kept.
"""

from __future__ import annotations

from collections import deque

_INTERVALS = 5
_REGULAR = 2.0
"""Intervals that differ by a larger factor are no rhythm."""
_SLOWER = 1.5
"""An interval that is longer by less than this is that of the camera's own rate."""


class Rhythm:
    """What a camera keeps to. For the thread of the camera."""

    def __init__(self, nominal_s: float) -> None:
        """`nominal_s` is the period that the camera says it has."""
        self.period_s = nominal_s
        """The camera's own period, or the longer one that its last frames have kept."""
        self._nominal_s = nominal_s
        self._last_s: float | None = None
        self._intervals_s: deque[float] = deque(maxlen=_INTERVALS)

    def frame(self, now_s: float) -> None:
        """Take note of a new frame."""
        if self._last_s is not None:
            self._intervals_s.append(now_s - self._last_s)
        self._last_s = now_s
        least_s, most_s = min(self._intervals_s, default=0.0), max(self._intervals_s, default=0.0)
        is_rhythm = len(self._intervals_s) == _INTERVALS and most_s <= _REGULAR * least_s
        # the shortest one: a camera that slows down more and more is given what it kept to for certain
        self.period_s = least_s if is_rhythm and least_s > _SLOWER * self._nominal_s else self._nominal_s
