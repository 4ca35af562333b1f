# SPDX-License-Identifier: MIT
"""What a viewer is due, given how fresh the newest frame is. Pure: no clock, no socket."""

from __future__ import annotations

from enum import Enum

PLACEHOLDER_EVERY_S = 1.0
"""Clients with the least patience give up after three seconds without a part (motion)."""


class Freshness(Enum):
    """What a viewer is due now, and what a part is."""

    LIVE = "live"
    """The newest frame, which it was not sent yet."""
    REPEAT = "repeat"
    """The frame that it has, once more: Chromium and WebKit show a frame when the next one starts."""
    PLACEHOLDER = "placeholder"
    """A picture that says that there is no live video: the newest frame has grown stale."""
    WAIT = "wait"
    """Nothing: it has all there is."""


def due(
    *,
    stale: bool,
    newest: int,
    sent: int,
    repeated: bool,
    quiet_s: float,
    period_s: float,
    placeholder: int,
    placeholder_sent: int,
) -> Freshness:
    """Return what a viewer is due.

    `stale`: the newest frame is too old to be shown, or there is none. `newest` and `sent` are
    sequences, 0 for none; `repeated` tells whether `sent` was sent twice; `quiet_s` is how long the
    viewer has been sent nothing. `placeholder` counts those that were drawn, `placeholder_sent` is the
    last that it was sent.
    """
    if stale:
        return Freshness.PLACEHOLDER if placeholder > placeholder_sent else Freshness.WAIT
    if newest > sent:
        return Freshness.LIVE
    if not repeated and quiet_s >= repeat_after_s(period_s):
        return Freshness.REPEAT
    return Freshness.WAIT


def repeat_after_s(period_s: float) -> float:
    """Return after how long without a new frame the last one is repeated, in seconds."""
    return max(0.25, 1.5 * period_s)


def stale_after_s(period_s: float, asked_s: float | None = None) -> float:
    """Return the age from which a frame is no longer shown as live, in seconds: as asked, or by itself."""
    return max(1.0, 3 * period_s) if asked_s is None else asked_s
