# SPDX-License-Identifier: MIT
"""The ring against a model of a few lines: whatever is done in whatever order, both say the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shm_ring import layout
from shm_ring.layout import Geometry
from shm_ring.ring import RingReader
from shm_ring.segment import Segment, create_segment
from tests.ring_faults.campaign import LONG, SEED, rounds, tell
from tests.ring_faults.stage import Puppet, Refusal, Stage

SLOTS, SLOT_BYTES = 4, 256
GEOMETRY = Geometry(SLOTS, SLOT_BYTES)


class Kept(NamedTuple):
    """What a slot holds; sequence 0 is nothing."""

    sequence: int = 0
    payload: bytes = b""
    epoch: int = 0


@dataclass
class Model:
    """What a ring promises; `held` are the slots that stopped readers are in."""

    slots: list[Kept] = field(default_factory=lambda: [Kept()] * SLOTS)
    held: list[int] = field(default_factory=list)
    head: int = SLOTS - 1
    sequence: int = 0
    kept_sequence: int = 0
    epoch: int = 1

    def free(self) -> int | None:
        following = ((self.head + step) % SLOTS for step in range(1, SLOTS))
        return next((slot for slot in following if slot not in self.held), None)

    def writer_comes(self) -> None:
        newest, self.head = max((kept.sequence, slot) for slot, kept in enumerate(self.slots))
        self.sequence, self.epoch = max(newest, self.kept_sequence), self.epoch + 1

    def publish(self, payload: bytes) -> int | None:
        self.sequence, slot = self.sequence + 1, self.free()
        self.kept_sequence = self.sequence
        if len(payload) > SLOT_BYTES or slot is None:
            return None
        self.head, self.slots[slot] = slot, Kept(self.sequence, payload, self.epoch)
        return self.sequence

    def latest(self, after: int = 0, epoch: int | None = None) -> Kept | None:
        """Return what a reader gets; `epoch` is that of what it got last."""
        newest = self.slots[self.head]
        later = epoch is not None and newest.epoch > epoch
        return newest if newest.sequence > after or (newest.sequence and later) else None


class RingMachine(RuleBasedStateMachine):
    """A ring, its writer and its readers, each a process."""

    locks = True

    @initialize()
    def begin(self) -> None:
        descriptor = create_segment(f"ringcast-model-{os.getpid()}-{id(self)}", GEOMETRY)
        self.descriptor, self.stage, self.model = descriptor, Stage(descriptor), Model()
        self.looking = RingReader(Segment(descriptor))
        self.writer = self.stage.writer(locks=self.locks)
        self.reader: Puppet | None = None
        self.epoch_read: int | None = None
        self.held: list[tuple[Puppet, int, tuple[int, bytes] | None]] = []
        self.too_big = self.busy = 0

    @rule(size=st.integers(0, SLOT_BYTES), times=st.sampled_from((1, SLOTS, 2 * SLOTS)))
    def publish(self, size: int, times: int) -> None:
        for _ in range(times):
            payload = bytes([self.model.sequence % 251]) * size
            expected = self.model.publish(payload)
            self.busy += expected is None
            published = self.writer.ask("publish", payload)
            assert published == expected, f"published {published}, where the model says {expected}"

    @rule()
    def publish_too_much(self) -> None:
        self.too_big += 1
        self.model.publish(bytes(SLOT_BYTES + 1))
        answer = self.writer.ask("publish", bytes(SLOT_BYTES + 1))
        assert answer == Refusal("TooBigError", f"{SLOT_BYTES + 1} bytes do not fit a slot of {SLOT_BYTES}")

    @rule(touch=st.integers(0, 4))
    def the_writer_dies_and_is_followed(self, touch: int) -> None:
        """It dies inside a slot, or between two frames; and nobody can follow before that."""
        successor, slot = self.stage.puppet(locks=self.locks), self.model.free()
        assert isinstance(successor.ask("attach_writer"), Refusal)
        if touch and slot is not None:
            self.writer.ask("trap", touch, signal.SIGKILL)
            self.writer.begin("publish", b"cut short")
            self.writer.wait_gone()
            self.model.kept_sequence = self.model.sequence + 1
            if touch > 1:  # the first would have taken the seal away
                self.model.slots[slot] = Kept()
        self.stage.dismiss(self.writer)
        self.everybody_sees_the_same()
        assert successor.ask("attach_writer") is None
        self.writer = successor
        self.model.writer_comes()

    @rule(
        slots=st.just(range(SLOTS)) | st.sets(st.integers(0, SLOTS - 1), min_size=1),
        header=st.sampled_from((bytes(layout.PAYLOAD_AT), b"\xff" * layout.PAYLOAD_AT)),
        sequence_too=st.booleans(),
    )
    def memory_is_damaged(self, slots: Iterable[int], header: bytes, sequence_too: bool) -> None:
        for slot in set(slots) - set(self.model.held):
            os.pwrite(self.descriptor, header, GEOMETRY.slot_at(slot))
            self.model.slots[slot] = Kept()
        if sequence_too:
            os.pwrite(self.descriptor, b"\xff" * 4, layout.SEQUENCE_AT)
            self.model.kept_sequence = 0

    @rule(after=st.integers(0, 30), newcomer=st.booleans())
    def a_reader_reads(self, after: int, newcomer: bool) -> None:
        if newcomer or self.reader is None:
            self.reader, self.epoch_read = self.stage.reader(locks=self.locks), None
        expected = self.model.latest(after, self.epoch_read)
        assert self.reader.ask("latest", after) == (expected and expected[:2]), "not where the model says"
        if expected is not None:
            self.epoch_read = expected.epoch

    @precondition(lambda self: self.model.latest() is not None)
    @rule(touch=st.integers(1, 2))
    def a_reader_stops_inside_the_newest(self, touch: int) -> None:
        reader, expected = self.stage.reader(locks=self.locks), self.model.latest()
        reader.ask("trap", touch, signal.SIGSTOP)
        reader.begin("latest")
        reader.wait_stopped()
        self.model.held.append(self.model.head)
        self.held.append((reader, self.model.head, expected and expected[:2]))

    @precondition(lambda self: self.held)
    @rule(killed=st.booleans())
    def a_stopped_reader_goes_on_or_dies(self, killed: bool) -> None:
        reader, slot, expected = self.held.pop(0)
        if not killed:
            reader.signal(signal.SIGCONT)
            assert reader.answer() == expected, "what it holds was never overwritten"
        self.stage.dismiss(reader)
        self.model.held.remove(slot)

    @invariant()
    def everybody_sees_the_same(self) -> None:
        found = self.looking.latest()
        expected = self.model.latest()
        seen = found and (found.sequence, found.payload)
        assert seen == (expected and expected[:2]), "not where the model says"
        assert (self.looking.dropped_busy, self.looking.dropped_too_big) == (self.busy, self.too_big)

    def teardown(self) -> None:
        self.stage.close()
        os.close(self.descriptor)


def run(machine: type[RingMachine], examples: int, *phases: Phase) -> None:
    if LONG:
        tell(f"model: RING_SEED={SEED} repeats this")
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        seed(SEED)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            database=None,
            phases=phases,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


class UnlockedMachine(RingMachine):
    """A ring whose slots are not locked."""

    locks = False


def test_a_ring_without_locks_is_found_out() -> None:
    """The next test can fail: a frame that must be dropped is not, and overwrites what is being read."""
    with pytest.raises(AssertionError, match=r"where the model says|was never overwritten"):
        run(UnlockedMachine, 2_000, Phase.generate)  # it ends with the first that is found


def test_the_ring_does_what_its_model_does() -> None:
    """Publishing, reading, dying or stopping inside a slot, coming and going, damage, in any order."""
    run(RingMachine, rounds(30, 1_000), Phase.generate, Phase.shrink)
