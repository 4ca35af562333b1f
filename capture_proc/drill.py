# SPDX-License-Identifier: MIT
"""Faults on purpose, around any camera, so that anyone can rehearse them on their own robot."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from capture_proc.camera import Camera, CameraAround, Picture, Pixels, Yuv420, in_one_line
from capture_proc.options import DEFAULT_QUALITY
from capture_proc.ready_jpeg import Jpeg
from proc_start.drills import AT_EACH_START, OF_CAMERAS, ordered_drill
from proc_start.logs import flush_log

_log = logging.getLogger(__name__)


class DrillCamera(CameraAround):
    """A camera that works until a fault is ordered, by a file and SIGUSR2.

    For the main thread.
    """

    def __init__(self, camera: Camera, encode: Callable[[Pixels, int], Jpeg], file: str = "") -> None:
        """Take the camera and what encodes its pixels; `file` is the one by which faults are ordered."""
        super().__init__(camera)
        self._encode = encode
        self._file = file
        self._kind = ""
        self._pictures = 0
        self._asked = False
        self._same: Picture | None = None
        self.name = in_one_line(camera.name)
        self.period_s = float(camera.period_s)
        if ordered_drill(file).endswith(AT_EACH_START):
            self._begin()
        signal.signal(signal.SIGUSR2, self._on_signal)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._asked = True

    def _begin(self) -> None:
        self._asked = False
        kind = ordered_drill(self._file).removeprefix("camera-").removesuffix(AT_EACH_START)
        if kind in OF_CAMERAS:
            self._kind = kind
            # the test pattern takes part as well, or it could be rehearsed nowhere without a camera
            self.scene_may_freeze = self.scene_may_freeze or kind == "frozen-scene"
            if kind == "ignore-sigterm":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self.name = f"{in_one_line(self._camera.name)} (drill: {kind})"
            _log.warning("drill: %s begins after %d pictures", kind, self._pictures)
            flush_log()

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return what the camera returns, or what the fault makes of it."""
        if self._asked:
            self._begin()
        if self._kind:
            return self._with_fault(self._kind, timeout_s)
        return self._count(self._camera.next_picture(timeout_s))

    def encode(self, pixels: Pixels, quality: int) -> Jpeg:
        """Encode pixels, or be stuck in it."""
        if self._kind == "encoder-stuck":
            _sleep_for_ever()
        return self._encode(pixels, quality)

    def _count(self, picture: Picture | None) -> Picture | None:
        self._pictures += picture is not None
        return picture

    def _with_fault(self, kind: str, timeout_s: float) -> Picture | None:
        if kind in _ENDS:
            _ENDS[kind]()
        if kind == "hang":  # as a sensor that stalls: no picture comes any more
            time.sleep(timeout_s)
            return None
        if kind == "slow":
            time.sleep(min(timeout_s, 5 * self.period_s))
        picture = self._count(self._camera.next_picture(timeout_s))
        if picture is None:
            return None
        if kind in ("same-picture", "frozen-scene"):  # frames go on, and the sensor does not
            self._same = self._same or replace(picture, pixels=_copy(picture.pixels))
            return self._same if kind == "same-picture" else replace(picture, pixels=self._same.pixels)
        if kind in ("truncated", "wrong-size"):
            spoilt = self._truncated if kind == "truncated" else _half_size
            return replace(picture, pixels=spoilt(picture.pixels))
        return picture

    def _truncated(self, pixels: Pixels) -> bytes:
        jpeg = self._encode(pixels, DEFAULT_QUALITY).jpeg
        return jpeg[: len(jpeg) // 2]


def _sleep_for_ever() -> None:
    while True:
        time.sleep(3600)


def _hold_the_interpreter() -> None:
    """Be stuck in C with the interpreter lock held, as a library that forgot to let go of it."""
    libc = ctypes.PyDLL(None)
    while True:
        libc.sleep(3600)


def _raise() -> None:
    raise RuntimeError("this is a drill")


_ENDS: dict[str, Callable[[], None]] = {
    "block": _sleep_for_ever,  # as a driver that wedges: the call does not come back
    "hold-interpreter": _hold_the_interpreter,
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "raise": _raise,
    "exit": lambda: os._exit(os.EX_SOFTWARE),
    "exit-0": lambda: os._exit(os.EX_OK),
}
"""Faults after which nothing follows."""


def _copy(pixels: Pixels) -> Pixels:
    if isinstance(pixels, Yuv420):
        return Yuv420(*(plane.copy() for plane in (pixels.y, pixels.u, pixels.v)))
    return pixels if isinstance(pixels, bytes) else pixels.copy()


def _half_size(pixels: Pixels) -> Pixels:
    if isinstance(pixels, Yuv420):
        return Yuv420(*(np.ascontiguousarray(plane[::2, ::2]) for plane in (pixels.y, pixels.u, pixels.v)))
    if isinstance(pixels, bytes):
        import simplejpeg  # noqa: PLC0415  only here

        pixels = np.asarray(simplejpeg.decode_jpeg(pixels))
    return np.ascontiguousarray(pixels[::2, ::2])
