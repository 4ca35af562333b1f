# SPDX-License-Identifier: MIT
"""Writers are killed at random moments, while three readers look at every byte."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shm_ring import layout
from shm_ring.segment import Segment
from tests.ring_faults.campaign import chance as chance_of
from tests.ring_faults.campaign import rounds, tell
from tests.ring_faults.payloads import SIZES
from tests.ring_faults.stage import Puppet, Refusal, Stage, staged

READERS = 3
MOST_WAIT_S = 0.012
FAIR_TRIAL = 20
"""Kills after which readers have settled: their memory is compared from here on."""


@dataclass
class Found:
    """What a campaign found."""

    kills: int = 0
    in_slot: int = 0
    read: int = 0
    torn: int = 0
    back: int = 0
    faults: list[str] = field(default_factory=list)
    grown: list[str] = field(default_factory=list)


def test_without_the_locks_torn_frames_are_seen(new_segment: Callable[..., int]) -> None:
    """The next test can fail: here the same readers and writers leave the locks out."""
    descriptor = new_segment(slot_count=READERS + 2, slot_bytes=max(SIZES))
    found = campaign(descriptor, kills=400, locks=False, until_torn=True)
    tell(f"without locks: {found.torn} of {found.read} frames torn after {found.kills} kills")
    assert found.torn > 0
    assert any(fault.startswith("torn: sequence") for fault in found.faults)


def test_no_frame_is_torn_or_goes_back_when_writers_are_killed(new_segment: Callable[..., int]) -> None:
    """A camera process may die anywhere; no viewer may ever see half a picture, or an older one."""
    kills = rounds(1_000, 10_000)
    found = campaign(new_segment(slot_count=READERS + 2, slot_bytes=max(SIZES)), kills=kills)
    tell(
        f"{found.kills} kills, {found.in_slot} of them inside a slot; {READERS} readers checked {found.read} "
        f"frames: {found.torn} torn, {found.back} back"
    )
    assert found.faults == []
    assert (found.torn, found.back) == (0, 0)
    assert found.in_slot > 0.2 * found.kills, "or it proves nothing"
    assert found.read > found.kills
    assert found.grown == [], "1,000 writers cost a reader neither descriptors nor memory"


def campaign(descriptor: int, *, kills: int, locks: bool = True, until_torn: bool = False) -> Found:
    """Kill `kills` writers, one after the other, at random moments of their work."""
    found, chance, segment = Found(), chance_of("kills"), Segment(descriptor)
    with staged(descriptor) as stage:
        readers = [stage.reader(locks=locks) for _ in range(READERS)]
        for reader in readers:
            reader.begin("read_until_told")
        for number in range(1, kills + 1):
            if number == FAIR_TRIAL:
                before = [_size(reader) for reader in readers]
            found.in_slot += _kill_a_writer(
                stage, segment, number, chance.uniform(0, MOST_WAIT_S), locks=locks
            )
            found.kills += 1
            if until_torn and found.kills > FAIR_TRIAL and any(reader.has_spoken() for reader in readers):
                break
        found.grown = [
            told for reader, size in zip(readers, before, strict=True) if (told := _growth(reader, size))
        ]
        for reader in readers:
            _hear(reader, found)
    return found


def _kill_a_writer(stage: Stage, segment: Segment, number: int, wait_s: float, *, locks: bool) -> bool:
    """Kill one; tell whether that was inside a slot."""
    writer = stage.writer(locks=locks)
    writer.ask("write", number, 1)
    writer.begin("write", number, None)
    time.sleep(wait_s)  # a random moment is no condition
    stage.dismiss(writer)
    epoch = segment.hints[layout.EPOCH]
    return any(_epoch(segment, slot) == epoch for slot in _unsealed(segment))


def _unsealed(segment: Segment) -> list[int]:
    geometry = segment.geometry
    places = {slot: geometry.slot_at(slot) for slot in range(geometry.slot_count)}
    return [slot for slot, at in places.items() if not any(segment.map[at : at + layout.SEAL.size])]


def _epoch(segment: Segment, slot: int) -> int:
    at = segment.geometry.slot_at(slot) + layout.SEAL.size
    return int.from_bytes(segment.map[at : at + 4], "little")


def _hear(reader: Puppet, found: Found) -> None:
    reader.begin("stop")
    while True:
        told = reader.answer()
        assert not isinstance(told, Refusal), told
        if isinstance(told, dict):
            found.read += told["read"]
            found.torn += told["torn"]
            found.back += told["back"]
            return
        found.faults.append(told)


def _size(reader: Puppet) -> tuple[int, int]:
    """Return its descriptors and its own memory in KiB (what is mapped from the ring left out)."""
    process = Path(f"/proc/{reader.pid}")
    lines = (process / "status").read_text().splitlines()
    anonymous = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
    return len(list((process / "fd").iterdir())), anonymous


def _growth(reader: Puppet, before: tuple[int, int]) -> str | None:
    descriptors, kib = _size(reader)
    if descriptors == before[0] and kib < before[1] + 2048:
        return None
    return f"descriptors {before[0]} to {descriptors}, memory {before[1]} to {kib} KiB"
