# SPDX-License-Identifier: MIT
"""Stand-ins that are passed in; nothing is ever patched."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from capture_proc.camera import Picture, Pixels
from capture_proc.jpeg import to_jpeg
from shm_ring.errors import TooBigError


class FakeClock:
    """Moves when told, or when somebody sleeps on it."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_ns = round(now_s * 1e9)

    def monotonic_ns(self) -> int:
        return self.now_ns

    def read_ns(self, clock_id: int) -> int:
        """Return the wall clock or the boot clock, which are each a constant ahead."""
        ahead = {time.CLOCK_REALTIME: 1_700_000_000, time.CLOCK_BOOTTIME: 5000}.get(clock_id, 0)
        return self.now_ns + ahead * 10**9

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


class FakeCamera:
    """Follows a script, one entry per call: pixels, a Picture, None for no picture, or an error."""

    name = "fake camera"
    period_s = 0.05

    def __init__(self, script: Iterable[Pixels | Picture | Exception | None], clock: FakeClock) -> None:
        self._script = iter(script)
        self._clock = clock
        self.closed = False

    def next_picture(self, timeout_s: float) -> Picture | None:
        step = next(self._script, None)
        if step is None:
            self._clock.sleep(timeout_s)
            return None
        if isinstance(step, Exception):
            raise step
        self._clock.sleep(self.period_s)
        if isinstance(step, Picture):
            return step
        return Picture(step, self._clock.monotonic_ns())

    def close(self) -> None:
        self.closed = True


class FakeSink:
    """Takes frames of up to `most_bytes`, as a ring does."""

    def __init__(self, most_bytes: int = 1 << 20) -> None:
        self.most_bytes = most_bytes
        self.frames: list[tuple[bytes, bytes]] = []
        self.published_before = False

    @property
    def empty(self) -> bool:
        return not self.frames and not self.published_before

    def publish(self, payload: bytes, facts: bytes = b"") -> int | None:
        if len(payload) > self.most_bytes:
            raise TooBigError(len(payload), self.most_bytes)
        self.frames.append((payload, facts))
        return len(self.frames)


class FakeRequest:
    """A request of Picamera2 that knows whether it was given back."""

    def __init__(self, array: Any, sensor_timestamp_ns: int) -> None:
        self.array = array
        self.released = False
        self._sensor_timestamp_ns = sensor_timestamp_ns

    def get_metadata(self) -> dict[str, int]:
        return {"SensorTimestamp": self._sensor_timestamp_ns}

    def release(self) -> None:
        assert not self.released, "a request is released once"
        self.released = True


class FakePicamera2Library:
    """As much of picamera2 and libcamera as the camera uses; requests come from a script."""

    def __init__(self, script: list[FakeRequest | None], granted: tuple[int, int]) -> None:
        library = self
        self.flushes = 0
        self.configured: dict[str, Any] = {}
        self.closed = False
        self.cameras: list[dict[str, Any]] = [{"Num": 0, "Id": "/base/imx708", "Model": "imx708"}]

        class Picamera2:
            @staticmethod
            def global_camera_info() -> list[dict[str, Any]]:
                return library.cameras

            def __init__(self, number: int) -> None:
                self.number = number

            def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
                return wanted

            def configure(self, wanted: dict[str, Any]) -> None:
                library.configured = wanted

            def camera_configuration(self) -> dict[str, Any]:
                return {"main": {"size": granted}}

            def start(self) -> None:
                pass

            def capture_request(self, wait: float) -> FakeRequest:
                assert wait > 0
                request = script.pop(0)
                if request is None:
                    raise TimeoutError
                return request

            def cancel_all_and_flush(self) -> None:
                library.flushes += 1

            def close(self) -> None:
                library.closed = True

        class MappedArray:
            def __init__(self, request: FakeRequest, _stream: str, *, write: bool) -> None:
                assert not write
                self.array = request.array

            def __enter__(self) -> MappedArray:
                return self

            def __exit__(self, *_: object) -> None:
                pass

        class ColorSpace:
            @staticmethod
            def Sycc() -> str:  # noqa: N802
                return "sYCC"

        self.Picamera2, self.MappedArray, self.ColorSpace = Picamera2, MappedArray, ColorSpace


def rgb(shade: int = 100, size: tuple[int, int] = (64, 48)) -> Any:
    """Return a picture (height, width, 3) of one shade."""
    return np.full((size[1], size[0], 3), shade, dtype=np.uint8)


def noise(size: tuple[int, int] = (64, 48), seed: int = 0) -> Any:
    """Return a picture (height, width, 3) that hardly compresses."""
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def jpeg_of(pixels: Any, quality: int = 80) -> bytes:
    """Return pixels as a JPEG."""
    return to_jpeg(pixels, quality).jpeg
