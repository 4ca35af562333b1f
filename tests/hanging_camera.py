# SPDX-License-Identifier: MIT
"""A camera whose first opening hangs, as one of libcamera does that the process before left wedged."""

from __future__ import annotations

import os
import time
from pathlib import Path

from capture_proc.camera import CameraWishes
from capture_proc.cameras.pattern import PatternCamera

FOLDER_VARIABLE = "HANGING_CAMERA_FOLDER"


class HangingCamera(PatternCamera):
    """The test pattern, opened at the second try: `--camera tests.hanging_camera:HangingCamera`."""

    def __init__(self, wishes: CameraWishes) -> None:
        tried = Path(os.environ[FOLDER_VARIABLE], "tried")
        if not tried.exists():
            tried.touch()
            time.sleep(3600)
        super().__init__(wishes)
