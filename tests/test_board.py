# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from shm_ring import layout
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.errors import StatusError, TooBigError
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment
from shm_ring.status import CaptureStatus, ServerStatus, SupervisorStatus, from_json, to_json
from tests.fakes import FakeClock
from tests.rows import capture_status, server_status, supervisor_status

Board = tuple[BoardWriter[ServerStatus], BoardReader[ServerStatus], FakeClock]


@pytest.fixture
def board(new_segment: Callable[..., int]) -> Board:
    descriptor, clock = new_segment(), FakeClock()
    writer = BoardWriter[ServerStatus](RingWriter(Segment(descriptor)), clock.monotonic_ns)
    return writer, BoardReader(RingReader(Segment(descriptor)), ServerStatus), clock


def test_nothing_stands_on_a_board_before_it_was_written(
    board: Board,
) -> None:
    assert board[1].read() is None


def test_the_last_status_is_read_with_its_age(
    board: Board,
) -> None:
    writer, reader, clock = board
    writer.write(server_status(viewers=1))
    writer.write(server_status(viewers=2))
    clock.sleep(2.5)
    reading = reader.read()
    assert reading is not None
    assert reading.row == server_status(viewers=2)
    assert reading.age_s(clock.monotonic_ns()) == 2.5
    assert reader.read() == reading, "what was read stays, until something newer is there"


def test_a_status_that_fits_no_slot_is_an_error(
    board: Board,
) -> None:
    with pytest.raises(TooBigError):
        board[0].write(server_status(pid=10**4200))


@pytest.mark.parametrize(
    "row", [capture_status(), capture_status(size=None), supervisor_status(restarts={"stalled": 2})]
)
def test_every_row_comes_back_as_it_was_written(row: CaptureStatus | SupervisorStatus) -> None:
    assert from_json(type(row), json.loads(to_json(row))) == row


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fps": "fast"}, "expected CaptureStatus.fps to be .*float.*; got 'fast'"),
        ({"frames": True}, "expected CaptureStatus.frames to be .*int.*; got True"),
        ({"size": [1, 2, 3]}, "expected CaptureStatus.size to be .*; got .1, 2, 3."),
        ({"step": "sleeping"}, "expected CaptureStatus.step to be .*Step.*; got 'sleeping'"),
        ({"dropped": {"busy": "x"}}, "expected CaptureStatus.dropped to be .*int.*; got 'x'"),
    ],
)
def test_a_reader_relies_on_every_field(changes: dict[str, Any], sentence: str) -> None:
    """A missing key would be a KeyError in the fan-out, and the end of all streams."""
    written = json.loads(to_json(capture_status()))
    with pytest.raises(StatusError, match=sentence):
        from_json(CaptureStatus, {**written, **changes})
    with pytest.raises(StatusError, match="expected CaptureStatus to have period_s; got"):
        from_json(CaptureStatus, {name: written[name] for name in written if name != "period_s"})


def test_what_is_no_row_leaves_the_last_one_in_force(
    new_segment: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    descriptor = new_segment()
    ring = RingWriter(Segment(descriptor))
    reader = BoardReader(RingReader(Segment(descriptor)), ServerStatus)
    BoardWriter[ServerStatus](ring).write(server_status(viewers=3))
    reader.read()
    for rubbish in (b"{", b"[]", b"null", b'{"pid": 1}', b"\xff"):
        ring.publish(rubbish)
        reading = reader.read()
        assert reading is not None
        assert reading.row.viewers == 3
    assert caplog.text.count("cannot read a board") == 1


@pytest.mark.parametrize("kept", [True, False], ids=["sequence kept", "sequence lost"])
def test_a_board_is_read_on_after_all_of_it_was_damaged(
    new_segment: Callable[..., int], *, kept: bool
) -> None:
    descriptor = new_segment()
    reader = BoardReader(RingReader(Segment(descriptor)), ServerStatus)
    before = BoardWriter[ServerStatus](RingWriter(Segment(descriptor)))
    for viewers in range(10):
        before.write(server_status(viewers=viewers))
    reader.read()
    segment = Segment(descriptor)
    for slot in range(segment.geometry.slot_count):
        os.pwrite(descriptor, bytes(layout.PAYLOAD_AT), segment.geometry.slot_at(slot))
    if not kept:
        os.pwrite(descriptor, bytes(8), layout.SEQUENCE_AT)
    BoardWriter[ServerStatus](RingWriter(Segment(descriptor))).write(server_status(viewers=77))
    reading = reader.read()
    assert reading is not None
    assert reading.row.viewers == 77


@pytest.mark.parametrize("granted", [float("nan"), float("inf"), object()])
def test_what_json_has_not_is_refused_by_the_writer(granted: object) -> None:
    """A NaN would make /status no JSON for a browser."""
    with pytest.raises(StatusError, match="CaptureStatus cannot be written as JSON"):
        to_json(capture_status(granted=granted))
