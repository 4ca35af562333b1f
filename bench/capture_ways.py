# SPDX-License-Identifier: MIT
"""One way to bring a camera's pictures into a ring, measured. Run in the Debian folder by capture_cost.py.

    python -m bench.capture_ways WAY WIDTHxHEIGHT SECONDS

Prints the CPU time per frame and the times from capture to publish as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from capture_proc.camera import CameraWishes
from capture_proc.cameras.picamera2.camera import Picamera2Camera
from capture_proc.cameras.picamera2.library import Library
from capture_proc.capture_loop import CaptureLoop, TimeLimits
from capture_proc.clock import SystemClock
from capture_proc.fitting import FittingEncoder
from capture_proc.frozen_scene import SceneWatch
from capture_proc.jpeg import to_jpeg
from capture_proc.options import DEFAULT_QUALITY
from capture_proc.progress import Progress
from shm_ring.layout import Geometry
from shm_ring.ring import RingWriter
from shm_ring.segment import Segment, create_segment
from tests.rows import capture_status

FPS = 30
WARM_UP_S = 1.0


class Measured:
    """Publishes into a ring of its own, and notes what each frame took."""

    slot_bytes = 1 << 30

    def __init__(self, size: tuple[int, int]) -> None:
        name = f"ringcast-bench-{os.getpid()}"
        self._ring = RingWriter(Segment(create_segment(name, Geometry(4, size[0] * size[1]))))
        self._began_s = time.monotonic()
        self._cpu_s: float | None = None
        self.late_ms: list[float] = []

    def publish(self, payload: bytes, facts: bytes = b"") -> int | None:
        """As the ring does; the facts begin with the capture time."""
        sequence = self._ring.publish(payload, facts)
        self.note(int.from_bytes(facts[:8], sys.byteorder))
        return sequence

    def note(self, captured_ns: int) -> None:
        """Note a frame that is done."""
        if self._cpu_s is not None:
            self.late_ms.append((time.monotonic_ns() - captured_ns) / 1e6)
        elif time.monotonic() > self._began_s + WARM_UP_S:
            self._cpu_s = time.process_time()

    def result(self) -> dict[str, float]:
        """Return what was measured since the warm-up."""
        assert self._cpu_s is not None
        return {
            "frames": len(self.late_ms),
            "cpu_ms": (time.process_time() - self._cpu_s) / len(self.late_ms) * 1000,
            "late_p50_ms": float(np.percentile(self.late_ms, 50)),
            "late_p99_ms": float(np.percentile(self.late_ms, 99)),
        }


def ringcast(size: tuple[int, int], seconds: float) -> Measured:
    """Let the capture loop encode and publish, as the capture process does."""
    camera = Picamera2Camera(CameraWishes(size, FPS), Library())
    measured = Measured(size)
    loop = CaptureLoop(
        camera,
        FittingEncoder(to_jpeg, DEFAULT_QUALITY),
        measured,
        clock=SystemClock(),
        limits=TimeLimits(stall_timeout_s=5, first_frame_timeout_s=10),
        scene=SceneWatch(10),
        progress=Progress(lambda _: None, capture_status(), lambda _: None),
    )
    end_s = time.monotonic() + WARM_UP_S + seconds
    loop.run(lambda: time.monotonic() > end_s)
    return measured


def nothing(size: tuple[int, int], seconds: float) -> Measured:
    """Let the pictures go as they are: what the virtual camera itself and Picamera2 cost."""
    camera = Picamera2Camera(CameraWishes(size, FPS), Library())
    measured = Measured(size)
    end_s = time.monotonic() + WARM_UP_S + seconds
    while time.monotonic() < end_s:
        picture = camera.next_picture(1.0)
        assert picture is not None
        measured.note(picture.captured_ns)
    return measured


def jpeg_encoder(size: tuple[int, int], seconds: float) -> Measured:
    """Let Picamera2's own JpegEncoder encode, in threads of its own, and publish what it gives."""
    library = Library()
    from picamera2.encoders import JpegEncoder  # noqa: PLC0415  the library sets up its log first

    measured = Measured(size)
    encoder = JpegEncoder(q=DEFAULT_QUALITY)

    class Publish(library.Output):  # type: ignore[misc,name-defined]  # known at run time
        def outputframe(self, frame: bytes, _key: bool = True, timestamp: int = 0, *_: object) -> None:
            captured_ns = (encoder.firsttimestamp + timestamp) * 1000
            measured.publish(frame, captured_ns.to_bytes(8, sys.byteorder))

    picamera2 = library.Picamera2()
    period_us = round(1e6 / FPS)
    picamera2.configure(
        picamera2.create_video_configuration(
            main={"size": size, "format": "YUV420"},
            raw=None,
            colour_space=library.ColorSpace.Sycc(),
            controls={"FrameDurationLimits": (period_us, period_us)},
        )
    )
    picamera2.start_recording(encoder, Publish())
    time.sleep(WARM_UP_S + seconds)
    return measured


WAYS: dict[str, Callable[[tuple[int, int], float], Any]] = {
    "nothing": nothing,
    "ringcast": ringcast,
    "JpegEncoder": jpeg_encoder,
}


if __name__ == "__main__":
    way, size_text, seconds_text = sys.argv[1:]
    width, height = map(int, size_text.split("x"))
    result = WAYS[way]((width, height), float(seconds_text)).result()
    print(json.dumps(result), flush=True)
    os._exit(0)  # cameras and encoders are left as they are
