# SPDX-License-Identifier: MIT
"""Headers that no writer made: they are refused or passed over with a reason, and nothing false is read.

Whatever is damaged, the next frames reach readers. Sequences go back only if all record of them is lost.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from shm_ring import layout
from shm_ring.errors import SegmentError
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment
from tests.ring_faults import campaign
from tests.ring_faults.campaign import rounds, tell

FUZZED = rounds(1_000, 10_000)
SLOTS, SLOT_BYTES = 4, 1000
GEOMETRY = layout.Geometry(SLOTS, SLOT_BYTES)


@pytest.mark.parametrize(
    ("at", "written", "reason"),
    [
        (0, b"RINGCASU", "does not hold a complete ring"),
        (
            8,
            (1).to_bytes(4, "little"),
            "expected a ring of layout 3, got layout 1; restart the whole service",
        ),
        (12, (5).to_bytes(4, "little"), "the header of the ring is damaged; restart the whole service"),
        (24, bytes(4), "the header of the ring is damaged; restart the whole service"),
        (
            8,
            layout.Geometry(9, 1000).pack(),
            "slots in 40960 bytes of shared memory, got 9 slots in 20480 bytes",
        ),
        (8, layout.Geometry(1, 12 << 10).pack(), "expected a ring of at least 2 slots"),
    ],
    ids=["magic", "version", "slots", "seal", "size", "one slot"],
)
def test_a_header_of_another_ring_is_refused_with_its_reason(
    new_segment: Callable[..., int], at: int, written: bytes, reason: str
) -> None:
    descriptor = new_segment(slot_count=SLOTS, slot_bytes=SLOT_BYTES)
    os.pwrite(descriptor, written, at)
    with pytest.raises(SegmentError, match=reason):
        Segment(descriptor)


def test_fuzzed_headers_are_refused_or_change_nothing(new_segment: Callable[..., int]) -> None:
    """Of the header page only what is sealed counts, and the hints are only hints."""
    descriptor, chance = new_segment(slot_count=SLOTS, slot_bytes=SLOT_BYTES), campaign.chance("ring headers")
    RingWriter(Segment(descriptor)).publish(b"whole")
    good = os.pread(descriptor, layout.SLOTS_AT, 0)
    refused = 0
    for _ in range(FUZZED):
        os.pwrite(
            descriptor,
            chance.randbytes(chance.choice((1, 4, 16))),
            chance.choice((0, chance.randrange(layout.SEQUENCE_AT + layout.SEQUENCE_BYTES))),
        )
        try:
            segment = Segment(descriptor)
        except SegmentError:
            refused += 1
        else:
            assert segment.geometry == GEOMETRY
            found = RingReader(segment).latest()
            assert found is None or found.payload == b"whole"
        os.pwrite(descriptor, good, 0)
    tell(f"{refused} of {FUZZED} fuzzed headers refused, the others changed nothing")
    assert 0 < refused < FUZZED


def test_fuzzed_slot_headers_are_passed_over_with_a_reason(
    new_segment: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    """A reader never gets what was not published whole, and the next writer's sequences are higher."""
    descriptor, chance = new_segment(slot_count=SLOTS, slot_bytes=SLOT_BYTES), campaign.chance("slot headers")
    published: dict[int, bytes] = {}
    passed_over = misleading = 0
    stays, last = RingReader(Segment(descriptor)), 0
    for _ in range(FUZZED):
        writer = RingWriter(Segment(descriptor))
        for _ in range(chance.randrange(1, 4)):
            payload = chance.randbytes(chance.randrange(SLOT_BYTES + 1))
            sequence = writer.publish(payload)
            assert sequence == max(published, default=0) + 1
            published[sequence] = payload
        newest = stays.latest(last)
        assert newest is not None
        last = newest.sequence
        for slot in chance.sample(range(SLOTS), chance.randrange(1, SLOTS + 1)):
            before = _header(descriptor, GEOMETRY.slot_at(slot))
            _fuzz(descriptor, slot, chance)
            after = _header(descriptor, GEOMETRY.slot_at(slot))
            looks_right = 0 < layout.SlotHeader._make(layout.SLOT_HEADER.unpack(after)).length <= SLOT_BYTES
            misleading += after != before and looks_right
        found = RingReader(Segment(descriptor)).latest()
        assert found is None or published[found.sequence] == found.payload
        passed_over += found is None
    tell(f"{passed_over} of {FUZZED} readers found their slot damaged, the others got a whole frame")
    assert 0 < passed_over < FUZZED
    assert misleading > 0, "without a seal these would have been taken for frames"
    assert "is damaged: expected up to 1000 bytes under the seal" in caplog.text
    assert "it is skipped until it is written again (logged once)" in caplog.text


@pytest.mark.parametrize(
    "damage", [bytes(layout.PAYLOAD_AT), b"\xff" * layout.PAYLOAD_AT], ids=["zeros", "ones"]
)
def test_sequences_rise_when_every_slot_was_damaged(new_segment: Callable[..., int], damage: bytes) -> None:
    """They began at 1 again, and a server that had seen a million frames showed none of the next million."""
    descriptor = new_segment(slot_count=SLOTS, slot_bytes=SLOT_BYTES)
    reader = RingReader(Segment(descriptor))
    last = _publish_many(descriptor, reader)
    for slot in range(SLOTS):
        os.pwrite(descriptor, damage, GEOMETRY.slot_at(slot))
    assert RingWriter(Segment(descriptor)).publish(b"next") == last + 1
    found = reader.latest(last)
    assert found is not None
    assert found.payload == b"next"


def test_a_damaged_sequence_is_no_sequence(new_segment: Callable[..., int]) -> None:
    """A flipped bit would be a leap by up to 2**63, and a browser is exact only up to 2**53."""
    descriptor = new_segment(slot_count=SLOTS, slot_bytes=SLOT_BYTES)
    last = _publish_many(descriptor, RingReader(Segment(descriptor)))
    for bit in range(8 * layout.SEQUENCE_BYTES):
        _flip(descriptor, layout.SEQUENCE_AT, bit)
        last += 1
        assert RingWriter(Segment(descriptor)).publish(b"") == last


def test_no_reader_is_frozen_when_nothing_is_left_of_the_sequence(new_segment: Callable[..., int]) -> None:
    """All slots and the sequence in the header are damaged: sequences go back, and pictures still flow."""
    descriptor = new_segment(slot_count=SLOTS, slot_bytes=SLOT_BYTES)
    reader = RingReader(Segment(descriptor))
    last = _publish_many(descriptor, reader)
    _flip(descriptor, layout.SEQUENCE_AT, 0)
    for slot in range(SLOTS):
        os.pwrite(descriptor, bytes(layout.PAYLOAD_AT), GEOMETRY.slot_at(slot))
    writer = RingWriter(Segment(descriptor))
    assert reader.latest(last) is None
    for sequence in (1, 2):
        assert writer.publish(b"%d" % sequence) == sequence
        found = reader.latest(last)
        assert found is not None
        assert found.payload == b"%d" % sequence
        last = found.sequence
        assert reader.latest(last) is None


def _publish_many(descriptor: int, reader: RingReader) -> int:
    """Let a writer publish more than one round, and `reader` read it; return the last sequence."""
    writer = RingWriter(Segment(descriptor))
    for _ in range(3 * SLOTS):
        writer.publish(b"before")
    found = reader.latest()
    assert found is not None
    return found.sequence


def _flip(descriptor: int, at: int, bit: int) -> None:
    where = at + bit // 8
    os.pwrite(descriptor, bytes([os.pread(descriptor, 1, where)[0] ^ 1 << bit % 8]), where)


def _fuzz(descriptor: int, slot: int, chance: random.Random) -> None:
    at = GEOMETRY.slot_at(slot)
    kind = chance.randrange(4)
    if kind == 0:  # a flipped bit
        _flip(descriptor, at, chance.randrange(8 * layout.PAYLOAD_AT))
    elif kind == 1:  # noise
        os.pwrite(descriptor, chance.randbytes(layout.PAYLOAD_AT), at)
    elif kind == 2:  # the header of another slot without its seal
        other = os.pread(
            descriptor, layout.SLOT_HEADER.size, GEOMETRY.slot_at((slot + 1) % SLOTS) + layout.SEAL.size
        )
        os.pwrite(descriptor, other, at + layout.SEAL.size)
    else:  # a seal that fits a length that no slot has
        header = layout.SlotHeader(1, 1 << 40, SLOT_BYTES + chance.randrange(1, 1 << 31), b"").pack()
        os.pwrite(descriptor, layout.seal_of(header) + header, at)


def _header(descriptor: int, at: int) -> bytes:
    return os.pread(descriptor, layout.SLOT_HEADER.size, at + layout.SEAL.size)
