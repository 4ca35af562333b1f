# SPDX-License-Identifier: MIT
"""A camera that gives the measuring rig's stamped frames: `--camera bench.rig_camera:RigCamera`."""

from __future__ import annotations

import os
from pathlib import Path

from bench.rig_frames import StampedFrames
from capture_proc.camera import CameraWishes, Picture
from capture_proc.clock import SystemClock
from capture_proc.pace import Pace


class RigCamera:
    """Frames from the file that RIG_FRAMES names, each stamped with its number and the time."""

    name = "measuring rig"

    def __init__(self, wishes: CameraWishes) -> None:
        self.period_s = 1 / (wishes.fps or 20)
        self._frames = StampedFrames(Path(os.environ["RIG_FRAMES"]))
        self._pace = Pace(self.period_s, SystemClock())

    def next_picture(self, timeout_s: float) -> Picture | None:
        due_ns = self._pace.wait(timeout_s)
        return None if due_ns is None else Picture(self._frames.take(), due_ns)

    def close(self) -> None:
        pass
