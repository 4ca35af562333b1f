# SPDX-License-Identifier: MIT
"""The ring's promises. Locks exclude processes, not threads, so other holders are real processes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shm_ring import layout
from shm_ring.doorbell import Doorbell
from shm_ring.errors import TooBigError, WriterAliveError
from shm_ring.frame import Frame, FrameFacts
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment


@contextmanager
def holding_locks(descriptor: int, ranges: list[tuple[int, int]], kind: str) -> Iterator[None]:
    """Hold record locks in another process meanwhile."""
    program = (
        "import fcntl, sys\n"
        f"for start, length in {ranges!r}:\n"
        f"    fcntl.lockf({descriptor}, fcntl.{kind} | fcntl.LOCK_NB, length, start)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        pass_fds=[descriptor],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.kill()


def slot_range(segment: Segment, slot: int) -> tuple[int, int]:
    return segment.geometry.slot_at(slot), segment.geometry.slot_stride


def test_the_newest_is_what_a_reader_gets(new_segment: Callable[..., int]) -> None:
    descriptor = new_segment()
    writer, reader = RingWriter(Segment(descriptor)), RingReader(Segment(descriptor))
    assert reader.latest() is None
    for number in range(1, 11):
        assert writer.publish(b"%d" % number, b"facts") == number
    newest = reader.latest()
    assert newest is not None
    assert (newest.sequence, newest.epoch, newest.payload) == (10, 1, b"10")
    assert newest.facts == b"facts".ljust(layout.FACTS_BYTES, b"\0")
    assert reader.latest(after=10) is None
    assert reader.publishes == 10


def test_sequences_go_on_under_the_next_writer(new_segment: Callable[..., int]) -> None:
    descriptor = new_segment()
    for epoch in (1, 2, 3):
        writer = RingWriter(Segment(descriptor))
        writer.publish(b"")
        newest = RingReader(Segment(descriptor)).latest()
        assert newest is not None
        assert (newest.sequence, newest.epoch) == (epoch, epoch)


def test_a_second_writer_is_refused_while_the_first_lives(new_segment: Callable[..., int]) -> None:
    descriptor = new_segment()
    with (
        holding_locks(descriptor, [(layout.WRITER_AT, 1)], "LOCK_EX"),
        pytest.raises(WriterAliveError, match="end it first"),
    ):
        RingWriter(Segment(descriptor))
    RingWriter(Segment(descriptor))


def test_a_payload_that_fits_no_slot_is_counted_and_dropped(new_segment: Callable[..., int]) -> None:
    descriptor = new_segment(slot_bytes=100)
    writer, reader = RingWriter(Segment(descriptor)), RingReader(Segment(descriptor))
    writer.publish(b"x" * 100)
    with pytest.raises(TooBigError, match="101 bytes do not fit a slot of 100"):
        writer.publish(b"x" * 101)
    assert reader.dropped_too_big == 1
    assert writer.publish(b"y") == 3, "the gap tells of the loss"


def test_more_facts_than_the_map_has_room_for_are_refused(new_segment: Callable[..., int]) -> None:
    with pytest.raises(ValueError, match="expected up to 32 bytes of facts, got 33"):
        RingWriter(Segment(new_segment())).publish(b"", b"f" * 33)


def test_a_writer_passes_over_slots_that_are_being_read(new_segment: Callable[..., int]) -> None:
    descriptor = new_segment()
    segment = Segment(descriptor)
    writer, reader = RingWriter(segment), RingReader(Segment(descriptor))
    writer.publish(b"first")
    following = (segment.hints[layout.HEAD_SLOT] + 1) % 4
    with holding_locks(descriptor, [slot_range(segment, following)], "LOCK_SH"):
        writer.publish(b"second")
    assert segment.hints[layout.HEAD_SLOT] == (following + 1) % 4
    newest = reader.latest()
    assert newest is not None
    assert newest.payload == b"second"


def test_with_no_free_slot_a_frame_is_dropped_and_the_newest_stays(
    new_segment: Callable[..., int],
) -> None:
    descriptor = new_segment(slot_count=3)
    segment = Segment(descriptor)
    writer, reader = RingWriter(segment), RingReader(Segment(descriptor))
    writer.publish(b"newest")
    head = segment.hints[layout.HEAD_SLOT]
    others = [slot_range(segment, slot) for slot in range(3) if slot != head]
    with holding_locks(descriptor, others, "LOCK_SH"):
        assert writer.publish(b"dropped") is None
        newest = reader.latest()
        assert newest is not None
        assert newest.payload == b"newest"
    assert reader.dropped_busy == 1


def test_a_reader_with_an_old_hint_takes_the_new_one(new_segment: Callable[..., int]) -> None:
    """It may lose the processor between the hint and the lock, and find the writer in that slot."""
    descriptor = new_segment()
    segment = Segment(descriptor)
    writer, reader = RingWriter(segment), RingReader(Segment(descriptor))
    writer.publish(b"one")
    old = segment.hints[layout.HEAD_SLOT]
    writer.publish(b"two")

    class Hints:
        """Tells the old hint once."""

        def __init__(self) -> None:
            self.asked = 0

        def __getitem__(self, hint: int) -> int:
            self.asked += 1
            return old if self.asked == 1 else segment.hints[hint]

    reader._hints = Hints()  # type: ignore[assignment]
    with holding_locks(descriptor, [slot_range(segment, old)], "LOCK_EX"):
        found = reader.latest()
    assert found is not None
    assert found.payload == b"two"


def test_a_slot_that_a_writer_died_in_is_as_if_it_were_not(new_segment: Callable[..., int]) -> None:
    descriptor = new_segment()
    segment = Segment(descriptor)
    writer, reader = RingWriter(segment), RingReader(Segment(descriptor))
    writer.publish(b"one")
    following = (segment.hints[layout.HEAD_SLOT] + 1) % 4
    os.pwrite(descriptor, layout.UNSEALED + b"cut short", segment.geometry.slot_at(following))
    found = reader.latest()
    assert found is not None
    assert found.payload == b"one"
    assert RingWriter(Segment(descriptor)).publish(b"next") == 2


def test_every_doorbell_is_rung_at_a_publish(new_segment: Callable[..., int]) -> None:
    bells = [Doorbell.create(), Doorbell.create()]
    RingWriter(Segment(new_segment()), bells).publish(b"")
    assert select.select(bells, [], [], 0)[0] == bells


def test_a_frame_comes_out_as_it_went_in(new_segment: Callable[..., int]) -> None:
    descriptor = new_segment()
    facts = FrameFacts(captured_ns=1, captured_unix_ns=2, width_px=640, height_px=480)
    RingWriter(Segment(descriptor)).publish(b"jpeg", facts.pack())
    published = RingReader(Segment(descriptor)).latest()
    assert published is not None
    assert Frame.of(published) == Frame(1, facts, b"jpeg")
