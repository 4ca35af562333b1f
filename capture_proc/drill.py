# SPDX-License-Identifier: MIT
"""Faults on purpose, around any camera, so that anyone can rehearse them on their own robot."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from capture_proc.camera import Camera, Picture, Pixels, Yuv420
from capture_proc.options import DrillOrder

_log = logging.getLogger(__name__)


class DrillCamera:
    """A camera that works until the drill begins: at SIGUSR2, or at its picture N."""

    def __init__(self, camera: Camera, order: DrillOrder, to_jpeg_bytes: Callable[[Pixels], bytes]) -> None:
        self._camera = camera
        self._order = order
        self._to_jpeg_bytes = to_jpeg_bytes
        self._pictures = 0
        self._begun = False
        self._told = False
        self.name = f"{camera.name} (drill: {order.kind})"
        self.period_s = camera.period_s
        signal.signal(signal.SIGUSR2, self._on_signal)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._begun = True

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return what the camera returns, or what the fault makes of it."""
        if self._pictures + 1 == self._order.from_picture:
            self._begun = True
        if self._begun:
            if not self._told:
                self._told = True
                _log.warning("drill: %s begins after %d pictures", self._order.kind, self._pictures)
            return self._with_fault(timeout_s)
        return self._count(self._camera.next_picture(timeout_s))

    def close(self) -> None:
        """Let go of the camera."""
        self._camera.close()

    def _count(self, picture: Picture | None) -> Picture | None:
        self._pictures += picture is not None
        return picture

    def _with_fault(self, timeout_s: float) -> Picture | None:
        kind = self._order.kind
        if kind == "hang":  # as a sensor that stalls: no picture comes any more
            time.sleep(timeout_s)
            return None
        if kind == "block":  # as a driver that wedges: the call does not come back
            while True:
                time.sleep(3600)
        if kind == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if kind == "exit":
            os._exit(os.EX_SOFTWARE)
        if kind == "ignore-sigterm":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if kind == "slow":
            time.sleep(min(timeout_s, 5 * self.period_s))
        picture = self._count(self._camera.next_picture(timeout_s))
        if picture is None or kind not in ("truncated", "wrong-size"):
            return picture
        spoilt = self._truncated if kind == "truncated" else _half_size
        return replace(picture, pixels=spoilt(picture.pixels))

    def _truncated(self, pixels: Pixels) -> bytes:
        jpeg = self._to_jpeg_bytes(pixels)
        return jpeg[: len(jpeg) // 2]


def _half_size(pixels: Pixels) -> Pixels:
    if isinstance(pixels, Yuv420):
        return Yuv420(*(np.ascontiguousarray(plane[::2, ::2]) for plane in (pixels.y, pixels.u, pixels.v)))
    if isinstance(pixels, bytes):
        import simplejpeg  # noqa: PLC0415  only here

        pixels = np.asarray(simplejpeg.decode_jpeg(pixels))
    return np.ascontiguousarray(pixels[::2, ::2])
