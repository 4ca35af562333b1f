# SPDX-License-Identifier: MIT
"""A camera as it must not be, for the test that must notice: `--camera limited_range:LimitedRangeCamera`."""

from __future__ import annotations

from types import SimpleNamespace

import libcamera

from capture_proc.camera import CameraWishes
from capture_proc.cameras.picamera2.camera import Picamera2Camera
from capture_proc.cameras.picamera2.library import Library


class LimitedRangeCamera(Picamera2Camera):
    """Asks for the colours of television, as Picamera2 does unless told otherwise."""

    def __init__(self, wishes: CameraWishes) -> None:
        library = Library()
        library.ColorSpace = SimpleNamespace(Sycc=libcamera.ColorSpace.Smpte170m)
        super().__init__(wishes, library)
