# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shm_ring.errors import SegmentError
from shm_ring.layout import Geometry
from shm_ring.segment import Segment, create_segment, sweep_segments

SHM = Path("/dev/shm")


def test_a_segment_has_no_name_once_it_is_made(new_segment: Callable[..., int]) -> None:
    """A name would be left behind by a kill, and logind deletes a logged-out user's names."""
    new_segment()
    assert not list(SHM.glob(f"ringcast-test-{os.getpid()}-*"))


def test_its_memory_is_reserved_and_its_geometry_read_back(new_segment: Callable[..., int]) -> None:
    descriptor = new_segment(slot_count=3, slot_bytes=10_000)
    segment = Segment(descriptor)
    assert segment.geometry == Geometry(3, 10_000)
    assert os.fstat(descriptor).st_blocks * 512 >= segment.geometry.segment_bytes


def test_a_descriptor_that_is_no_ring_is_refused() -> None:
    with tempfile.TemporaryFile() as file:
        with pytest.raises(SegmentError, match="is not shared memory"):
            Segment(file.fileno())
        file.truncate(8192)
        with pytest.raises(SegmentError, match="does not hold a complete ring"):
            Segment(file.fileno())


def test_a_ring_of_another_layout_is_refused(new_segment: Callable[..., int]) -> None:
    descriptor = new_segment()
    os.pwrite(descriptor, (99).to_bytes(4, "little"), 8)
    with pytest.raises(SegmentError, match="got layout 99"):
        Segment(descriptor)


def test_sweeping_deletes_what_a_killed_start_left_and_nothing_else() -> None:
    ours, other = SHM / "ringcast-sweeptest-x", SHM / "ringcast-sweeptests-x"
    ours.touch()
    other.touch()
    try:
        sweep_segments("ringcast-sweeptest-")
        assert not ours.exists()
        assert other.exists()
    finally:
        other.unlink()


def test_a_full_dev_shm_is_told_at_once_with_the_cure() -> None:
    """Without the reservation it would be a SIGBUS at some later frame."""
    program = (
        "from shm_ring.segment import *; from shm_ring.layout import Geometry\n"
        "try: create_segment('ringcast-test-full', Geometry(4, 1 << 20))\n"
        "except SegmentError as error: print(error)\n"
    )
    mounted = 'mount -t tmpfs -o size=1M none /dev/shm && exec "$0" -c "$1"'
    told = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounted, sys.executable, program],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    assert "needs 4214784; lower --slot-bytes, or make /dev/shm larger" in told
    assert "1048576 bytes free" in told
    assert "remount,size=6M" in told


def test_a_name_that_is_taken_is_told() -> None:
    taken = SHM / f"ringcast-test-taken-{os.getpid()}"
    taken.touch()
    try:
        with pytest.raises(SegmentError, match="cannot create"):
            create_segment(taken.name, Geometry(4, 4096))
    finally:
        taken.unlink()
