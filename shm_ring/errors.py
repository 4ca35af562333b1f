# SPDX-License-Identifier: MIT
"""What can go wrong with a ring."""

from __future__ import annotations


class RingError(Exception):
    """Base of all errors of this package."""


class SegmentError(RingError, OSError):
    """The shared memory cannot be created or mapped, or is not what was expected."""


class WriterAliveError(RingError, BlockingIOError):
    """Another process is the writer of this ring and has not ended."""


class TooBigError(RingError, ValueError):
    """A payload does not fit a slot. It was counted and dropped; the ring continues."""

    def __init__(self, payload_bytes: int, slot_bytes: int) -> None:
        super().__init__(f"{payload_bytes} bytes do not fit a slot of {slot_bytes}")
        self.payload_bytes = payload_bytes
        self.slot_bytes = slot_bytes


class DamagedSlotError(RingError, ValueError):
    """A slot's header was not made by a writer. Something else writes into this memory."""


class StatusError(RingError, ValueError):
    """A status cannot be written on a board, or what was read from one is no such status."""
