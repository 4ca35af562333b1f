# SPDX-License-Identifier: MIT
"""What libcamera's virtual camera lacks and a real one has, put around libcamera's own classes.

A clock: it would give 1,200 frames a second. Exclusion: a second process could open it too. YUV420: it
gives NV12. Flips: it grants them and does nothing. The range of colours: it gives the full one whatever is
asked for. Controls: it does not tell what it granted. Raw formats, which Picamera2 asks every camera for.
And faults on purpose: while the file `CAMERA_ID.fault` (a slash is _) stands beside `virtual.yaml`, the
sensor does what its text names:

    stall   no frame comes any more, and no error
    wedge   as a driver that hangs: no frame comes, and Camera.stop() does not return either
"""

from __future__ import annotations

import collections
import errno
import fcntl
import os
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import libcamera
import numpy as np

CAMERAS = Path("/usr/share/libcamera/pipeline/virtual")

memory_of: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
"""The mapped memory of each frame buffer."""

_NV12, _YUV420 = libcamera.PixelFormat("NV12"), libcamera.PixelFormat("YUV420")
_last_requests: collections.deque[Any] = collections.deque(maxlen=16)
"""libcamera's bindings crash when a request is collected while its completion is still on the way."""
_sensors: dict[str, _Sensor] = {}


class _Sensor:
    """Gives the camera one queued request per frame period; where none is queued, a frame is lost."""

    def __init__(self, camera: Any, period_s: float) -> None:
        self._camera = camera
        self._period_s = period_s
        self._queued: collections.deque[Any] = collections.deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sensor", daemon=True)
        self._thread.start()

    def queue(self, request: Any) -> None:
        self._queued.append(request)

    def stop(self) -> None:
        while fault(self._camera.id) == "wedge":
            time.sleep(0.05)
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stopping.wait(max(0.0, due_s - time.monotonic())):
            due_s = max(due_s + self._period_s, time.monotonic() - self._period_s)
            if self._queued and not fault(self._camera.id):
                request = self._queued.popleft()
                _last_requests.append(request)
                _queue_request(self._camera, request)


def fault(camera_id: str) -> str:
    """Return the fault that is to be made now, or nothing."""
    try:
        return _beside(camera_id, "fault").read_text().strip()
    except FileNotFoundError:
        return ""


def _beside(camera_id: str, kind: str) -> Path:
    return CAMERAS / f"{camera_id.replace('/', '_')}.{kind}"


_acquire, _release = libcamera.Camera.acquire, libcamera.Camera.release
_configure = libcamera.Camera.configure
_validate = libcamera.CameraConfiguration.validate
_metadata = libcamera.Request.metadata
_start, _stop = libcamera.Camera.start, libcamera.Camera.stop
_queue_request = libcamera.Camera.queue_request
_generate_configuration = libcamera.Camera.generate_configuration
_get_ready_requests = libcamera.CameraManager.get_ready_requests
_pixel_format = libcamera.StreamConfiguration.pixel_format
_locks: dict[str, int] = {}
_orientations: dict[int, Any] = {}
"""The orientation asked for, by the camera's number, which is the cookie of its requests."""
_colour_spaces: dict[int, Any] = {}
_controls_set: dict[int, dict[Any, Any]] = {}
_LIMITED = (
    np.round(16 + np.arange(256) * (235 - 16) / 255).astype(np.uint8),
    np.round(128 + (np.arange(256) - 128) * (240 - 16) / 255).astype(np.uint8),
)
"""Limited-range luma and chroma (ITU-R BT.601) by their full-range values."""
_STEPS = {
    libcamera.Orientation.Rotate0: (1, 1),
    libcamera.Orientation.Rotate0Mirror: (1, -1),
    libcamera.Orientation.Rotate180: (-1, -1),
    libcamera.Orientation.Rotate180Mirror: (-1, 1),
}
"""How the rows and the columns of a plane are read."""


def _acquired(camera: Any) -> None:
    """Acquire as a camera with a device node: one process at a time, until it ends."""
    descriptor = os.open(_beside(camera.id, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        busy = os.strerror(errno.EBUSY)
        raise RuntimeError(f"Failed to acquire camera: {busy}") from error
    _acquire(camera)
    _locks[camera.id] = descriptor


def _released(camera: Any) -> None:
    _release(camera)
    os.close(_locks.pop(camera.id))


def _configured(camera: Any, configuration: Any) -> Any:
    number = libcamera.CameraManager.singleton().cameras.index(camera)
    _orientations[number] = configuration.orientation
    asked = _colour_spaces[number] = _colours(configuration)
    _validate(configuration)  # what the virtual camera itself takes
    result = _configure(camera, configuration)
    configuration.at(0).color_space = asked
    return result


def _colours(configuration: Any) -> Any:
    colours = configuration.at(0).color_space
    return None if colours is None else libcamera.ColorSpace(colours)  # a copy of its own


def _validated(configuration: Any) -> Any:
    asked = _colours(configuration)
    status = _validate(configuration)
    if asked is not None:
        configuration.at(0).color_space = asked
    return status


def _told(request: Any) -> dict[Any, Any]:
    return {**_metadata.fget(request), **_controls_set.get(request.cookie, {})}


def _started(camera: Any, controls: Any = None) -> None:
    controls = controls or {}
    limits = next(
        (limits for control, limits in controls.items() if control.name == "FrameDurationLimits"), None
    )
    fastest_us = next(
        info.min for control, info in camera.controls.items() if control.name == "FrameDurationLimits"
    )
    number = libcamera.CameraManager.singleton().cameras.index(camera)
    _controls_set[number] = {
        control: value for control, value in controls.items() if control.name != "FrameDurationLimits"
    }
    _start(camera, controls)
    _sensors[camera.id] = _Sensor(camera, max(limits[0] if limits else 0, fastest_us) / 1e6)


def _stopped(camera: Any) -> None:
    _sensors.pop(camera.id).stop()
    _stop(camera)


def _queued(camera: Any, request: Any) -> None:
    _sensors[camera.id].queue(request)


def _configuration(camera: Any, roles: list[Any]) -> Any:
    video = libcamera.StreamRole.VideoRecording
    return _generate_configuration(
        camera, [video if role == libcamera.StreamRole.Raw else role for role in roles]
    )


def _ready_requests(manager: Any) -> list[Any]:
    """Return completed requests, flipped, their interleaved chroma made two planes, U and V."""
    requests: list[Any] = _get_ready_requests(manager)
    for request in requests:
        for stream, buffer in request.buffers.items():
            if request.status == libcamera.Request.Status.Complete:
                size = stream.configuration.size
                rows, columns = _STEPS[_orientations[request.cookie]]
                memory = np.frombuffer(memory_of[buffer], np.uint8)
                luma = memory[: size.width * size.height].reshape(size.height, size.width)
                chroma = memory[luma.size :].reshape(size.height // 2, size.width // 2, 2)
                planes = [
                    plane[::rows, ::columns].ravel() for plane in (luma, chroma[..., 0], chroma[..., 1])
                ]
                colours = _colour_spaces[request.cookie]
                if colours is not None and colours.range == libcamera.ColorSpace.Range.Limited:
                    of_luma, of_chroma = _LIMITED
                    planes = [of_luma[planes[0]], of_chroma[planes[1]], of_chroma[planes[2]]]
                memory[:] = np.concatenate(planes)
    return requests


def _shown_format(stream: Any) -> Any:
    real = _pixel_format.fget(stream)
    return _YUV420 if real == _NV12 else real


def install() -> None:
    """Put all of it around libcamera's classes, once."""
    libcamera.Camera.acquire, libcamera.Camera.release = _acquired, _released
    libcamera.Camera.configure = _configured
    libcamera.CameraConfiguration.validate = _validated
    libcamera.Request.metadata = property(_told)
    libcamera.Camera.start, libcamera.Camera.stop = _started, _stopped
    libcamera.Camera.queue_request = _queued
    libcamera.Camera.generate_configuration = _configuration
    libcamera.CameraManager.get_ready_requests = _ready_requests
    libcamera.StreamConfiguration.pixel_format = property(_shown_format, _pixel_format.fset)
