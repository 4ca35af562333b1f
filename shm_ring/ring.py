# SPDX-License-Identifier: MIT
"""The ring: one writer publishes, any number of readers take the latest. Loss is not an error."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Sequence
from typing import NamedTuple

from shm_ring import layout
from shm_ring.doorbell import Doorbell
from shm_ring.errors import DamagedSlotError, SegmentError, TooBigError, WriterAliveError
from shm_ring.segment import Segment

_log = logging.getLogger(__name__)

_HALF_OF_ALL_EPOCHS = 1 << 31


_SHARED_NOW = fcntl.LOCK_SH | fcntl.LOCK_NB
_HELD = (BlockingIOError, PermissionError)
"""Another process holds the lock: EAGAIN or EACCES (fcntl(2))."""


class Published(NamedTuple):
    """What one publish put into the ring, copied out of it."""

    sequence: int
    epoch: int
    facts: bytes
    payload: bytes


class RingWriter:
    """The one writer of a ring. For one thread of the process that writes it."""

    def __init__(self, segment: Segment, doorbells: Sequence[Doorbell] = ()) -> None:
        """Attach as the writer, and continue the sequence of the last one.

        Raises:
            WriterAliveError: another process is the writer.
            SegmentError: the segment is mapped for reading.
        """
        if not segment.writable:
            raise SegmentError("expected a writable segment for a writer, got one that is mapped for reading")
        self._segment = segment
        self._geometry = segment.geometry
        self._hints = segment.hints
        self._doorbells = doorbells
        if not _try_lock(segment.descriptor, fcntl.LOCK_EX, layout.WRITER_AT, 1):
            raise WriterAliveError(
                f"process {self._hints[layout.WRITER_PID]} is already writing this ring; end it first"
            )
        # Nobody else writes now, and the lock just taken orders this after the last writer's stores.
        newest, self._head = max(
            (self._sealed_sequence(slot), slot) for slot in range(self._geometry.slot_count)
        )
        self._sequence = max(newest, self._kept_sequence())
        self._epoch = (self._hints[layout.EPOCH] + 1) & layout.WORD_MASK
        self._hints[layout.HEAD_SLOT] = self._head
        self._hints[layout.EPOCH] = self._epoch
        self._hints[layout.WRITER_PID] = os.getpid()

    def _sealed_sequence(self, slot: int) -> int:
        try:
            header = _sealed_header(self._segment, slot, self._geometry.slot_at(slot))
        except DamagedSlotError as error:
            _log.warning("%s; it will be overwritten", error)
            return 0
        return header.sequence if header else 0

    def _kept_sequence(self) -> int:
        """Return the last sequence that a writer took; 0 if it is damaged or half stored."""
        kept = self._segment.sequence
        is_whole = kept[layout.SEQUENCE] ^ kept[layout.NOT_SEQUENCE] == layout.LONG_MASK
        return kept[layout.SEQUENCE] if is_whole else 0

    @property
    def slot_bytes(self) -> int:
        """The room for a payload."""
        return self._geometry.slot_bytes

    def publish(self, payload: bytes, facts: bytes = b"") -> int | None:
        """Put `payload` and up to 32 bytes of `facts` into the ring, and ring the doorbells.

        Returns the sequence, or None if every slot except the newest was being read: the payload is counted
        and dropped, which leaves a gap in the sequence.

        Raises:
            TooBigError: the payload fits no slot; it was counted and dropped.
            ValueError: there are more than 32 bytes of facts.
        """
        if len(facts) > layout.FACTS_BYTES:
            raise ValueError(f"expected up to {layout.FACTS_BYTES} bytes of facts, got {len(facts)}")
        sequence = self._take_sequence()
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

    def _take_sequence(self) -> int:
        """Return the next sequence; it is stored for the next writer before any reader can see it."""
        sequence = self._sequence = self._sequence + 1
        kept = self._segment.sequence
        kept[layout.SEQUENCE], kept[layout.NOT_SEQUENCE] = sequence, sequence ^ layout.LONG_MASK
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
        memory, seal_at = self._segment.map, self._geometry.slot_at(slot)
        header_at, payload_at = seal_at + layout.SEAL.size, seal_at + layout.PAYLOAD_AT
        header = layout.SlotHeader(self._epoch, sequence, len(payload), facts).pack()
        memory[seal_at:header_at] = layout.UNSEALED
        memory[header_at:payload_at] = header
        memory[payload_at : payload_at + len(payload)] = payload
        memory[seal_at:header_at] = layout.seal_of(header)

    def _unlock(self, slot: int) -> None:
        at, stride = self._geometry.slot_at(slot), self._geometry.slot_stride
        fcntl.lockf(self._segment.descriptor, fcntl.LOCK_UN, stride, at)

    def _count(self, hint: int) -> None:
        self._hints[hint] = (self._hints[hint] + 1) & layout.WORD_MASK


class RingReader:
    """A reader of a ring. For one thread of its process, which must not be the writer's process."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        geometry = segment.geometry
        self._slot_bytes = geometry.slot_bytes
        self._slots_at = tuple(geometry.slot_at(slot) for slot in range(geometry.slot_count))
        self._stride = geometry.slot_stride
        self._hints = segment.hints
        self._epoch: int | None = None
        """Of the last payload that was returned."""
        self._known_damaged: set[int] = set()

    @property
    def publishes(self) -> int:
        """A counter that moves whenever something was published: the writer's heartbeat."""
        return self._hints[layout.PUBLISHES]

    @property
    def dropped_busy(self) -> int:
        """How many payloads were dropped because no slot was free."""
        return self._hints[layout.DROPPED_BUSY]

    @property
    def dropped_too_big(self) -> int:
        """How many payloads were dropped because they fit no slot."""
        return self._hints[layout.DROPPED_TOO_BIG]

    def latest(self, after: int = 0) -> Published | None:
        """Return the newest whole payload with a sequence above `after`, or None. Never waits.

        After damage that took the sequence itself, the next writer starts with a lower one: a payload of a
        later writer than the last one returned is returned whatever its sequence is.

        Only the slot that the hint names is ever locked, so a reader blocks the writer in one slot at most,
        and readers + 2 slots are enough for a writer that drops nothing.
        """
        slot_count = len(self._slots_at)
        for _ in range(2 * slot_count):
            head = self._hints[layout.HEAD_SLOT]
            published = self._copy(head % slot_count, after)
            if published is not None or self._hints[layout.HEAD_SLOT] == head:
                return published
        return None

    def _copy(self, slot: int, after: int) -> Published | None:
        """Return what a slot holds if it is whole and new.

        Written flat: it runs once a frame with cold caches, where each function call costs microseconds.
        """
        at, descriptor, memory = self._slots_at[slot], self._segment.descriptor, self._segment.map
        try:
            fcntl.lockf(descriptor, _SHARED_NOW, self._stride, at)
        except _HELD:
            return None
        try:
            header = memory[at : at + layout.PAYLOAD_AT]
            seal, epoch, sequence, length, facts = layout.SLOT.unpack(header)
            if not seal:
                return None
            if seal != layout.seal_word(header[layout.SEAL.size :]) or length > self._slot_bytes:
                self._warn_of_damage(slot)
                return None
            if sequence <= after and not self._is_of_later_writer(epoch):
                return None
            payload = memory[at + layout.PAYLOAD_AT : at + layout.PAYLOAD_AT + length]
        finally:
            fcntl.lockf(descriptor, fcntl.LOCK_UN, self._stride, at)
        self._epoch = epoch
        return Published(sequence, epoch, facts, payload)

    def _warn_of_damage(self, slot: int) -> None:
        if slot in self._known_damaged:
            return
        self._known_damaged.add(slot)
        try:
            _sealed_header(self._segment, slot, self._slots_at[slot])
        except DamagedSlotError as error:
            _log.warning("%s; it is skipped until it is written again (logged once)", error)

    def _is_of_later_writer(self, epoch: int) -> bool:
        if self._epoch is None:
            return False
        return 0 < (epoch - self._epoch) & layout.WORD_MASK < _HALF_OF_ALL_EPOCHS  # the epoch may wrap


def _sealed_header(segment: Segment, slot: int, at: int) -> layout.SlotHeader | None:
    """Return the header of a slot that nobody can be writing now; None if it is not whole.

    Raises:
        DamagedSlotError: its seal does not match its header, or its length is more than a slot can hold.
    """
    header = segment.map[at : at + layout.PAYLOAD_AT]
    seal, epoch, sequence, length, facts = layout.SLOT.unpack(header)
    if not seal:
        return None
    expected = layout.seal_word(header[layout.SEAL.size :])
    if seal != expected or length > segment.geometry.slot_bytes:
        raise DamagedSlotError(
            f"slot {slot} of a ring is damaged: expected up to {segment.geometry.slot_bytes} bytes under the "
            f"seal {expected:#010x}, got {length} under {seal:#010x}"
        )
    return layout.SlotHeader(epoch, sequence, length, facts)


def _try_lock(descriptor: int, kind: int, start: int, length: int) -> bool:
    """Lock bytes of the segment, or return False if another process holds them. Never waits."""
    try:
        fcntl.lockf(descriptor, kind | fcntl.LOCK_NB, length, start)
    except _HELD:
        return False
    return True
