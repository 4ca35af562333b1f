# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable

import pytest

from shm_ring.board import BoardReader, BoardWriter
from shm_ring.errors import TooBigError
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment
from tests.fakes import FakeClock


@pytest.fixture
def board(new_segment: Callable[..., int]) -> tuple[BoardWriter, BoardReader, FakeClock]:
    descriptor, clock = new_segment(), FakeClock()
    writer = BoardWriter(RingWriter(Segment(descriptor)), clock.monotonic_ns)
    return writer, BoardReader(RingReader(Segment(descriptor))), clock


def test_nothing_stands_on_a_board_before_it_was_written(
    board: tuple[BoardWriter, BoardReader, FakeClock],
) -> None:
    assert board[1].read() is None


def test_the_last_status_is_read_with_its_age(
    board: tuple[BoardWriter, BoardReader, FakeClock],
) -> None:
    writer, reader, clock = board
    writer.write({"state": "starting"})
    writer.write({"state": "running", "fps": 19.5})
    clock.sleep(2.5)
    reading = reader.read()
    assert reading is not None
    assert reading.status == {"state": "running", "fps": 19.5}
    assert reading.age_s(clock.monotonic_ns()) == 2.5
    assert reader.read() == reading, "what was read stays, until something newer is there"


def test_every_write_is_a_heartbeat(board: tuple[BoardWriter, BoardReader, FakeClock]) -> None:
    writer, reader, _ = board
    before = reader.writes
    writer.write({"same": 1})
    writer.write({"same": 1})
    assert reader.writes == before + 2


def test_a_status_that_fits_no_slot_is_an_error(
    board: tuple[BoardWriter, BoardReader, FakeClock],
) -> None:
    with pytest.raises(TooBigError):
        board[0].write({"long": "x" * 5000})
