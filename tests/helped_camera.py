# SPDX-License-Identifier: MIT
"""A camera that starts a program of its own, as one that wraps a command line does."""

from __future__ import annotations

import subprocess

from capture_proc.camera import CameraWishes
from capture_proc.cameras.pattern import PatternCamera


class HelpedCamera(PatternCamera):
    """The test pattern, and a helper that never ends by itself."""

    helper: tuple[str, ...] = ("sleep", "1000")

    def __init__(self, wishes: CameraWishes) -> None:
        super().__init__(wishes)
        self._running = subprocess.Popen(self.helper)


class TiedHelperCamera(HelpedCamera):
    """The same as README advises: its helper ends with it, however it ends."""

    helper = ("setpriv", "--pdeathsig", "KILL", *HelpedCamera.helper)
