# SPDX-License-Identifier: MIT
"""What a viewer is due, given how fresh the newest frame is. Pure: no clock, no socket."""

from __future__ import annotations

from enum import Enum


class Freshness(Enum):
    """What a viewer is due now."""

    LIVE = "live"
    """The newest frame, which it was not sent yet."""
    REPEAT = "repeat"
    """The frame that it has, once more: Chromium and WebKit show a frame when the next one starts."""
    WAIT = "wait"
    """Nothing: it has all there is, or what there is has grown stale."""


def due(
    *, newest: int, sent: int, repeated: bool, age_s: float, quiet_s: float, period_s: float
) -> Freshness:
    """Return what a viewer is due.

    `newest` and `sent` are sequences, 0 for none sent; `repeated` tells whether `sent` was sent twice;
    `age_s` is the age of the newest; `quiet_s` is how long the viewer has been sent nothing.
    """
    if age_s >= stale_after_s(period_s):
        return Freshness.WAIT  # a person may be driving a car by it
    if newest > sent:
        return Freshness.LIVE
    if not repeated and quiet_s >= repeat_after_s(period_s):
        return Freshness.REPEAT
    return Freshness.WAIT


def gave_up(*, blocked: bool, half_closed: bool, quiet_s: float, period_s: float) -> bool:
    """Tell whether a viewer is let go, which was sent nothing for `quiet_s`.

    `blocked`: it takes no byte. `half_closed`: it will send no more, as one that has left; while
    frames flow, the next of them tells those two apart, and while none do, nothing can.
    See docs/decisions/0003-when-a-viewer-is-let-go.md.
    """
    if half_closed and quiet_s >= 5.0 + 3 * period_s:
        return True
    return blocked and quiet_s >= 60.0


def repeat_after_s(period_s: float) -> float:
    """Return after how long without a new frame the last one is repeated, in seconds."""
    return max(0.25, 1.5 * period_s)


def stale_after_s(period_s: float) -> float:
    """Return the age from which a frame is stale and no longer shown to anybody, in seconds."""
    return max(1.0, 3 * period_s)
