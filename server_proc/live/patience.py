# SPDX-License-Identifier: MIT
"""When a viewer that has stopped reading is disconnected. Pure: no clock, no socket.

See docs/decisions/0003-when-a-viewer-is-disconnected.md.
"""

from __future__ import annotations

from dataclasses import dataclass

SILENT_S = 10.0
"""A peer that acknowledges nothing for this long has left the network, or its machine is off."""
NEVER_READ_S = 20.0
PAUSED_S = 60.0
HALF_CLOSED_S = 5.0
LEAST_S = HALF_CLOSED_S
"""No viewer is disconnected sooner."""
HAS_READ_BYTES = 512 * 1024
"""More than fits into the buffers of a connection: a client that took this much has read."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a viewer that has been sent nothing for `quiet_s`."""

    quiet_s: float
    blocked: bool
    """The kernel accepts no byte for it."""
    silent: bool
    """Its machine has acknowledged nothing for SILENT_S, although bytes are on the way."""
    half_closed: bool
    """It will send no more, like a client that has left."""
    taken_bytes: int


def gave_up(standing: Standing, period_s: float) -> str:
    """Return why a viewer is disconnected, empty while it may stay.

    While frames flow, the next one shows whether a half-closed client has left; while none do, nothing can.
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
