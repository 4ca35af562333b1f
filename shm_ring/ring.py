# SPDX-License-Identifier: MIT
"""The ring: one writer publishes, any number of readers take the latest. Loss is not an error."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass

from shm_ring import layout
from shm_ring.doorbell import Doorbell
from shm_ring.errors import TooBigError, WriterAliveError
from shm_ring.segment import Segment


@dataclass(frozen=True, slots=True)
class Published:
    """What one publish put into the ring, copied out of it."""

    sequence: int
    epoch: int
    facts: bytes
    payload: bytes


class RingWriter:
    """The one writer of a ring. For one thread of the process that writes it."""

    def __init__(self, segment: Segment, doorbells: Sequence[Doorbell] = ()) -> None:
        """Attach as the writer, and go on with the sequence where the last one ended.

        Raises:
            WriterAliveError: another process is the writer.
        """
        self._segment = segment
        self._geometry = segment.geometry
        self._hints = segment.hints
        self._doorbells = doorbells
        if not _try_lock(segment.descriptor, fcntl.LOCK_EX, layout.WRITER_AT, 1):
            raise WriterAliveError(f"process {self._hints[layout.WRITER_PID]} writes this ring; end it first")
        # Nobody else writes now, and the lock just taken orders this after the last writer's stores.
        newest, self._head = max(
            (self._valid_sequence(slot), slot) for slot in range(self._geometry.slot_count)
        )
        self._next_sequence = newest + 1
        self._epoch = (self._hints[layout.EPOCH] + 1) & layout.WORD_MASK
        self._hints[layout.HEAD_SLOT] = self._head
        self._hints[layout.EPOCH] = self._epoch
        self._hints[layout.WRITER_PID] = os.getpid()

    def _valid_sequence(self, slot: int) -> int:
        at = self._geometry.slot_at(slot)
        valid, _, sequence, _, _ = layout.SLOT_HEADER.unpack_from(self._segment.map, at)
        return int(sequence) if valid else 0

    @property
    def empty(self) -> bool:
        """Whether nothing was ever published into this ring, by this writer or an earlier one."""
        return self._hints[layout.PUBLISHES] == 0

    def publish(self, payload: bytes, facts: bytes = b"") -> int | None:
        """Put `payload` and up to 32 bytes of `facts` into the ring, and ring the doorbells.

        Returns the sequence, or None where every slot but the newest was being read: it was counted
        and dropped, and the gap in the sequence tells.

        Raises:
            TooBigError: the payload fits no slot; it was counted and dropped.
            ValueError: there are more than 32 bytes of facts.
        """
        if len(facts) > layout.FACTS_BYTES:
            raise ValueError(f"expected up to {layout.FACTS_BYTES} bytes of facts, got {len(facts)}")
        sequence = self._next_sequence
        self._next_sequence += 1
        if len(payload) > self._geometry.slot_bytes:
            self._count(layout.DROPPED_TOO_BIG)
            raise TooBigError(len(payload), self._geometry.slot_bytes)
        slot = self._lock_free_slot()
        if slot is None:
            self._count(layout.DROPPED_BUSY)
            return None
        try:
            self._fill(slot, sequence, payload, facts)
        finally:
            self._unlock(slot)
        self._head = slot
        self._hints[layout.HEAD_SLOT] = slot
        self._count(layout.PUBLISHES)
        for doorbell in self._doorbells:
            doorbell.ring()
        return sequence

    def _lock_free_slot(self) -> int | None:
        count, stride = self._geometry.slot_count, self._geometry.slot_stride
        for step in range(1, count):
            slot = (self._head + step) % count
            at = self._geometry.slot_at(slot)
            if _try_lock(self._segment.descriptor, fcntl.LOCK_EX, at, stride):
                return slot
        return None

    def _fill(self, slot: int, sequence: int, payload: bytes, facts: bytes) -> None:
        memory, at = self._segment.map, self._geometry.slot_at(slot)
        valid, header = layout.VALID.size, layout.SLOT_HEADER.size
        body = at + header
        memory[at : at + valid] = layout.VALID.pack(0)
        memory[at : at + header] = layout.SLOT_HEADER.pack(0, self._epoch, sequence, len(payload), facts)
        memory[body : body + len(payload)] = payload
        memory[at : at + valid] = layout.VALID.pack(1)

    def _unlock(self, slot: int) -> None:
        at, stride = self._geometry.slot_at(slot), self._geometry.slot_stride
        fcntl.lockf(self._segment.descriptor, fcntl.LOCK_UN, stride, at)

    def _count(self, hint: int) -> None:
        self._hints[hint] = (self._hints[hint] + 1) & layout.WORD_MASK


class RingReader:
    """A reader of a ring. For one thread of its process, which must not be the writer's process."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._geometry = segment.geometry

    @property
    def publishes(self) -> int:
        """A counter that moves whenever something was published: the writer's heartbeat."""
        return self._segment.hints[layout.PUBLISHES]

    @property
    def dropped_busy(self) -> int:
        """How many payloads were dropped because no slot was free."""
        return self._segment.hints[layout.DROPPED_BUSY]

    @property
    def dropped_too_big(self) -> int:
        """How many payloads were dropped because they fit no slot."""
        return self._segment.hints[layout.DROPPED_TOO_BIG]

    def latest(self, after: int = 0) -> Published | None:
        """Return the newest whole payload with a sequence above `after`, or None. Never waits."""
        head = self._segment.hints[layout.HEAD_SLOT] % self._geometry.slot_count
        found = self._copy(head, after)
        if found is not None:
            return found
        others = (slot for slot in range(self._geometry.slot_count) if slot != head)
        newer = [(sequence, slot) for slot in others if (sequence := self._sequence(slot)) > after]
        for _, slot in sorted(newer, reverse=True):
            found = self._copy(slot, after)
            if found is not None:
                return found
        return None

    def _sequence(self, slot: int) -> int:
        """Return the sequence in a slot, 0 where it is busy or invalid."""
        at, size = self._geometry.slot_at(slot), layout.SLOT_HEADER.size
        if not _try_lock(self._segment.descriptor, fcntl.LOCK_SH, at, self._geometry.slot_stride):
            return 0
        try:
            header = self._segment.map[at : at + size]
        finally:
            fcntl.lockf(self._segment.descriptor, fcntl.LOCK_UN, self._geometry.slot_stride, at)
        valid, _, sequence, _, _ = layout.SLOT_HEADER.unpack(header)
        return int(sequence) if valid else 0

    def _copy(self, slot: int, after: int) -> Published | None:
        """Return what a slot holds if it is whole and newer than `after`."""
        memory, at = self._segment.map, self._geometry.slot_at(slot)
        stride, body = self._geometry.slot_stride, at + layout.SLOT_HEADER.size
        if not _try_lock(self._segment.descriptor, fcntl.LOCK_SH, at, stride):
            return None
        try:
            valid, epoch, sequence, length, facts = layout.SLOT_HEADER.unpack_from(memory, at)
            if not valid or sequence <= after:
                return None
            return Published(sequence, epoch, facts, memory[body : body + length])
        finally:
            fcntl.lockf(self._segment.descriptor, fcntl.LOCK_UN, stride, at)


def _try_lock(descriptor: int, kind: int, start: int, length: int) -> bool:
    """Lock bytes of the segment, or return False where another process holds them. Never waits."""
    try:
        fcntl.lockf(descriptor, kind | fcntl.LOCK_NB, length, start)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the kernel likes: fcntl(2)
        return False
    return True
