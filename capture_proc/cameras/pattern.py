# SPDX-License-Identifier: MIT
"""A moving test pattern with its number, the time and "TEST PATTERN" burnt in. Runs anywhere."""

from __future__ import annotations

import time

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from capture_proc.camera import Camera, CameraWishes, Picture, Plane
from capture_proc.clock import Clock, SystemClock
from capture_proc.options import DEFAULT_FPS, DEFAULT_SIZE
from capture_proc.pace import Pace

_BARS = ((235, 235, 235), (235, 235, 16), (16, 235, 235), (16, 235, 16),
         (235, 16, 235), (235, 16, 16), (16, 16, 235))  # fmt: skip
_SWEEP_S = 4.0


class PatternCamera(Camera):
    """Colour bars, a bar that sweeps over them every four seconds, and words that no driver mistakes."""

    scene_may_freeze = False

    def __init__(self, wishes: CameraWishes, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._width, self._height = wishes.size or DEFAULT_SIZE
        self.period_s = 1 / (wishes.fps or DEFAULT_FPS)
        self.name = f"test pattern {self._width}x{self._height}"
        self._pace = Pace(self.period_s, self._clock)
        self._number = 0
        self._still = self._draw_still()
        self._font = ImageFont.load_default(size=max(10, self._height // 16))

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next picture as RGB when it is due."""
        due_ns = self._pace.wait(timeout_s)
        if due_ns is None:
            return None
        self._number += 1
        return Picture(self._draw(due_ns), due_ns)

    def _draw_still(self) -> Plane:
        columns = np.arange(self._width) * len(_BARS) // self._width
        row = np.array(_BARS, dtype=np.uint8)[columns]
        still = np.repeat(row[np.newaxis], self._height, axis=0)
        ramp = np.linspace(0, 255, self._width, dtype=np.uint8)
        still[self._height * 3 // 4 :] = ramp[np.newaxis, :, np.newaxis]
        return still

    def _draw(self, now_ns: int) -> Plane:
        pixels = self._still.copy()
        left = int(now_ns / 1e9 % _SWEEP_S / _SWEEP_S * self._width)
        pixels[:, left : left + max(2, self._width // 64)] = (16, 16, 16)
        picture = Image.fromarray(pixels)
        draw = ImageDraw.Draw(picture)
        now = self._clock.read_ns(time.CLOCK_REALTIME)
        clock = time.strftime("%H:%M:%S", time.localtime(now / 1e9)) + f".{now // 10**6 % 1000:03d}"
        for line, text in enumerate(("TEST PATTERN", f"{self._number:06d}", clock)):
            self._write(draw, text, row=line)
        return np.asarray(picture)

    def _write(self, draw: ImageDraw.ImageDraw, text: str, *, row: int) -> None:
        step = self._height // 8
        at = (self._width // 2, step * 2 + row * step)
        left, top, right, bottom = draw.textbbox(at, text, font=self._font, anchor="mm")
        margin = step // 8
        draw.rectangle((left - margin, top - margin, right + margin, bottom + margin), fill="black")
        draw.text(at, text, font=self._font, fill="white", anchor="mm")
