# SPDX-License-Identifier: MIT
"""Writers and readers that are killed, stopped and let go on at random; and stopped inside a slot."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from shm_ring import layout
from shm_ring.ring import RingReader
from shm_ring.segment import Segment
from tests.conditions import eventually
from tests.ring_faults.campaign import chance as chance_of
from tests.ring_faults.campaign import rounds, tell
from tests.ring_faults.payloads import SIZES
from tests.ring_faults.stage import Puppet, Refusal, Stage, staged

READERS = 2
SLOTS = READERS + 2
IN_HEADER, IN_PAYLOAD = 1, 2
"""The accesses of a latest to a slot, in their order; those of a publish are four."""


def test_with_one_slot_more_than_readers_frames_are_dropped(new_segment: Callable[..., int]) -> None:
    """The next test can fail."""
    descriptor = new_segment(slot_count=SLOTS - 1, slot_bytes=max(SIZES))
    _, dropped = chaos(descriptor, seconds=60, until_dropped=True)
    assert dropped > 0


def test_with_two_slots_more_than_readers_nothing_is_ever_dropped(new_segment: Callable[..., int]) -> None:
    """Whoever is killed or stopped wherever: the camera's frames find room."""
    published, dropped = chaos(new_segment(slot_count=SLOTS, slot_bytes=max(SIZES)), seconds=rounds(8, 90))
    assert dropped == 0
    assert published > 1000


def chaos(descriptor: int, *, seconds: float, until_dropped: bool = False) -> tuple[int, int]:
    """Kill, stop and let go on at random; return how many frames were published, and dropped."""
    chance, hints = chance_of("chaos"), Segment(descriptor).hints
    done, number = dict.fromkeys(("kill", "stop", "go on"), 0), 1
    with staged(descriptor) as stage:
        writer, readers = _writer(stage, number), [_reader(stage) for _ in range(READERS)]
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s and not (until_dropped and hints[layout.DROPPED_BUSY]):
            at = chance.randrange(READERS + 1)
            one, what = (writer if at == READERS else readers[at]), chance.choice(tuple(done))
            done[what] += 1
            if what == "kill":
                assert _faults(one) == []
                stage.dismiss(one)
                number += 1
                if one is writer:
                    writer = _writer(stage, number)
                else:
                    readers[at] = _reader(stage)
            else:
                one.signal(signal.SIGSTOP if what == "stop" else signal.SIGCONT)
            time.sleep(chance.uniform(0, 0.004))  # no condition is waited for: chaos has its own times
        for reader in readers:
            reader.signal(signal.SIGCONT)
            assert _faults(reader) == []
    published, dropped = hints[layout.PUBLISHES], hints[layout.DROPPED_BUSY]
    tell(f"chaos with {READERS} readers: {done}: {published} published, {dropped} dropped")
    return published, dropped


def _writer(stage: Stage, number: int) -> Puppet:
    made = stage.writer()
    made.begin("write", number, None)
    return made


def _reader(stage: Stage) -> Puppet:
    made = stage.reader()
    made.begin("read_until_told")
    return made


def _faults(one: Puppet) -> list[object]:
    return [one.answer()] if one.has_spoken() else []


def test_one_reader_more_that_is_stopped_inside_its_lock_drops_frames_until_it_goes_on(
    new_segment: Callable[..., int],
) -> None:
    """What is dropped is counted, the newest stays readable, and it ends when the reader goes on."""
    descriptor = new_segment(slot_count=SLOTS)
    reader = RingReader(Segment(descriptor))
    with staged(descriptor) as stage:
        writer = stage.writer()
        stopped = []
        for number in range(READERS + 1):
            writer.ask("publish", b"%d" % number)
            stopped.append(_stopped_inside(stage, IN_PAYLOAD))
        newest = writer.ask("publish", b"newest")
        assert isinstance(newest, int)
        assert [writer.ask("publish", b"no room") for _ in range(3)] == [None, None, None]
        assert reader.dropped_busy == 3
        found = reader.latest()
        assert found is not None
        assert (found.sequence, found.payload) == (newest, b"newest")
        stopped[0].signal(signal.SIGCONT)
        assert stopped[0].answer() == (1, b"0")
        assert writer.ask("publish", b"room") == newest + 4, "the gap tells of the loss"
        stage.dismiss(stopped[1])
        assert all(isinstance(writer.ask("publish", b"room"), int) for _ in range(10))
        stopped[2].signal(signal.SIGCONT)
        assert stopped[2].answer() == (3, b"2"), "what it holds was never overwritten"


def _stopped_inside(stage: Stage, touch: int) -> Puppet:
    made = stage.reader()
    made.ask("trap", touch, signal.SIGSTOP)
    made.begin("latest")
    made.wait_stopped()
    return made


def test_a_writer_stopped_inside_a_slot_keeps_no_reader_waiting(new_segment: Callable[..., int]) -> None:
    descriptor = new_segment(slot_count=SLOTS)
    reader = RingReader(Segment(descriptor))
    with staged(descriptor) as stage:
        writer = stage.writer()
        writer.ask("publish", b"before")
        for touch in (1, 2, 3, 4):
            writer.ask("trap", touch, signal.SIGSTOP)
            writer.begin("publish", b"after %d" % touch)
            writer.wait_stopped()
            found = reader.latest()
            assert found is not None
            assert found.payload == (b"after %d" % (touch - 1) if touch > 1 else b"before")
            writer.signal(signal.SIGCONT)
            assert isinstance(writer.answer(), int)


def test_a_second_writer_is_refused_also_while_the_first_is_stopped(new_segment: Callable[..., int]) -> None:
    """Two capture processes on one ring would be two cameras in one stream."""
    descriptor = new_segment(slot_count=SLOTS)
    with staged(descriptor) as stage:
        first, second = stage.writer(), stage.puppet()
        refusal = Refusal(
            "WriterAliveError", f"process {first.pid} is already writing this ring; end it first"
        )
        assert second.ask("attach_writer") == refusal
        first.signal(signal.SIGSTOP)
        first.wait_stopped()
        assert second.ask("attach_writer") == refusal
        first.signal(signal.SIGCONT)
        assert first.ask("publish", b"still the writer") == 1
        stage.dismiss(first)
        assert second.ask("attach_writer") is None
        assert second.ask("publish", b"the next") == 2


def test_sequences_go_on_rising_over_any_number_of_writers(new_segment: Callable[..., int]) -> None:
    descriptor, chance = new_segment(slot_count=SLOTS), chance_of("rising sequences")
    segment, last = Segment(descriptor), 0
    with staged(descriptor) as stage:
        for _ in range(100):
            writer = stage.writer()
            for _ in range(chance.randrange(1, 4)):
                sequence = writer.ask("publish", b"")
                assert sequence > last
                last = sequence
            if chance.random() < 0.5:
                writer.ask("trap", chance.randrange(1, 5), signal.SIGKILL)
                writer.begin("publish", b"cut short")
                writer.wait_gone()
            stage.dismiss(writer)
    assert eventually(lambda: segment.hints[layout.EPOCH]) == 100
