# SPDX-License-Identifier: MIT
"""A camera that never gives a picture."""

from __future__ import annotations

import time

from capture_proc.camera import CameraWishes, Picture


class SilentCamera:
    """For `--camera tests.silent_camera:SilentCamera`."""

    name, period_s = "silent camera", 0.05

    def __init__(self, wishes: CameraWishes) -> None:
        pass

    def next_picture(self, timeout_s: float) -> Picture | None:
        time.sleep(timeout_s)
        return None

    def close(self) -> None:
        pass
