# SPDX-License-Identifier: MIT
"""The outlook: what the fan-out lets the web side know, which touches no ring."""

from __future__ import annotations

from dataclasses import dataclass

from server_proc.live.viewer import ViewerFacts
from shm_ring.board import Reading
from shm_ring.frame import Frame
from shm_ring.status import CaptureStatus, SupervisorStatus


@dataclass(frozen=True, slots=True)
class Outlook:
    """All that the web side may know, as it was at one moment."""

    frame: Frame | None = None
    period_s: float = 0.05
    stale_after_s: float = 1.0
    """From which age on a frame is not shown as live."""
    viewers: tuple[ViewerFacts, ...] = ()
    """Who watches; their counts are a second old at most."""
    capture: Reading[CaptureStatus] | None = None
    supervisor: Reading[SupervisorStatus] | None = None
    dropped_busy: int = 0
    dropped_too_big: int = 0
