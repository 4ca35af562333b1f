# SPDX-License-Identifier: MIT
"""Cameras whose scene freezes a second after each start, while their times run on."""

from __future__ import annotations

import numpy as np

from capture_proc.camera import CameraWishes, Picture, Pixels
from capture_proc.clock import SystemClock
from capture_proc.pace import Pace
from tests.fakes import jpeg_of, noise

_SIZE = (320, 240)
_MOVING_PICTURES = 20


class FrozenArray:
    """Noise as an array, always the same one: `--camera tests.frozen_camera:FrozenArray`."""

    name, period_s = "frozen camera", 0.05

    def __init__(self, _wishes: CameraWishes) -> None:
        self._pace = Pace(self.period_s, SystemClock())
        self._pictures = 0
        self._array = noise(_SIZE)

    def next_picture(self, timeout_s: float) -> Picture | None:
        due_ns = self._pace.wait(timeout_s)
        if due_ns is None:
            return None
        self._pictures += 1
        if self._pictures <= _MOVING_PICTURES:
            np.copyto(self._array, noise(_SIZE, self._pictures))
        return Picture(self._pixels(), due_ns)

    def _pixels(self) -> Pixels:
        pixels: Pixels = self._array
        return pixels

    def close(self) -> None:
        pass


class FrozenJpeg(FrozenArray):
    """The same as ready JPEGs; when it is frozen it gives the very same object."""

    def _pixels(self) -> Pixels:
        if self._pictures <= _MOVING_PICTURES:
            self._jpeg = jpeg_of(self._array)
        return self._jpeg
