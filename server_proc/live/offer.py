# SPDX-License-Identifier: MIT
"""An offer: a frame in the form that viewers get, joined once for all of them."""

from __future__ import annotations

from enum import Enum

from server_proc.live.freshness import Freshness
from server_proc.live.multipart import advanced_part, part, part_facts
from shm_ring.frame import Frame


class PartForm(Enum):
    """The bytes that a client reads best."""

    PLAIN = "plain"
    """What every client understands."""
    FACTS = "facts"
    """With more facts about the frame in the part's head."""
    ADVANCED = "advanced"
    """The next part's head goes out with the frame before it: Chromium shows a frame when it sees that."""


_PLAIN, _FACTS, _ADVANCED = PartForm  # looked up once, not per frame and viewer


class Offer:
    """A frame, or a placeholder for one, and its parts. For the fan-out's thread."""

    __slots__ = ("_advanced", "captured_ns", "frame", "plain", "sequence")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.sequence = frame.sequence
        self.captured_ns = frame.facts.captured_ns
        self.plain = b""
        """Its part in the form that every client understands, once joined."""
        self._advanced = b""

    def join(self) -> None:
        """Join the part that most viewers get. Not called while there is no guest."""
        if not self.plain:
            self.plain = part(self.frame)

    def age_s(self, now_s: float) -> float:
        """Return how long ago it was captured, in seconds of CLOCK_MONOTONIC."""
        return now_s - self.captured_ns / 1e9

    def part(self, form: PartForm, freshness: Freshness, now_s: float) -> bytes:
        """Return the part in a form; the one with facts differs at each send."""
        if form is _PLAIN:
            self.join()
            return self.plain
        if form is _ADVANCED:
            if not self._advanced:
                self._advanced = advanced_part(self.frame)
            return self._advanced
        age_ms = max(0, round(self.age_s(now_s) * 1000))
        return part(self.frame, part_facts(self.frame, freshness.value, age_ms))
