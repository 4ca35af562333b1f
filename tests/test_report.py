# SPDX-License-Identifier: MIT
"""What the capture process says of a camera whose facts nobody can write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from capture_proc.camera import Camera
from capture_proc.report import Report
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment
from shm_ring.status import CaptureStatus
from tests.rows import capture_status

_LOOP: list[Any] = []
_LOOP.append(_LOOP)

NO_JSON: dict[str, Any] = {
    "nan": float("nan"),
    "numpy": {"gain": np.float32(1.5)},
    "object": object(),
    "set": {1, 2},
    "key": {(1, 2): 3},
    "circle": _LOOP,
    "too large": "x" * 17_000,
}


class Board:
    """A capture board, its report and its reader."""

    def __init__(self, new_segment: Callable[..., int], camera: Camera) -> None:
        descriptor = new_segment(slot_bytes=16 * 1024 - 64)
        self.report = Report(camera, BoardWriter[CaptureStatus](RingWriter(Segment(descriptor))).write)
        self._reader = BoardReader(RingReader(Segment(descriptor)), CaptureStatus)

    @property
    def row(self) -> CaptureStatus:
        reading = self._reader.read()
        assert reading is not None
        return reading.row


class FactsCamera(Camera):
    granted = None

    def __init__(self, granted: object) -> None:
        self.granted = granted


@pytest.mark.parametrize("granted", NO_JSON.values(), ids=NO_JSON)
def test_what_cannot_be_written_is_left_out_and_told_once(
    granted: object, new_segment: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    """It ended the capture process, and every one after it."""
    board = Board(new_segment, FactsCamera(granted))
    for frames in (1, 2, 3):
        board.report(capture_status(frames=frames))
        assert board.row == capture_status(frames=frames)
    assert caplog.text.count("/status cannot show what the camera granted") == 1


def test_a_property_may_raise(new_segment: Callable[..., int], caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Camera):
        @property
        def granted(self) -> object:
            raise RuntimeError("sensor on fire")

    board = Board(new_segment, Broken())
    board.report(capture_status())
    assert board.row == capture_status()
    assert "(RuntimeError: sensor on fire)" in caplog.text


def test_what_can_be_written_is_there_again_with_the_next_report(new_segment: Callable[..., int]) -> None:
    camera = FactsCamera(float("inf"))
    board = Board(new_segment, camera)
    board.report(capture_status())
    camera.granted = {"fps": 20.0}
    board.report(capture_status())
    assert board.row.granted == {"fps": 20.0}


def test_a_camera_without_it_has_none(new_segment: Callable[..., int]) -> None:
    board = Board(new_segment, Camera())
    board.report(capture_status())
    assert board.row.granted is None
