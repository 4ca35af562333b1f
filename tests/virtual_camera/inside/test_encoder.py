# SPDX-License-Identifier: MIT
"""Run inside the folder by test_inside.py: ready JPEGs of an encoder go to the ring as replayed ones do.

Nothing but a Raspberry Pi has the hardware, so Picamera2's encoder in software stands in for it; both
are driven by the same base class.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from picamera2.encoders import JpegEncoder

from capture_proc.camera import CameraWishes, NeverWorksError
from capture_proc.cameras.picamera2.camera import Picamera2Camera
from capture_proc.cameras.picamera2.library import Library
from capture_proc.capture_loop import CaptureLoop, TimeLimits
from capture_proc.clock import SystemClock
from capture_proc.fitting import FittingEncoder
from capture_proc.frozen_scene import SceneWatch
from capture_proc.jpeg import to_jpeg
from capture_proc.orientation import Orientation
from capture_proc.progress import Progress
from shm_ring.frame import Frame
from shm_ring.ring import Published
from tests.fakes import FakeSink
from tests.rows import capture_status

pytestmark = pytest.mark.virtual_camera

FRAMES = 40


def _library() -> Library:
    library = Library()
    library.hardware_encoder = JpegEncoder
    library.hardware_encoder_device = Path("/dev/null")
    return library


def test_ready_jpegs_take_the_road_of_replayed_ones() -> None:
    camera = Picamera2Camera(CameraWishes((1280, 720), 30, encoder="hardware"), _library())
    sink = FakeSink()
    loop = CaptureLoop(
        camera,
        FittingEncoder(to_jpeg, 1),
        sink,
        clock=SystemClock(),
        limits=TimeLimits(stall_timeout_s=5, first_frame_timeout_s=10),
        scene=SceneWatch(10),
        progress=Progress(lambda _: None, capture_status(), lambda _: None),
    )
    try:
        loop.run(lambda: len(sink.frames) >= FRAMES)
        now_ns = time.monotonic_ns()
    finally:
        camera.close()
    frames = [Frame.of(Published(1, 1, facts, jpeg)) for jpeg, facts in sink.frames]
    captured = [frame.facts.captured_ns for frame in frames]
    steps_ms = np.diff(captured) / 1e6
    assert 0 < now_ns - captured[-1] < 1e9, "capture times are of this machine's clock"
    assert np.median(steps_ms) == pytest.approx(1000 / 30, rel=0.1)
    assert all(step > 0 for step in steps_ms)
    pictures = [np.asarray(simplejpeg.decode_jpeg(jpeg)) for jpeg, _ in sink.frames]
    assert {picture.shape for picture in pictures} == {(720, 1280, 3)}
    assert any(not np.array_equal(one, other) for one, other in itertools.pairwise(pictures))


def test_ready_jpegs_are_not_turned_by_a_quarter() -> None:
    orientation = Orientation.of(90, "none")
    with pytest.raises(NeverWorksError, match="its ready JPEGs cannot be turned any more"):
        Picamera2Camera(CameraWishes(orientation=orientation, encoder="hardware"), _library())
