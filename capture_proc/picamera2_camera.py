# SPDX-License-Identifier: MIT
"""The Raspberry Pi's camera through Picamera2; the only file that imports it.

The facts that shape it were measured on picamera2 0.3.38 with libcamera's virtual camera, or read in
its source. Nothing here was tried on a Raspberry Pi yet.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from capture_proc.camera import CameraSettings, NoCameraError, Picture, Plane, Yuv420
from capture_proc.options import DEFAULT_FPS, DEFAULT_SIZE


class Picamera2Camera:
    """The first camera that libcamera lists (USB cameras come last)."""

    def __init__(self, settings: CameraSettings, library: Any = None) -> None:
        """Open, configure and start the camera.

        `library` stands in for the modules picamera2 and libcamera in tests.

        Raises:
            NoCameraError: none is connected, or another program holds it.
        """
        self._library = library or _Library()
        picamera2_class = self._library.Picamera2
        cameras = picamera2_class.global_camera_info()
        if not cameras:
            raise NoCameraError(
                "libcamera finds no camera; check the cable at both ends, then type: "
                "rpicam-hello --list-cameras"
            )
        try:
            self._picamera2 = picamera2_class(cameras[0]["Num"])
        except (RuntimeError, IndexError) as error:
            raise NoCameraError(
                f"the camera {cameras[0]['Id']} cannot be opened ({error}); end the program that holds it"
            ) from error
        self.period_s = 1 / (settings.fps or DEFAULT_FPS)
        self._size = self._configure(settings.size or DEFAULT_SIZE)
        self.name = f"{cameras[0].get('Model', 'camera')} {self._size[0]}x{self._size[1]}"
        self._lent = ExitStack()
        self._picamera2.start()

    def _configure(self, size: tuple[int, int]) -> tuple[int, int]:
        """Configure for YUV420 and return the size granted, which can differ from `size`."""
        period_us = round(self.period_s * 1e6)
        wanted = self._picamera2.create_video_configuration(
            main={"size": size, "format": "YUV420"},
            # the default is limited-range; JPEG is full-range BT.601
            colour_space=self._library.ColorSpace.Sycc(),
            controls={"FrameDurationLimits": (period_us, period_us)},
        )
        self._picamera2.configure(wanted)
        width, height = self._picamera2.camera_configuration()["main"]["size"]
        return width, height

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next picture as planes in the camera's own memory."""
        self._lent.close()
        try:
            # never without a time limit: a stalled camera is no event, and it would wait for ever
            request = self._picamera2.capture_request(wait=timeout_s)
        except TimeoutError:
            # a job that timed out stays queued and would swallow the next frame unreleased
            self._picamera2.cancel_all_and_flush()
            return None
        self._lent.callback(request.release)
        mapped = self._lent.enter_context(self._library.MappedArray(request, "main", write=False))
        planes = yuv420_planes(mapped.array, self._size)
        captured_ns = request.get_metadata()["SensorTimestamp"]
        return Picture(planes, captured_ns, time.CLOCK_BOOTTIME)

    def close(self) -> None:
        """Let go of the camera; `stop()` would queue behind stuck jobs for ever, `close()` does not."""
        self._lent.close()
        self._picamera2.close()


class _Library:
    """What is used of picamera2 and libcamera."""

    def __init__(self) -> None:
        try:
            from libcamera import ColorSpace  # noqa: PLC0415
            from picamera2 import MappedArray, Picamera2  # noqa: PLC0415
        except ImportError as error:
            raise NoCameraError(
                f"picamera2 cannot be imported ({error}); on Raspberry Pi OS type: "
                "sudo apt install python3-picamera2"
            ) from error
        self.ColorSpace = ColorSpace
        self.MappedArray = MappedArray
        self.Picamera2 = Picamera2


def yuv420_planes(array: Plane, size: tuple[int, int]) -> Yuv420:
    """Return the planes of a YUV420 buffer as views, without a copy.

    `array` has shape (height * 3 // 2, stride) with height and stride of the buffer; `size` is the
    picture's (width, height), which can be smaller.
    """
    width, height = size
    rows, stride = array.shape[0] * 2 // 3, array.shape[1]
    halves = array.reshape(array.shape[0] * 2, stride // 2)
    u_at, v_at = 2 * rows, 2 * rows + rows // 2
    return Yuv420(
        y=array[:height, :width],
        u=halves[u_at : u_at + height // 2, : width // 2],
        v=halves[v_at : v_at + height // 2, : width // 2],
    )
