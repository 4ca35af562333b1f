# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from capture_proc.camera import CameraWishes, Pixels
from capture_proc.cameras.pattern import PatternCamera
from capture_proc.drill import DrillCamera
from capture_proc.jpeg import to_jpeg
from capture_proc.orientation import Orientation
from capture_proc.ready_jpeg import Jpeg, UnusableJpegError, checked
from capture_proc.turned import TurnedCamera
from proc_start.drills import order_drill
from shm_ring.status import CaptureStatus, from_json, to_json
from tests.fakes import FakeCamera, FakeClock, jpeg_of, rgb
from tests.rows import capture_status


@pytest.fixture
def drilled(tmp_path: Path) -> Iterator[Callable[[str, Pixels], DrillCamera]]:
    """A camera of ten pictures, drilled from its first one on."""
    before = signal.getsignal(signal.SIGTERM)

    def drill(kind: str, picture: Pixels) -> DrillCamera:
        order_drill(tmp_path / "drill", f"camera-{kind}@1")
        return DrillCamera(_camera(picture), _encode, str(tmp_path / "drill"))

    yield drill
    signal.signal(signal.SIGTERM, before)


Drilled = Callable[[str, Pixels], DrillCamera]


def _camera(picture: Pixels) -> FakeCamera:
    return FakeCamera([picture] * 10, FakeClock())


def _encode(pixels: Pixels, quality: int = 80) -> Jpeg:
    return to_jpeg(pixels, quality)


def test_what_a_file_orders_begins_at_the_signal(tmp_path: Path) -> None:
    file = tmp_path / "drill"
    camera = DrillCamera(_camera(rgb()), _encode, str(file))
    order_drill(file, "camera-hang")
    assert camera.next_picture(0.01) is not None
    assert camera.name == "fake camera"
    os.kill(os.getpid(), signal.SIGUSR2)
    assert camera.next_picture(0.01) is None
    assert camera.name == "fake camera (drill: hang)"


def test_an_order_follows_no_link(tmp_path: Path) -> None:
    """Root may give it, in a folder of the service's user, who could plant one to any file."""
    precious, file = tmp_path / "shadow", tmp_path / "drill"
    precious.write_text("secret")
    file.with_suffix(".new").symlink_to(precious)
    order_drill(file, "camera-hang")
    assert (precious.read_text(), file.read_text()) == ("secret", "camera-hang")
    assert not file.is_symlink()


def test_what_is_ordered_for_each_start_begins_at_once(drilled: Drilled) -> None:
    assert drilled("hang", rgb()).next_picture(0.01) is None


@pytest.mark.parametrize("of_others", ["server-loop", "end", ""])
def test_what_is_for_others_changes_nothing(of_others: str, tmp_path: Path) -> None:
    order_drill(tmp_path / "drill", of_others)
    camera = DrillCamera(_camera(rgb()), _encode, str(tmp_path / "drill"))
    os.kill(os.getpid(), signal.SIGUSR2)
    assert camera.next_picture(0.01) is not None


def test_a_picture_can_stay_the_same_with_its_capture_time(drilled: Drilled) -> None:
    camera = drilled("same-picture", rgb())
    first, second = camera.next_picture(1), camera.next_picture(1)
    assert first is not None
    assert second is first


def test_a_scene_can_freeze_while_its_times_run_on(drilled: Drilled) -> None:
    camera = drilled("frozen-scene", rgb())
    first, second = camera.next_picture(1), camera.next_picture(1)
    assert first is not None
    assert second is not None
    assert second.pixels is first.pixels
    assert second.captured_ns > first.captured_ns


def test_the_pattern_takes_part_in_that_drill_only(tmp_path: Path) -> None:
    """It could be rehearsed nowhere without a camera."""
    file, camera = tmp_path / "drill", PatternCamera(CameraWishes((64, 48)), FakeClock())
    assert not DrillCamera(camera, _encode).scene_may_freeze
    assert not DrillCamera(TurnedCamera(camera, Orientation.of(90, "none")), _encode).scene_may_freeze
    assert DrillCamera(_camera(rgb()), _encode).scene_may_freeze
    order_drill(file, "camera-frozen-scene@1")
    assert DrillCamera(camera, _encode, str(file)).scene_may_freeze


@pytest.mark.parametrize("name", ["x" * 100_000, "a\nb" * 500, "\ud800", "\U0001f4f7" * 5000, 7, None])
def test_any_name_of_a_camera_comes_through_logs_and_boards(name: Any) -> None:
    camera = _camera(rgb())
    camera.name = name
    row = capture_status(name=DrillCamera(camera, _encode).name)
    told = from_json(CaptureStatus, json.loads(to_json(row)))
    assert told == row
    assert len(told.name.encode()) <= 800
    assert "\n" not in told.name


def test_pictures_without_a_fault_are_encoded_as_they_are() -> None:
    assert DrillCamera(_camera(rgb()), _encode).encode(rgb(), 50) == _encode(rgb(), 50)


def test_a_fault_may_be_an_exception(drilled: Drilled) -> None:
    with pytest.raises(RuntimeError, match="a drill"):
        drilled("raise", rgb()).next_picture(0.01)


@pytest.mark.parametrize("picture", [rgb(), jpeg_of(rgb())])
def test_truncated_pictures_are_unusable_jpegs(drilled: Drilled, picture: Pixels) -> None:
    spoilt = drilled("truncated", picture).next_picture(0.01)
    assert spoilt is not None
    assert isinstance(spoilt.pixels, bytes)
    with pytest.raises(UnusableJpegError):
        checked(spoilt.pixels)


@pytest.mark.parametrize("picture", [rgb(), jpeg_of(rgb())])
def test_pictures_of_the_wrong_size_are_half_as_large(drilled: Drilled, picture: Pixels) -> None:
    spoilt = drilled("wrong-size", picture).next_picture(0.01)
    assert spoilt is not None
    assert to_jpeg(spoilt.pixels, 80).size == (32, 24)


def test_sigterm_can_be_ignored(drilled: Drilled) -> None:
    drilled("ignore-sigterm", rgb()).next_picture(0.01)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
