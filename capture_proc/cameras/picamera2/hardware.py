# SPDX-License-Identifier: MIT
"""Pictures of Picamera2 as ready JPEGs, from the encoder in the hardware of Raspberry Pi 0 to 4.

Never run on hardware: /dev/video11 exists nowhere else. `make test-camera` runs it with an encoder of
Picamera2's in software, which is driven in the same way.
"""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from capture_proc.camera import Picture
from capture_proc.cameras.picamera2.planes import sensor_clock

_QUALITIES = {25: "VERY_LOW", 35: "LOW", 50: "MEDIUM", 65: "HIGH", 80: "VERY_HIGH"}
"""Picamera2's five qualities by the JPEG quality that its own JpegEncoder takes each for."""
_METADATA_S = 1.0


class HardwarePictures:
    """Pictures as the encoder gives them, the newest only. `next_picture` is for the camera's thread."""

    def __init__(self, library: Any, picamera2: Any, encoder: Any, *, quality: int) -> None:
        """Attach the encoder to a camera that is configured and not yet started.

        `quality` is that of a JPEG, 1 to 100; the encoder is given the nearest of Picamera2's five.
        """
        self.metadata: Mapping[str, Any] = {}
        """What the camera told with one of its last pictures."""
        self._picamera2 = picamera2
        self._encoder = encoder
        self._asked_s = -_METADATA_S
        self._newest: queue.Queue[tuple[int, bytes, int]] = queue.Queue(maxsize=1)
        newest, numbers = self._newest, itertools.count(1)

        class NewestOutput(library.Output):  # type: ignore[misc]  # its base is told at run time
            """Called by the encoder's thread with each JPEG."""

            def outputframe(
                self, frame: bytes, _keyframe: bool = True, timestamp: int = 0, *_: object
            ) -> None:
                with suppress(queue.Empty):
                    newest.get_nowait()
                newest.put_nowait((next(numbers), bytes(frame), timestamp))

        nearest = min(_QUALITIES, key=lambda known: abs(known - quality))
        named = getattr(library.Quality, _QUALITIES[nearest])
        picamera2.start_encoder(encoder, NewestOutput(), quality=named)

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the newest JPEG."""
        try:
            number, jpeg, since_first_us = self._newest.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if time.monotonic() > self._asked_s + _METADATA_S:
            self._asked_s = time.monotonic()
            self._picamera2.capture_metadata(wait=False, signal_function=self._take_metadata)
        captured_ns = (self._encoder.firsttimestamp + since_first_us) * 1000
        return Picture(jpeg, captured_ns, sensor_clock(captured_ns), number)

    def _take_metadata(self, job: Any) -> None:
        self.metadata = self._picamera2.wait(job, timeout=_METADATA_S)

    def close(self) -> None:
        """Nothing is lent; the encoder ends with the process, for one that hangs cannot be waited for."""
