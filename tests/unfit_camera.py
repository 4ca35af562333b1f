# SPDX-License-Identifier: MIT
"""A camera that can never work, and takes 3 s to find out: as Picamera2 takes to be imported on a Pi."""

from __future__ import annotations

import time

from capture_proc.camera import Picture


class UnfitCamera:
    """For `--camera tests.unfit_camera:UnfitCamera`."""

    name, period_s = "unfit camera", -1.0

    def __init__(self, _: object) -> None:
        time.sleep(3)

    def next_picture(self, timeout_s: float) -> Picture | None:
        return None

    def close(self) -> None:
        pass
