# SPDX-License-Identifier: MIT
"""What the capture process says of itself about once a second. Nothing in it ends the capture."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from capture_proc.camera import Camera
from shm_ring.status import CaptureStatus

_log = logging.getLogger(__name__)


class Report:
    """Adds what the camera was granted, and what it remembers. For the thread of the camera."""

    def __init__(self, camera: Camera, write: Callable[[CaptureStatus], None]) -> None:
        """Take the camera as it was opened, and what a status is written with."""
        self._camera = camera
        self._write = write
        self._told = False

    def __call__(self, status: CaptureStatus) -> None:
        """Write a status; without `granted` where that cannot be had or written."""
        try:
            self._write(self._with_facts(status))
        except Exception as error:  # noqa: BLE001  a property of somebody's own may raise and hold anything
            if not self._told:
                self._told = True
                _log.warning(
                    "/status cannot show what the camera granted (%s: %s); let its property `granted` return "
                    "plain numbers, texts, lists and dicts of less than 16 KB (told once)",
                    type(error).__name__,
                    error,
                )
            self._write(status)

    def _with_facts(self, status: CaptureStatus) -> CaptureStatus:
        remembered = self._camera.remembered
        if remembered is None:
            remembered = status.remembered
        return replace(status, granted=self._camera.granted, remembered=remembered)
