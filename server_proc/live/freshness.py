# SPDX-License-Identifier: MIT
"""What a viewer is due, given whether the newest frame is live. Pure: no clock, no socket."""

from __future__ import annotations

from enum import Enum

EVERY_S = 1.0
"""The longest time between two parts: the least patient client, motion, gives up after three seconds."""
_FIRST_REPEAT_S = 0.25


class Freshness(Enum):
    """What a viewer is due now, and what a part is."""

    LIVE = "live"
    """The newest frame, which the viewer has not been sent yet."""
    REPEAT = "repeat"
    """A frame once more: Chromium and WebKit show a frame when the next one starts."""
    PLACEHOLDER = "placeholder"
    """A picture that says that there is no live video, because the newest frame is stale."""
    WAIT = "wait"
    """Nothing: the viewer is up to date."""


def due(
    *,
    live: bool,
    is_new: bool,
    last: Freshness,
    quiet_s: float,
    period_s: float,
    wants_placeholder: bool = True,
    placeholder: int = 0,
    placeholder_sent: int = 0,
) -> Freshness:
    """Return what a viewer is due.

    `live`: whether there is a live picture; `is_new`: whether the viewer was not sent the newest frame yet;
    `last` is what it was sent last, and `quiet_s` how long ago. `placeholder` counts those that were drawn,
    `placeholder_sent` is the last that it was sent.
    """
    if not live:
        if wants_placeholder:
            return Freshness.PLACEHOLDER if placeholder > placeholder_sent else Freshness.WAIT
        return Freshness.REPEAT if is_new or quiet_s >= EVERY_S else Freshness.WAIT
    if is_new:
        return Freshness.LIVE
    after_s = repeat_after_s(period_s) if last is Freshness.LIVE else EVERY_S
    return Freshness.REPEAT if quiet_s >= after_s else Freshness.WAIT


def repeat_after_s(period_s: float) -> float:
    """Return after how long without a new frame the last one is repeated first, in seconds."""
    return min(EVERY_S, max(_FIRST_REPEAT_S, 1.5 * period_s))


def stale_after_s(period_s: float, asked_s: float | None = None) -> float:
    """Return the age in seconds at which a frame no longer counts as live: as asked, or by default.

    Never less than two frame periods: otherwise a healthy camera would be called dead between its frames.
    """
    return max(1.0, 3 * period_s) if asked_s is None else max(asked_s, 2 * period_s)
