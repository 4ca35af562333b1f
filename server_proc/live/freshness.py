# SPDX-License-Identifier: MIT
"""How fresh the picture is, and what a viewer is due because of it. Pure: no clock, no socket."""

from __future__ import annotations

from enum import Enum


class Freshness(Enum):
    """What a viewer is due now."""

    LIVE = "live"
    """The newest frame, which it was not sent yet."""
    REPEAT = "repeat"
    """The frame that it has, once more: Chromium and WebKit show a frame when the next one starts."""
    WAIT = "wait"
    """Nothing."""


def due(*, newest: int, sent: int, repeated: bool, quiet_s: float, period_s: float) -> Freshness:
    """Return what a viewer is due.

    `newest` and `sent` are sequences, 0 for none; `repeated` tells whether `sent` was sent twice;
    `quiet_s` is how long the viewer has been sent nothing.
    """
    if newest > sent:
        return Freshness.LIVE
    if sent and not repeated and quiet_s >= repeat_after_s(period_s):
        return Freshness.REPEAT
    return Freshness.WAIT


def repeat_after_s(period_s: float) -> float:
    """Return after how long without a new frame the last one is repeated, in seconds."""
    return max(0.25, 1.5 * period_s)


def stale_after_s(period_s: float) -> float:
    """Return the age from which a frame is no longer live, in seconds."""
    return max(1.0, 3 * period_s)
