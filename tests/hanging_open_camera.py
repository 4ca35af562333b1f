# SPDX-License-Identifier: MIT
"""A camera that hangs while it is opened, as often as a test says."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from capture_proc.camera import Picture

HANGS = "RINGCAST_TEST_HANGS"
"""The environment variable that names a folder: each file in it is one opening that hangs."""


class HangingOpenCamera:
    """For `--camera tests.hanging_open_camera:HangingOpenCamera`."""

    name, period_s = "hanging open camera", 0.05
    scene_may_freeze = False

    def __init__(self, _: object) -> None:
        for hang in Path(os.environ[HANGS]).iterdir():
            hang.unlink()
            while True:
                time.sleep(1)

    def next_picture(self, timeout_s: float) -> Picture | None:
        time.sleep(self.period_s)
        return Picture(np.zeros((48, 64, 3), np.uint8), time.monotonic_ns())

    def close(self) -> None:
        pass
