# SPDX-License-Identifier: MIT
"""An offer: a frame as viewers are sent it, joined once for all of them."""

from __future__ import annotations

from server_proc.live.freshness import Freshness
from server_proc.live.multipart import part, part_facts
from shm_ring.frame import Frame


class Offer:
    """The newest frame and its part. For the fan-out's thread."""

    __slots__ = ("frame", "plain", "sequence")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.sequence = frame.sequence
        self.plain = part(frame)

    def age_s(self, now_s: float) -> float:
        """Return how long ago it was captured, in seconds of CLOCK_MONOTONIC."""
        return now_s - self.frame.facts.captured_ns / 1e9

    def with_facts(self, freshness: Freshness, now_s: float) -> bytes:
        """Return the part with the headers for those who asked for them: they differ at each send."""
        age_ms = max(0, round(self.age_s(now_s) * 1000))
        return part(self.frame, part_facts(self.frame, freshness.value, age_ms))
