# SPDX-License-Identifier: MIT
"""A camera that grows slow at dusk, because it exposes for longer."""

from __future__ import annotations

from capture_proc.camera import Camera, CameraWishes, Picture
from capture_proc.clock import SystemClock
from capture_proc.pace import Pace
from tests.fakes import noise

SLOW_S = 1.25
_QUICK_PICTURES = 30


class SlowingCamera(Camera):
    """It says 20 frames a second, and soon gives 0.8: `--camera tests.slowing_camera:SlowingCamera`."""

    name, period_s = "slowing camera", 0.05

    def __init__(self, _wishes: CameraWishes) -> None:
        self._pace = Pace(self.period_s, SystemClock())
        self._pictures = 0

    def next_picture(self, timeout_s: float) -> Picture | None:
        due_ns = self._pace.wait(timeout_s)
        if due_ns is None:
            return None
        self._pictures += 1
        if self._pictures == _QUICK_PICTURES:
            self._pace = Pace(SLOW_S, SystemClock())
        return Picture(noise(seed=self._pictures), due_ns)
