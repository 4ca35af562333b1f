# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import signal

import pytest

from capture_proc.camera import Pixels
from capture_proc.drill import DrillCamera
from capture_proc.jpeg import to_jpeg
from capture_proc.options import DrillOrder
from capture_proc.ready_jpeg import UnusableJpegError, checked
from tests.fakes import FakeCamera, FakeClock, jpeg_of, rgb


def _drilled(kind: str, from_picture: int | None, picture: Pixels) -> DrillCamera:
    camera = FakeCamera([picture] * 10, FakeClock())
    return DrillCamera(camera, DrillOrder(kind, from_picture), lambda pixels: to_jpeg(pixels, 80).jpeg)


def test_until_it_begins_the_camera_works() -> None:
    camera = _drilled("hang", 3, rgb())
    assert [camera.next_picture(0.01) is not None for _ in range(4)] == [True, True, False, False]
    assert camera.name == "fake camera (drill: hang)"


def test_a_signal_begins_it() -> None:
    camera = _drilled("hang", None, rgb())
    assert camera.next_picture(0.01) is not None
    os.kill(os.getpid(), signal.SIGUSR2)
    assert camera.next_picture(0.01) is None


@pytest.mark.parametrize("picture", [rgb(), jpeg_of(rgb())])
def test_truncated_pictures_are_unusable_jpegs(picture: Pixels) -> None:
    spoilt = _drilled("truncated", 1, picture).next_picture(0.01)
    assert spoilt is not None
    assert isinstance(spoilt.pixels, bytes)
    with pytest.raises(UnusableJpegError):
        checked(spoilt.pixels)


@pytest.mark.parametrize("picture", [rgb(), jpeg_of(rgb())])
def test_pictures_of_the_wrong_size_are_half_as_large(picture: Pixels) -> None:
    spoilt = _drilled("wrong-size", 1, picture).next_picture(0.01)
    assert spoilt is not None
    assert to_jpeg(spoilt.pixels, 80).size == (32, 24)


def test_sigterm_can_be_ignored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        _drilled("ignore-sigterm", 1, rgb()).next_picture(0.01)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
