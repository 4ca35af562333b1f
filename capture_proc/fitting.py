# SPDX-License-Identifier: MIT
"""Pictures are encoded so that each fits its slot: with a lower quality where need be."""

from __future__ import annotations

import logging
from collections.abc import Callable

from capture_proc.camera import Pixels
from capture_proc.ready_jpeg import Jpeg

_log = logging.getLogger(__name__)

_STEP_DOWN = 15
"""From 95 to 80 or from 80 to 65 a picture becomes about half or two thirds as large."""
_STEP_UP = 5
_LEAST = 10
"""Below that a picture is unrecognisable, and hardly any smaller."""
_ROOMY = 0.5
"""A frame of a smaller part of its slot than this has room for the next step up."""
_ROOMY_FRAMES = 40
"""How many frames in a row must have room: a try that fails is encoded twice."""


class Quality:
    """Falls at once when a frame does not fit, and returns slowly to what was asked for."""

    def __init__(self, asked: int) -> None:
        """`asked` is a JPEG quality from 1 to 100; no picture is encoded with more."""
        self.now = asked
        self._asked = asked
        self._roomy_frames = 0

    def lower(self) -> bool:
        """Take the next lower quality; tell whether there is one."""
        before, self._roomy_frames = self.now, 0
        self.now = min(before, max(_LEAST, before - _STEP_DOWN))
        return self.now < before

    def fitted(self, part_of_slot: float) -> None:
        """Take note of a frame that fits; `part_of_slot` is how much of its slot it fills, from 0 to 1."""
        if self.now == self._asked:
            return
        self._roomy_frames = self._roomy_frames + 1 if part_of_slot < _ROOMY else 0
        if self._roomy_frames >= _ROOMY_FRAMES:
            self.now = min(self._asked, self.now + _STEP_UP)
            self._roomy_frames = 0


class FittingEncoder:
    """Encodes pictures. For the thread of the camera."""

    def __init__(self, encode: Callable[[Pixels, int], Jpeg], quality: int) -> None:
        """`encode` takes pixels and a JPEG quality, which is `quality` unless a frame is too large."""
        self.squeezed = 0
        """How many frames had to be encoded again."""
        self._encode = encode
        self._quality = Quality(quality)

    def encode(self, pixels: Pixels, slot_bytes: int) -> Jpeg:
        """Encode pixels so that they fit a slot if they can; a ready JPEG is not encoded again."""
        quality = self._quality.now
        jpeg = self._encode(pixels, quality)
        if isinstance(pixels, bytes):
            return jpeg
        first_bytes = len(jpeg.jpeg)
        while len(jpeg.jpeg) > slot_bytes and self._quality.lower():
            jpeg = self._encode(pixels, self._quality.now)
        if self._quality.now < quality:
            self._count(first_bytes, slot_bytes)
        self._quality.fitted(len(jpeg.jpeg) / slot_bytes)
        return jpeg

    def _count(self, frame_bytes: int, slot_bytes: int) -> None:
        self.squeezed += 1
        if self.squeezed == 1:
            _log.warning(
                "a frame of %d bytes does not fit a slot of %d: until there is room again, frames are "
                "encoded with quality %d or less; raise --slot-bytes or lower --quality (logged once; "
                "/status counts them as squeezed)",
                frame_bytes,
                slot_bytes,
                self._quality.now,
            )
