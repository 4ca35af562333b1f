# SPDX-License-Identifier: MIT
"""Pictures of Picamera2 as planes: pulled one by one, in the camera's own memory.

The library comes as an argument; see library.py.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from typing import Any

from capture_proc.camera import Picture, Plane, Yuv420
from capture_proc.orientation import Orientation
from capture_proc.turned import turned

_LATE_S = 1.0
"""How long a request may take to arrive that came at the very moment its time limit ended."""


class PlanePictures:
    """Pictures as planes, pulled one by one. For the thread of the camera."""

    def __init__(
        self, library: Any, picamera2: Any, size: tuple[int, int], period_s: float, left: Orientation
    ) -> None:
        self.metadata: Mapping[str, Any] = {}
        """What the camera told with one of its last pictures."""
        self._library = library
        self._picamera2 = picamera2
        self._size = size
        self._left = left
        self._pictures_a_second = max(1, round(1 / period_s))
        self._pictures = 0
        self._lent = ExitStack()

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next picture; its planes are the camera's own memory, lent until the next call."""
        self._lent.close()
        request = self._next_request(timeout_s)
        if request is None:
            return None
        # a request that is not given back is a buffer lost
        self._lent.callback(request.release)
        mapped = self._lent.enter_context(self._library.MappedArray(request, "main", write=False))
        planes = turned(yuv420_planes(mapped.array, self._size), self._left)
        if self._pictures % self._pictures_a_second == 0:
            self.metadata = request.get_metadata()
        self._pictures += 1
        buffer = request.request.buffers[request.stream_map["main"]]
        captured_ns = request.request.metadata[self._library.SensorTimestamp]
        return Picture(
            planes,
            captured_ns,
            clock_id=sensor_clock(captured_ns),
            number=buffer.metadata.sequence,
        )

    def _next_request(self, timeout_s: float) -> Any:
        # never without a time limit: a stalled camera is no event, and this would wait for ever
        job = self._picamera2.capture_request(wait=False)
        try:
            return self._picamera2.wait(job, timeout=timeout_s)
        except TimeoutError:
            # the job would stay queued, and swallow the next frame unreleased
            self._picamera2.cancel_all_and_flush()
        with suppress(CancelledError, TimeoutError):
            # it was done at the last moment: its request must not be lost
            return self._picamera2.wait(job, timeout=_LATE_S)
        return None

    def close(self) -> None:
        """Give back what is lent."""
        self._lent.close()


def sensor_clock(timestamp_ns: int) -> int:
    """Return the clock that a SensorTimestamp of just now is of: the one that shows about the same time.

    libcamera documents CLOCK_BOOTTIME, and hands on the CLOCK_MONOTONIC of most kernel drivers
    (https://github.com/christianrauch/camera_ros/pull/127). They differ where the machine has slept.
    """
    clocks = (time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC)
    return min(clocks, key=lambda clock: abs(time.clock_gettime_ns(clock) - timestamp_ns))


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
