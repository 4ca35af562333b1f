# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from capture_proc.camera import Pixels
from capture_proc.drill import DrillCamera
from capture_proc.jpeg import to_jpeg
from capture_proc.options import DrillOrder
from capture_proc.ready_jpeg import Jpeg, UnusableJpegError, checked
from proc_start.drills import order_drill
from tests.fakes import FakeCamera, FakeClock, jpeg_of, rgb


def _drilled(kind: str, from_picture: int | None, picture: Pixels) -> DrillCamera:
    return DrillCamera(_camera(picture), DrillOrder(kind, from_picture), _encode)


def _camera(picture: Pixels) -> FakeCamera:
    return FakeCamera([picture] * 10, FakeClock())


def _encode(pixels: Pixels) -> Jpeg:
    return to_jpeg(pixels, 80)


def test_until_it_begins_the_camera_works() -> None:
    camera = _drilled("hang", 3, rgb())
    assert [camera.next_picture(0.01) is not None for _ in range(4)] == [True, True, False, False]
    assert camera.name == "fake camera (drill: hang)"


def test_a_signal_begins_it() -> None:
    camera = _drilled("hang", None, rgb())
    assert camera.next_picture(0.01) is not None
    os.kill(os.getpid(), signal.SIGUSR2)
    assert camera.next_picture(0.01) is None


def test_what_a_file_orders_begins_at_the_signal(tmp_path: Path) -> None:
    file = tmp_path / "drill"
    camera = DrillCamera(_camera(rgb()), None, _encode, str(file))
    assert camera.name == "fake camera"
    order_drill(file, "camera-hang")
    assert camera.next_picture(0.01) is not None
    os.kill(os.getpid(), signal.SIGUSR2)
    assert camera.next_picture(0.01) is None
    assert camera.name == "fake camera (drill: hang)"


def test_what_a_file_orders_for_each_start_begins_at_once(tmp_path: Path) -> None:
    order_drill(tmp_path / "drill", "camera-hang@1")
    assert DrillCamera(_camera(rgb()), None, _encode, str(tmp_path / "drill")).next_picture(0.01) is None


@pytest.mark.parametrize("of_others", ["server-loop", "end", ""])
def test_what_is_for_others_changes_nothing(of_others: str, tmp_path: Path) -> None:
    order_drill(tmp_path / "drill", of_others)
    camera = DrillCamera(_camera(rgb()), None, _encode, str(tmp_path / "drill"))
    os.kill(os.getpid(), signal.SIGUSR2)
    assert camera.next_picture(0.01) is not None


def test_a_picture_can_stay_the_same_with_its_capture_time() -> None:
    clock = FakeClock()
    camera = DrillCamera(FakeCamera([rgb(), rgb()], clock), DrillOrder("same-picture", 1), _encode)
    first, second = camera.next_picture(1), camera.next_picture(1)
    assert first is not None
    assert second is first


def test_pictures_without_a_fault_are_encoded_as_they_are() -> None:
    camera = _drilled("encoder-stuck", 5, rgb())
    assert camera.encode(rgb()) == _encode(rgb())


def test_a_fault_may_be_an_exception() -> None:
    with pytest.raises(RuntimeError, match="a drill"):
        _drilled("raise", 1, rgb()).next_picture(0.01)


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
