# SPDX-License-Identifier: MIT
"""Faults on purpose, around any camera, so that anyone can rehearse them on their own robot."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np

from capture_proc.camera import Camera, Picture, Pixels, Yuv420
from capture_proc.options import DrillOrder, drill_order
from capture_proc.ready_jpeg import Jpeg
from proc_start.drills import ordered_drill
from proc_start.logs import flush_log

_log = logging.getLogger(__name__)


class DrillCamera:
    """A camera that works until a drill begins: at SIGUSR2, or at its picture N.

    For the main thread.
    """

    def __init__(
        self,
        camera: Camera,
        order: DrillOrder | None,
        encode: Callable[[Pixels], Jpeg],
        file: str = "",
    ) -> None:
        """Take the fault that was ordered at the start; `file` may name another by then, or later."""
        self._camera = camera
        self._encode = encode
        self._file = file
        at_once = self._ordered_by_file()
        self._order = at_once if at_once and at_once.from_picture else order
        self.name = camera.name if self._order is None else f"{camera.name} (drill: {self._order.kind})"
        self._pictures = 0
        self._begun = False
        self._told = False
        self._same: Picture | None = None
        self.period_s = camera.period_s
        signal.signal(signal.SIGUSR2, self._on_signal)

    def _ordered_by_file(self) -> DrillOrder | None:
        with suppress(ValueError):  # a fault of another process
            return drill_order(ordered_drill(self._file).removeprefix("camera-"))
        return None

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._begun = True

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return what the camera returns, or what the fault makes of it."""
        if self._begun and not self._told:
            self._order = self._ordered_by_file() or self._order
        if self._order is not None and self._pictures + 1 == self._order.from_picture:
            self._begun = True
        if self._order is not None and self._begun:
            if not self._told:
                self._told = True
                self.name = f"{self._camera.name} (drill: {self._order.kind})"
                _log.warning("drill: %s begins after %d pictures", self._order.kind, self._pictures)
                flush_log()
            return self._with_fault(self._order.kind, timeout_s)
        return self._count(self._camera.next_picture(timeout_s))

    def encode(self, pixels: Pixels) -> Jpeg:
        """Encode pixels, or be stuck in it."""
        if self._told and self._order is not None and self._order.kind == "encoder-stuck":
            _sleep_for_ever()
        return self._encode(pixels)

    def close(self) -> None:
        """Let go of the camera."""
        self._camera.close()

    def _count(self, picture: Picture | None) -> Picture | None:
        self._pictures += picture is not None
        return picture

    def _with_fault(self, kind: str, timeout_s: float) -> Picture | None:
        if kind in _ENDS:
            _ENDS[kind]()
        if kind == "hang":  # as a sensor that stalls: no picture comes any more
            time.sleep(timeout_s)
            return None
        if kind == "ignore-sigterm":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if kind == "slow":
            time.sleep(min(timeout_s, 5 * self.period_s))
        picture = self._count(self._camera.next_picture(timeout_s))
        if picture is None:
            return None
        if kind == "same-picture":  # as a camera whose frames go on, and whose sensor does not
            self._same = self._same or replace(picture, pixels=_copy(picture.pixels))
            return self._same
        if kind in ("truncated", "wrong-size"):
            spoilt = self._truncated if kind == "truncated" else _half_size
            return replace(picture, pixels=spoilt(picture.pixels))
        return picture

    def _truncated(self, pixels: Pixels) -> bytes:
        jpeg = self._encode(pixels).jpeg
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
