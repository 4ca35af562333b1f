# SPDX-License-Identifier: MIT
"""A frame: one JPEG and its facts, as the frames ring carries it."""

from __future__ import annotations

import struct
from typing import NamedTuple

from shm_ring.ring import Published

_FACTS = struct.Struct("=qqII8x")


class FrameFacts(NamedTuple):
    """When a frame was captured and how large its picture is."""

    captured_ns: int
    """CLOCK_MONOTONIC."""
    captured_unix_ns: int
    """The wall clock, which can be set back: only sequences are a promise."""
    width_px: int
    height_px: int

    def pack(self) -> bytes:
        """Return the facts as the ring carries them."""
        return _FACTS.pack(*self)


class Frame(NamedTuple):
    """One JPEG with its sequence and facts. Never changed after it was read."""

    sequence: int
    facts: FrameFacts
    jpeg: bytes

    @classmethod
    def of(cls, published: Published) -> Frame:
        """Return the frame that was published."""
        facts = FrameFacts._make(_FACTS.unpack(published.facts))
        return cls(published.sequence, facts, published.payload)
