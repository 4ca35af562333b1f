# SPDX-License-Identifier: MIT
"""Every instruction of a publish and of a latest: whatever happens between two of them, nobody is hurt."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shm_ring.doorbell import Doorbell
from shm_ring.ring import RingReader
from shm_ring.segment import Segment
from tests.ring_faults.campaign import rounds, tell
from tests.ring_faults.stage import Puppet, Stage, staged
from tests.ring_faults.stepping import Watch, steps

SLOTS = 3
_PAYLOAD_BYTES = 300
"""Longer than any store of the processor, so that a copy takes several instructions."""


class Payloads:
    """Payloads of which no two are alike in any place, so that each store is seen."""

    def __init__(self) -> None:
        self._chance = random.Random(7)
        self._whole: set[bytes] = set()

    def new(self) -> bytes:
        """Return another one."""
        made = self._chance.randbytes(_PAYLOAD_BYTES)
        self._whole.add(made)
        return made

    def __contains__(self, read: object) -> bool:
        return read in self._whole


class Scene:
    """A ring with a doorbell, looked at by this process, and puppets for all else."""

    def __init__(self, descriptor: int, doorbell: Doorbell, stage: Stage) -> None:
        segment = Segment(descriptor)
        self.stage = stage
        self.reader = RingReader(segment)
        self.watch = Watch(segment, doorbell)
        self.doorbell = doorbell
        self.payloads = Payloads()

    def writer(self, how: str) -> Puppet:
        """Return a new writer that has published an old payload."""
        made = self.stage.puppet()
        assert made.ask(how) is None
        assert isinstance(made.ask("publish", self.payloads.new()), int)
        os.eventfd_read(self.doorbell.fileno())
        return made


@contextmanager
def scene_of(new_segment: Callable[..., int]) -> Iterator[Scene]:
    descriptor, doorbell = new_segment(slot_count=SLOTS), Doorbell.create()
    with staged(descriptor, [doorbell]) as stage:
        yield Scene(descriptor, doorbell, stage)


def read_at_each_instruction(scene: Scene) -> tuple[int, int, list[str]]:
    """Read after each instruction of a publish.

    Returns how many instructions there are, in how many states they leave the ring, and what was wrong.
    """
    writer, faults, instructions, states, last = scene.writer("attach_writer"), list[str](), 0, 0, None
    before = scene.reader.latest()
    assert before is not None
    for instructions in steps(writer, "publish", scene.payloads.new()):
        found, sight = scene.reader.latest(), scene.watch.sight()
        if found is None or found.payload not in scene.payloads or found.sequence < before.sequence:
            faults.append(f"instruction {instructions}: a reader got {found}")
        states += sight != last
        last = sight
    scene.stage.dismiss(writer)
    return instructions, states, faults


def kill_in_state(scene: Scene, state: int, how: str) -> list[str] | None:
    """Kill a writer in a state that its publish goes through, and let the next one go on.

    Returns what was wrong; None where the publish has no such state.
    """
    writer, seen, last = scene.writer(how), 0, None
    before = scene.reader.latest()
    assert before is not None
    for _ in steps(writer, "publish", scene.payloads.new()):
        sight = scene.watch.sight()
        seen += sight != last
        last = sight
        if seen == state:
            writer.kill()
            break
    scene.stage.dismiss(writer)
    return list(_after_a_kill(scene, before.sequence)) if seen == state else None


def _after_a_kill(scene: Scene, before: int) -> Iterator[str]:
    found = scene.reader.latest()
    if found is None or found.payload not in scene.payloads or not before <= found.sequence <= before + 1:
        yield f"a reader got {found}, where {before} was published"
        return
    successor, last = scene.stage.writer(), found.sequence
    most = before + 2  # the frame in the making took a sequence
    read = scene.reader.latest()
    if read is None or read.payload not in scene.payloads:
        yield f"as soon as the next writer was there, a reader got {read}"
    for _ in range(2 * SLOTS):
        written = scene.payloads.new()
        sequence, read = successor.ask("publish", written), scene.reader.latest()
        if not last < sequence <= most or read is None or read.payload != written:
            yield f"after {last} the next writer published {sequence}, and a reader got {read}"
        last, most = sequence, sequence + 1
    scene.stage.dismiss(successor)


def test_a_writer_that_seals_first_leaves_torn_frames(new_segment: Callable[..., int]) -> None:
    """The next test can fail: this writer seals its slot before the payload is in it."""
    with scene_of(new_segment) as scene:
        found = (kill_in_state(scene, state, "attach_hasty_writer") for state in itertools.count(1))
        faults = next(faults for faults in found if faults is None or faults)
    tell(f"a writer that seals first: {faults and faults[0][:60]}…")
    assert faults


def test_a_kill_after_any_instruction_of_a_publish_loses_only_that_frame(
    new_segment: Callable[..., int],
) -> None:
    """Each store and each system call makes a new state; between two of them a kill changes nothing."""
    with scene_of(new_segment) as scene:
        instructions, states, faults = read_at_each_instruction(scene)
        tell(
            f"publish: read after each of {instructions} instructions, {states} states: {len(faults)} faults"
        )
        assert faults == []
        assert states > 10, "the lock, its stores, the hints and the doorbell"
        for state in range(1, states + 1):
            assert kill_in_state(scene, state, "attach_writer") == [], f"killed in state {state}"


def overtake(stage: Stage, *, every: int, locks: bool) -> tuple[int, bool, int]:
    """Publish after every `every` instructions of a reader.

    Returns the number of its instructions, whether it got what was published under its sequence, and how
    many publishes were dropped.
    """
    writer, reader, payloads = stage.writer(locks=locks), stage.reader(locks=locks), Payloads()
    published, instructions = {}, 0

    def publish() -> int | None:
        made = payloads.new()
        sequence: int | None = writer.ask("publish", made)
        published[sequence] = made
        return sequence

    newest, dropped = publish(), 0
    assert newest is not None
    for instructions in steps(reader, "latest", newest - 1):
        if instructions % every == 0:
            dropped += publish() is None
    got = reader.answer()
    stage.dismiss(writer)
    stage.dismiss(reader)
    assert got is not None
    return instructions, published.get(got[0]) == got[1], dropped


def test_a_reader_without_locks_is_overtaken(new_segment: Callable[..., int]) -> None:
    """The next test can fail: without locks the slot changes under the reader."""
    with staged(new_segment(slot_count=SLOTS)) as stage:
        _, whole, _ = overtake(stage, every=rounds(10, 1), locks=False)
    assert not whole


def test_a_reader_that_is_overtaken_gets_a_whole_frame(new_segment: Callable[..., int]) -> None:
    """A reader may lose the processor anywhere; the writer goes on at once, and drops nothing."""
    every = rounds(10, 1)
    with staged(new_segment(slot_count=SLOTS)) as stage:
        instructions, whole, dropped = overtake(stage, every=every, locks=True)
    tell(f"latest: {instructions // every} publishes in its {instructions} instructions: {dropped} dropped")
    assert whole
    assert dropped == 0, f"{SLOTS} slots are enough for one reader"


def test_a_reader_killed_after_any_instruction_holds_nothing(new_segment: Callable[..., int]) -> None:
    with scene_of(new_segment) as scene:
        writer = scene.stage.writer()
        writer.ask("publish", scene.payloads.new())
        free, held = scene.watch.sight().lock, 0
        for state in itertools.count(1):
            reader, seen, last = scene.stage.reader(), 0, None
            for _ in steps(reader, "latest"):
                lock = scene.watch.sight().lock
                seen += lock != last
                held += lock != free
                last = lock
                if seen == state:
                    reader.kill()
                    break
            scene.stage.dismiss(reader)
            assert scene.watch.sight().lock == free
            assert all(isinstance(writer.ask("publish", scene.payloads.new()), int) for _ in range(2 * SLOTS))
            if seen < state:
                break
    assert held, "it was seen with a lock"
