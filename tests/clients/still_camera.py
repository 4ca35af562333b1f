# SPDX-License-Identifier: MIT
"""A camera before which nothing moves, without noise: each picture is the same."""

from __future__ import annotations

import time

from capture_proc.camera import CameraWishes, Picture
from tests.clients.picture_code import draw


class StillCamera:
    """640x480, 20 pictures a second."""

    name = "still"
    period_s = 0.05

    def __init__(self, wishes: CameraWishes) -> None:
        self._picture = draw(1)

    def next_picture(self, timeout_s: float) -> Picture | None:
        time.sleep(self.period_s)
        return Picture(self._picture, time.monotonic_ns())

    def close(self) -> None:
        pass
