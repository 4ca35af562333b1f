# SPDX-License-Identifier: MIT
"""Pictures of Picamera2 as ready JPEGs, from the encoder in the hardware of Raspberry Pi 0 to 4.

Never run on hardware: /dev/video11 exists nowhere else. `make test-camera` runs it with an encoder of
Picamera2's in software, which is driven in the same way.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from capture_proc.camera import Picture

_QUALITIES = {25: "VERY_LOW", 35: "LOW", 50: "MEDIUM", 65: "HIGH", 80: "VERY_HIGH"}
"""Picamera2's five qualities by the JPEG quality that its own JpegEncoder takes each for."""


class HardwarePictures:
    """Pictures as the encoder gives them, the newest only. `next_picture` is for the camera's thread."""

    def __init__(self, library: Any, picamera2: Any, encoder: Any, *, quality: int) -> None:
        """Attach the encoder to a camera that is configured and not yet started.

        `quality` is that of a JPEG, 1 to 100; the encoder is given the nearest of Picamera2's five.
        """
        self.metadata: Mapping[str, Any] = {}
        """What the camera told with a picture: an encoder hands on nothing of it."""
        self._encoder = encoder
        self._newest: queue.Queue[tuple[bytes, int]] = queue.Queue(maxsize=1)
        newest = self._newest

        class NewestOutput(library.Output):  # type: ignore[misc]  # known at run time
            """Called by the encoder's thread with each JPEG."""

            def outputframe(
                self, frame: bytes, _keyframe: bool = True, timestamp: int = 0, *_: object
            ) -> None:
                with suppress(queue.Empty):
                    newest.get_nowait()
                newest.put_nowait((bytes(frame), timestamp))

        nearest = min(_QUALITIES, key=lambda known: abs(known - quality))
        named = getattr(library.Quality, _QUALITIES[nearest])
        picamera2.start_encoder(encoder, NewestOutput(), quality=named)

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the newest JPEG."""
        try:
            jpeg, since_first_us = self._newest.get(timeout=timeout_s)
        except queue.Empty:
            return None
        captured_ns = (self._encoder.firsttimestamp + since_first_us) * 1000
        return Picture(jpeg, captured_ns, time.CLOCK_BOOTTIME)

    def close(self) -> None:
        """Nothing is lent; the encoder ends with the process, for one that hangs cannot be waited for."""
