# SPDX-License-Identifier: MIT
"""Stand-ins that are passed in; nothing is ever patched."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from capture_proc.camera import Camera, NoCameraError, Picture, Pixels
from capture_proc.jpeg import to_jpeg
from server_proc.live.admission import Kind, Seat
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


class FakeCamera(Camera):
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
        self.full = False

    @property
    def slot_bytes(self) -> int:
        return self.most_bytes

    def publish(self, payload: bytes, facts: bytes = b"") -> int | None:
        if len(payload) > self.most_bytes:
            raise TooBigError(len(payload), self.most_bytes)
        if self.full:
            return None
        self.frames.append((payload, facts))
        return len(self.frames)


class FakeRequest:
    """A request of Picamera2 that knows whether it was given back."""

    def __init__(self, array: Any, sensor_timestamp_ns: int, sequence: int = 0, **metadata: Any) -> None:
        self.array = array
        self.released = False
        self.request = self
        self.metadata = {"SensorTimestamp": sensor_timestamp_ns, **metadata}
        self.stream_map = {"main": "stream"}
        self.buffers = {"stream": SimpleNamespace(metadata=SimpleNamespace(sequence=sequence))}

    def get_metadata(self) -> dict[str, Any]:
        return self.metadata

    def release(self) -> None:
        assert not self.released, "a request is released once"
        self.released = True


@dataclass
class FakePicamera2Library:
    """As much of picamera2 and libcamera as is used, for what a virtual camera has not.

    Requests come from a script: one, None for a job that times out, or LATE for one that is done
    at the very moment its time limit ends.
    """

    LATE = "late"

    script: list[Any] = field(default_factory=list)
    ids: list[str] = field(default_factory=lambda: ["/base/imx708", "/base/imx219", "/base/usb/uvc"])
    modes: list[dict[str, Any]] = field(default_factory=list)
    controls: dict[str, tuple[Any, Any, Any]] = field(
        default_factory=lambda: {"FrameDurationLimits": (10_000, 1_000_000, None)}
    )
    names: dict[str, dict[int, str]] = field(default_factory=dict)
    pixel_format: str = "YUV420"
    refused_flips: bool = False
    granted_colours: str | None = None
    mounted_sideways: bool = False
    modes_error: Exception | None = None
    open_error: Exception | None = None
    configure_error: Exception | None = None
    start_error: Exception | None = None
    devices: Path = Path("/no/devices")
    hardware_encoder: Any = None
    hardware_encoder_device: Path = Path("/no/devices/video11")
    controls_error: Exception | None = None
    flushes: int = 0
    closed: bool = False
    tuning: object = None
    tuning_at_first_look: str | None = "not looked yet"
    configured: dict[str, Any] = field(default_factory=dict)
    controls_set: dict[str, Any] = field(default_factory=dict)

    manual_focus, continuous_focus = 0, 2
    platform = "vc4"
    video_role = "video"
    SensorTimestamp = "SensorTimestamp"
    ColorSpace = SimpleNamespace(Sycc=lambda: "sYCC")

    def Transform(self, **flips: bool) -> Any:  # noqa: N802  as libcamera names it
        return SimpleNamespace(**flips)

    @property
    def Picamera2(self) -> Any:  # noqa: N802  as picamera2 names it
        return _FakePicamera2Class(self)

    @staticmethod
    @contextmanager
    def MappedArray(request: FakeRequest, _stream: str, *, write: bool) -> Iterator[FakeRequest]:  # noqa: N802
        assert not write
        yield request


class _FakePicamera2Class:
    def __init__(self, library: FakePicamera2Library) -> None:
        self._library = library

    def global_camera_info(self) -> list[dict[str, Any]]:
        if self._library.tuning_at_first_look == "not looked yet":
            self._library.tuning_at_first_look = os.environ.get("LIBCAMERA_RPI_TUNING_FILE")
        # libcamera's own numbers run in another order than Picamera2's list
        ids = self._library.ids
        return [{"Num": len(ids) - 1 - at, "Id": own_id, "Model": "imx708"} for at, own_id in enumerate(ids)]

    def __call__(self, place: int, tuning: object) -> _FakePicamera2:
        self._library.tuning = tuning
        if self._library.open_error:
            raise self._library.open_error
        return _FakePicamera2(self._library, self._library.ids[place])


def _control_id(names: dict[int, str]) -> Any:
    return SimpleNamespace(isArray=False, enumerators=lambda: names)


def _range(least: tuple[int, int], most: tuple[int, int]) -> Any:
    sizes = (SimpleNamespace(width=width, height=height) for width, height in (least, most))
    return SimpleNamespace(**dict(zip(("min", "max"), sizes, strict=True)))


class _FakePicamera2:
    def __init__(self, library: FakePicamera2Library, camera_id: str) -> None:
        self._library = library
        self._granted: dict[str, Any] = {}
        self._script = iter(library.script)
        formats = SimpleNamespace(pixel_formats=["YUV420"], range=lambda _: _range((64, 64), (4608, 2592)))
        self._configuration = SimpleNamespace(at=lambda _: SimpleNamespace(formats=formats))
        self.camera = SimpleNamespace(id=camera_id, generate_configuration=self._generate_configuration)
        self.camera_controls = {} if "usb" in camera_id else library.controls
        self.camera_ctrl_info = {
            name: (_control_id(library.names.get(name, {})), SimpleNamespace(values=[]))
            for name in self.camera_controls
        }
        self.sensor_modes_ = library.modes

    def _generate_configuration(self, _roles: list[str]) -> Any:
        if self._library.controls_error:
            raise self._library.controls_error
        return self._configuration

    @property
    def sensor_modes(self) -> list[dict[str, Any]]:
        if self._library.modes_error:
            raise self._library.modes_error
        return self._library.modes

    def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
        return wanted

    def configure(self, wanted: dict[str, Any]) -> None:
        """Refuse what the real one refuses, too."""
        if self._library.configure_error:
            raise self._library.configure_error
        if any(pixels % 2 for pixels in wanted["main"]["size"]):
            raise RuntimeError("width and height should be even")
        self._library.configured = wanted
        transform = SimpleNamespace(hflip=False, vflip=False)
        if not self._library.refused_flips:
            transform = SimpleNamespace(**vars(wanted["transform"]))
        transform.transpose = self._library.mounted_sideways
        self._granted = {
            "main": {"size": wanted["main"]["size"], "format": self._library.pixel_format},
            "transform": transform,
            "colour_space": self._library.granted_colours or wanted["colour_space"],
            "sensor": wanted["sensor"],
        }

    def camera_configuration(self) -> dict[str, Any]:
        return self._granted

    def set_controls(self, controls: dict[str, Any]) -> None:
        for name in controls:
            if name not in self.camera_controls:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        self._library.controls_set = controls

    def start(self) -> None:
        if self._library.start_error:
            raise self._library.start_error

    def capture_request(self, wait: bool) -> list[Any]:
        assert not wait, "it would wait for ever on a stalled camera"
        step = next(self._script)
        return (
            [TimeoutError(), next(self._script)] if step == self._library.LATE else [step or TimeoutError()]
        )

    def wait(self, job: list[Any], timeout: float) -> FakeRequest:
        assert timeout > 0
        step = job.pop(0) if job else CancelledError()
        if isinstance(step, Exception):
            raise step
        assert isinstance(step, FakeRequest)
        return step

    def cancel_all_and_flush(self) -> None:
        self._library.flushes += 1

    def close(self) -> None:
        self._library.closed = True


def rgb(shade: int = 100, size: tuple[int, int] = (64, 48)) -> Any:
    """Return a picture (height, width, 3) of one shade."""
    return np.full((size[1], size[0], 3), shade, dtype=np.uint8)


def noise(size: tuple[int, int] = (64, 48), seed: int = 0) -> Any:
    """Return a picture (height, width, 3) that hardly compresses."""
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def jpeg_of(pixels: Any, quality: int = 80) -> bytes:
    """Return pixels as a JPEG."""
    return to_jpeg(pixels, quality).jpeg


class FakeSeat(Seat):
    """A place that reports when it is given back."""

    def __init__(self, give_back: Callable[[], None] = lambda: None) -> None:
        super().__init__(deque(), Kind.VIEWER, bucket="", key="")
        self._give_back = give_back

    def leave(self) -> None:
        self._give_back()


class NoCamera:
    """`--camera tests.fakes:NoCamera`: a camera that is not connected."""

    def __init__(self, _settings: object) -> None:
        raise NoCameraError("nothing is plugged in")
