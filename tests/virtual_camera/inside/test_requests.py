# SPDX-License-Identifier: MIT
"""Run inside the folder by test_inside.py: the tests of stalls outside would notice a buffer that is lost."""

from __future__ import annotations

import picamera2.request
import pytest

from capture_proc.camera import CameraWishes
from capture_proc.cameras.picamera2.camera import Picamera2Camera
from capture_proc.cameras.picamera2.library import Library

pytestmark = pytest.mark.virtual_camera

BUFFERS = 6


def test_a_camera_whose_requests_are_not_given_back_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Picamera2Camera(CameraWishes((640, 480), 30), Library())
    given_back = [camera.next_picture(1.0) for _ in range(3 * BUFFERS)]
    monkeypatch.setattr(picamera2.request.CompletedRequest, "release", lambda _: None)
    kept = [camera.next_picture(1.0) for _ in range(BUFFERS + 1)]
    camera.close()
    assert None not in given_back
    assert None in kept
