# SPDX-License-Identifier: MIT
"""Headers that no writer made: they are refused or passed over with a reason, and nothing false is read.

Where the newest slot is damaged, the next writer's sequence goes on from the newest that is left.
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
from tests.ring_faults.campaign import tell

FUZZED = 10_000
SLOTS, SLOT_BYTES = 4, 1000
GEOMETRY = layout.Geometry(SLOTS, SLOT_BYTES)


@pytest.mark.parametrize(
    ("at", "written", "reason"),
    [
        (0, b"RINGCASU", "holds no complete ring"),
        (
            8,
            (1).to_bytes(4, "little"),
            "expected a ring of layout 2, got layout 1; restart the whole service",
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
    descriptor, chance = new_segment(slot_count=SLOTS, slot_bytes=SLOT_BYTES), random.Random(11)
    RingWriter(Segment(descriptor)).publish(b"whole")
    good = os.pread(descriptor, layout.SLOTS_AT, 0)
    refused = 0
    for _ in range(FUZZED):
        os.pwrite(
            descriptor, chance.randbytes(chance.choice((1, 4, 16))), chance.choice((0, chance.randrange(160)))
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
    """A reader never gets what was not published whole, and the next writer goes on."""
    descriptor, chance = new_segment(slot_count=SLOTS, slot_bytes=SLOT_BYTES), random.Random(13)
    published: dict[int, bytes] = {}
    passed_over = misleading = 0
    for _ in range(FUZZED):
        writer = RingWriter(Segment(descriptor))
        for _ in range(chance.randrange(1, 4)):
            payload = chance.randbytes(chance.randrange(SLOT_BYTES + 1))
            sequence = writer.publish(payload)
            assert sequence is not None
            published[sequence] = payload
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
    assert "it is passed over until it is written anew (told once)" in caplog.text


def _fuzz(descriptor: int, slot: int, chance: random.Random) -> None:
    at = GEOMETRY.slot_at(slot)
    kind = chance.randrange(4)
    if kind == 0:  # a flipped bit
        where = at + chance.randrange(layout.PAYLOAD_AT)
        os.pwrite(descriptor, bytes([os.pread(descriptor, 1, where)[0] ^ 1 << chance.randrange(8)]), where)
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
