# SPDX-License-Identifier: MIT
"""When a viewer that reads nothing any more is disconnected. Pure: no clock, no socket.

See docs/decisions/0003-when-a-viewer-is-disconnected.md.
"""

from __future__ import annotations

from dataclasses import dataclass

SILENT_S = 10.0
"""A peer that acknowledged nothing for so long has left the network, or its machine is off."""
NEVER_READ_S = 20.0
PAUSED_S = 60.0
HALF_CLOSED_S = 5.0
LEAST_S = HALF_CLOSED_S
"""Nobody is disconnected sooner."""
HAS_READ_BYTES = 512 * 1024
"""More than fits into the buffers of a connection whose client never reads: that one has read."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a viewer stands that was sent nothing for `quiet_s`."""

    quiet_s: float
    blocked: bool
    """It takes no byte."""
    silent: bool
    """Its kernel has acknowledged nothing of what is on the way for SILENT_S."""
    half_closed: bool
    """It will send no more, as one that has left."""
    taken_bytes: int


def gave_up(standing: Standing, period_s: float) -> str:
    """Return why a viewer is disconnected, nothing while it may stay.

    While frames flow, the next of them tells a half-closed client from one that has left; while none do,
    nothing can.
    """
    if standing.half_closed and standing.quiet_s >= HALF_CLOSED_S + 3 * period_s:
        return "closed its side of the connection"
    if not standing.blocked:
        return ""
    if standing.silent and standing.quiet_s >= SILENT_S:
        return f"its machine has not responded for {SILENT_S:g} s"
    if standing.taken_bytes <= HAS_READ_BYTES and standing.quiet_s >= NEVER_READ_S:
        return f"read nothing for {NEVER_READ_S:g} s"
    return f"stopped reading for {PAUSED_S:g} s" if standing.quiet_s >= PAUSED_S else ""
