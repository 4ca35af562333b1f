# SPDX-License-Identifier: MIT
"""The calls of Picamera2 in their order, against a stand-in. The real class is stage 2."""

from __future__ import annotations

import time

import numpy as np
import pytest

from capture_proc.camera import CameraSettings, NoCameraError, Plane, Yuv420
from capture_proc.picamera2_camera import Picamera2Camera, yuv420_planes
from tests.fakes import FakePicamera2Library, FakeRequest


def _buffer(size: tuple[int, int], stride: int) -> Plane:
    """Return a YUV420 buffer whose Y is 1, U 2, V 3 and padding 99."""
    width, height = size
    flat = np.full(stride * height * 3 // 2, 99, dtype=np.uint8)
    y = flat[: stride * height].reshape(height, stride)
    chroma = flat[stride * height :].reshape(height, stride // 2)
    y[:, :width] = 1
    chroma[: height // 2, : width // 2] = 2
    chroma[height // 2 :, : width // 2] = 3
    return flat.reshape(height * 3 // 2, stride)


def test_planes_are_views_without_their_padding() -> None:
    buffer = _buffer((60, 48), stride=64)
    planes = yuv420_planes(buffer, (60, 48))
    assert planes.y.shape == (48, 60)
    assert planes.u.shape == planes.v.shape == (24, 30)
    assert [set(plane.flat) for plane in (planes.y, planes.u, planes.v)] == [{1}, {2}, {3}]
    assert all(np.shares_memory(plane, buffer) for plane in (planes.y, planes.u, planes.v))


def test_every_request_is_given_back_once() -> None:
    """A request that leaks is a buffer lost; the camera stops when the last is gone."""
    requests = [FakeRequest(_buffer((64, 48), 64), 10**9 * n) for n in (1, 2)]
    library = FakePicamera2Library([*requests], granted=(64, 48))
    camera = Picamera2Camera(CameraSettings((64, 48)), library)
    first = camera.next_picture(0.1)
    assert first is not None
    assert not requests[0].released, "the picture is still in use"
    assert isinstance(first.pixels, Yuv420)
    assert (first.captured_ns, first.clock_id) == (10**9, time.CLOCK_BOOTTIME)
    camera.next_picture(0.1)
    assert [request.released for request in requests] == [True, False]
    camera.close()
    assert requests[1].released
    assert library.closed


def test_a_job_that_timed_out_is_taken_back() -> None:
    """It would stay queued and swallow the next frame unreleased."""
    library = FakePicamera2Library([None, FakeRequest(_buffer((64, 48), 64), 1)], granted=(64, 48))
    camera = Picamera2Camera(CameraSettings(), library)
    assert camera.next_picture(0.1) is None
    assert library.flushes == 1
    assert camera.next_picture(0.1) is not None


def test_it_asks_for_full_range_colours_and_reads_the_granted_size_back() -> None:
    library = FakePicamera2Library([], granted=(632, 480))
    camera = Picamera2Camera(CameraSettings((634, 480), 30), library)
    assert library.configured["colour_space"] == "sYCC"
    assert library.configured["controls"] == {"FrameDurationLimits": (33333, 33333)}
    assert camera.name == "imx708 632x480"


def test_no_camera_is_told_with_what_to_type() -> None:
    library = FakePicamera2Library([], granted=(1, 1))
    library.cameras = []
    with pytest.raises(NoCameraError, match="rpicam-hello --list-cameras"):
        Picamera2Camera(CameraSettings(), library)
    with pytest.raises(NoCameraError, match="sudo apt install python3-picamera2"):
        Picamera2Camera(CameraSettings())
