# SPDX-License-Identifier: MIT
"""What no virtual camera has, against a stand-in: sensor modes, autofocus, a request that comes late.

The real class is run by tests/virtual_camera.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture_proc.camera import (
    CameraError,
    CameraWishes,
    NeverWorksError,
    NoCameraError,
    Plane,
    Yuv420,
)
from capture_proc.cameras.picamera2.camera import Picamera2Camera
from capture_proc.cameras.picamera2.library import list_cameras
from capture_proc.cameras.picamera2.planes import sensor_clock, yuv420_planes
from capture_proc.options import ControlOrder
from capture_proc.orientation import Orientation
from tests.fakes import FakePicamera2Library, FakeRequest
from tests.running import CHECKOUT, environment

LATE = FakePicamera2Library.LATE
SIZE = (64, 48)
WISHES = CameraWishes(SIZE)


def _buffer(size: tuple[int, int] = SIZE, stride: int = 64) -> Plane:
    """Return a YUV420 buffer whose Y is 1, U 2, V 3 and padding 99."""
    width, height = size
    flat = np.full(stride * height * 3 // 2, 99, dtype=np.uint8)
    y = flat[: stride * height].reshape(height, stride)
    chroma = flat[stride * height :].reshape(height, stride // 2)
    y[:, :width] = 1
    chroma[: height // 2, : width // 2] = 2
    chroma[height // 2 :, : width // 2] = 3
    return flat.reshape(height * 3 // 2, stride)


def opened(library: FakePicamera2Library, wishes: CameraWishes = WISHES, **others: Any) -> Picamera2Camera:
    """Open the camera on a stand-in with these wishes and others."""
    return Picamera2Camera(replace(wishes, **others), library)


def _mode(size: tuple[int, int], fps: float, crop_px: tuple[int, int, int, int]) -> dict[str, object]:
    return {"size": size, "bit_depth": 10, "fps": fps, "crop_limits": crop_px}


IMX708 = [
    _mode((1536, 864), 120.13, (768, 432, 3072, 1728)),
    _mode((2304, 1296), 56.03, (0, 0, 4608, 2592)),
    _mode((4608, 2592), 14.35, (0, 0, 4608, 2592)),
]


def test_planes_are_views_without_their_padding() -> None:
    buffer = _buffer((60, 48), stride=64)
    planes = yuv420_planes(buffer, (60, 48))
    assert planes.y.shape == (48, 60)
    assert planes.u.shape == planes.v.shape == (24, 30)
    assert [set(plane.flat) for plane in (planes.y, planes.u, planes.v)] == [{1}, {2}, {3}]
    assert all(np.shares_memory(plane, buffer) for plane in (planes.y, planes.u, planes.v))


def test_every_request_is_given_back_once() -> None:
    """A request that leaks is a buffer lost; the camera stops when the last is gone."""
    requests = [FakeRequest(_buffer(), 10**9 * n, sequence=n) for n in (1, 2)]
    library = FakePicamera2Library([*requests])
    camera = opened(library)
    first = camera.next_picture(0.1)
    assert first is not None
    assert not requests[0].released, "the picture is still in use"
    assert isinstance(first.pixels, Yuv420)
    assert np.shares_memory(first.pixels.y, requests[0].array)
    assert (first.captured_ns, first.clock_id, first.number) == (10**9, time.CLOCK_BOOTTIME, 1)
    camera.next_picture(0.1)
    assert [request.released for request in requests] == [True, False]
    camera.close()
    assert requests[1].released
    assert library.closed


def test_a_job_that_timed_out_is_taken_back() -> None:
    """It would stay queued and swallow the next frame unreleased."""
    library = FakePicamera2Library([None, FakeRequest(_buffer(), 1)])
    camera = opened(library)
    assert camera.next_picture(0.1) is None
    assert library.flushes == 1
    assert camera.next_picture(0.1) is not None


def test_a_request_that_comes_at_the_moment_of_its_time_limit_is_not_lost() -> None:
    """Six of these and the camera would have no buffer left."""
    request = FakeRequest(_buffer(), 5)
    camera = opened(FakePicamera2Library([LATE, request]))
    picture = camera.next_picture(0.1)
    assert picture is not None
    assert picture.captured_ns == 5
    camera.close()
    assert request.released


def test_the_whole_view_is_shown_unless_another_mode_is_asked_for() -> None:
    """Left to itself libcamera takes the small fast mode, and shows its middle only."""
    library = FakePicamera2Library(modes=IMX708)
    camera = opened(library, CameraWishes((640, 480), 30))
    assert library.configured["sensor"] == {"output_size": (2304, 1296), "bit_depth": 10}
    assert (camera.granted["sensor_mode"], camera.granted["view"]) == ("2304x1296", 0.75)
    opened(library, sensor_mode=(1536, 864))
    assert library.configured["sensor"] == {"output_size": (1536, 864), "bit_depth": 10}
    with pytest.raises(NeverWorksError, match="the sensor has 1536x864, 2304x1296, 4608x2592; choose one of"):
        opened(library, sensor_mode=(640, 480))
    assert library.closed


def test_what_is_cut_off_is_told_with_its_cure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    library = FakePicamera2Library(modes=IMX708)
    opened(library, CameraWishes((640, 480)))
    assert "sensor mode 2304x1296: the picture shows 75 % of the view" in caplog.text
    assert "--size 640x360 does not" in caplog.text
    narrow = opened(library, CameraWishes((1280, 720)), sensor_mode=(1536, 864))
    assert narrow.granted["view"] == 0.44, "the whole of a mode that is itself a part"


def test_modes_that_could_not_be_read_are_done_without(caplog: pytest.LogCaptureFixture) -> None:
    """A Zero 2 W has not the memory for the largest mode of the HQ camera."""
    library = FakePicamera2Library(modes=IMX708[:2], modes_error=OSError(12, "Cannot allocate memory"))
    opened(library)
    assert library.configured["sensor"]["output_size"] == (2304, 1296)
    assert "only 2 of the sensor's modes could be read: [Errno 12] Cannot allocate memory" in caplog.text


def test_modes_that_the_process_before_read_are_not_read_again() -> None:
    """Reading them configures the camera for each, the largest too, at every restart."""
    library = FakePicamera2Library(modes=IMX708)
    remembered = json.loads(json.dumps(opened(library).remembered))
    library.modes_error = OSError(12, "Cannot allocate memory")
    library.modes = []
    camera = opened(library, remembered=remembered)
    assert camera.granted["sensor_mode"] == "2304x1296"
    assert json.loads(json.dumps(camera.remembered)) == remembered


@pytest.mark.parametrize("differs", [{"id": "/base/imx477"}, {"model": "imx477"}])
def test_modes_of_another_camera_are_read(differs: dict[str, str]) -> None:
    library = FakePicamera2Library(modes=IMX708)
    remembered = {**opened(library).remembered, "modes": [], **differs}
    assert opened(library, remembered=remembered).granted["sensor_mode"] == "2304x1296"


def test_modes_that_were_read_in_part_are_not_remembered() -> None:
    library = FakePicamera2Library(modes=IMX708[:2], modes_error=OSError(12, "Cannot allocate memory"))
    assert opened(library).remembered is None


def test_it_is_given_less_time_than_other_cameras() -> None:
    """libcamera gives up on a sensor after a second, so nothing would come later."""
    camera = opened(FakePicamera2Library(), fps=20.0)
    assert (camera.first_frame_s, round(camera.stall_s, 3)) == (3.0, 1.45)
    slow = opened(FakePicamera2Library(), fps=1.0)
    assert (slow.first_frame_s, round(slow.stall_s, 3)) == (20.0, 6.2)


def test_autofocus_is_continuous_where_there_is_one_unless_said_otherwise() -> None:
    library = FakePicamera2Library()
    opened(library)
    assert "AfMode" not in library.controls_set
    library.controls["AfMode"] = (0, 2, 0)
    opened(library)
    assert library.controls_set["AfMode"] == 2
    opened(library, controls=(ControlOrder("AfMode", "1"),))
    assert library.controls_set["AfMode"] == 1
    library.controls["LensPosition"] = (0.0, 32.0, 1.0)
    opened(library, controls=(ControlOrder("LensPosition", "2"),))
    assert library.controls_set["AfMode"] == 0, "a lens that is set stays where it is"


def test_the_controls_that_were_granted_are_read_back() -> None:
    library = FakePicamera2Library([FakeRequest(_buffer(), 1, ExposureTime=9987, FrameDuration=50_025)])
    library.controls["ExposureTime"] = (75, 11_000_000, None)
    camera = opened(library, controls=(ControlOrder("ExposureTime", "10000"),))
    assert camera.granted["controls"] == {"ExposureTime": {"asked": 10000, "granted": None}}
    camera.next_picture(0.1)
    assert camera.granted["controls"] == {"ExposureTime": {"asked": 10000, "granted": 9987}}
    assert camera.granted["fps"] == 19.99
    assert library.controls_set == {"ExposureTime": 10000, "FrameDurationLimits": (50000, 50000)}


def test_flips_that_the_camera_does_not_do_are_done_here() -> None:
    buffer = _buffer()
    buffer[0, 0] = 200
    library = FakePicamera2Library([FakeRequest(buffer, 1)], refused_flips=True)
    camera = opened(library, orientation=Orientation(hflip=True))
    picture = camera.next_picture(0.1)
    assert picture is not None
    assert isinstance(picture.pixels, Yuv420)
    assert picture.pixels.y[0, 63] == 200
    assert library.configured["transform"].hflip


@pytest.fixture
def no_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the tuning of another test: libcamera is told by the environment."""
    monkeypatch.setenv("LIBCAMERA_RPI_TUNING_FILE", "")
    monkeypatch.delenv("LIBCAMERA_RPI_TUNING_FILE")


@pytest.mark.usefixtures("no_tuning")
def test_the_tuning_is_told_before_libcamera_looks_for_cameras(tmp_path: Path) -> None:
    """It is read when cameras are looked for: told later, as Picamera2 does it, it changes nothing."""
    own = tmp_path / "mine.json"
    own.write_text('{"version": 2.0}')
    library = FakePicamera2Library()
    opened(library, tuning_file=str(own))
    assert library.tuning_at_first_look == library.tuning == str(own)


@pytest.mark.usefixtures("no_tuning")
def test_a_tuning_that_makes_the_camera_vanish_is_named(tmp_path: Path) -> None:
    own = tmp_path / "mine.json"
    own.write_text("{}")
    with pytest.raises(
        NoCameraError, match=r"finds no camera; check the --tuning-file .*/mine\.json, or the"
    ):
        opened(FakePicamera2Library(ids=[]), tuning_file=str(own))


def test_a_usb_camera_is_not_taken_for_the_robots_own() -> None:
    """One that is plugged in while the ribbon cable is loose must not end the service as unsuitable."""
    with pytest.raises(NoCameraError, match="there are only USB cameras; connected: /base/usb/uvc"):
        opened(FakePicamera2Library(ids=["/base/usb/uvc"]))


def test_a_camera_that_tells_no_rates_is_listed_with_the_others() -> None:
    listed = list_cameras(FakePicamera2Library(modes=IMX708))
    assert [camera.camera_id for camera in listed] == ["/base/imx708", "/base/imx219", "/base/usb/uvc"]
    assert [camera.fault for camera in listed] == [None, None, None]
    assert {camera.fps for camera in listed} == {None}, "the modes tell the rates"
    assert list_cameras(FakePicamera2Library())[0].fps == (1.0, 100.0)


def test_a_camera_said_to_be_mounted_sideways_is_refused() -> None:
    """libcamera would grant a picture that lies on its side, and call it what was asked for."""
    with pytest.raises(
        NeverWorksError, match=r"mounted sideways .*; take that out of .*config.txt, and choose"
    ):
        opened(FakePicamera2Library(mounted_sideways=True))


def test_named_values_are_those_of_libcamera() -> None:
    """Their names in libcamera begin with the control's own name, or with another."""
    library = FakePicamera2Library()
    library.controls["AeFlickerMode"] = (0, 1, 0)
    library.names["AeFlickerMode"] = {0: "FlickerOff", 1: "FlickerManual", 2: "FlickerAuto"}
    opened(library, controls=(ControlOrder("AeFlickerMode", "Manual"),))
    assert library.controls_set["AeFlickerMode"] == 1
    with pytest.raises(NeverWorksError, match=r"expects Off \(0\) or Manual \(1\); 'Auto' came"):
        opened(library, controls=(ControlOrder("AeFlickerMode", "Auto"),))


def test_a_camera_is_opened_by_its_id_and_full_range_colours_are_asked_for() -> None:
    library = FakePicamera2Library()
    camera = opened(library, id="/base/imx219")
    assert camera.granted["id"] == "/base/imx219"
    assert library.configured["colour_space"] == "sYCC"
    assert library.configured["raw"] is None


def test_a_camera_without_yuv420_is_refused() -> None:
    library = FakePicamera2Library(pixel_format="MJPEG")
    with pytest.raises(NeverWorksError, match="imx708 gives MJPEG and not YUV420; cameras like it"):
        opened(library)


def test_no_camera_is_told_with_what_to_type() -> None:
    library = FakePicamera2Library(ids=[])
    with pytest.raises(NoCameraError, match="rpicam-hello --list-cameras"):
        opened(library)


def test_a_missing_picamera2_is_told_with_what_to_type(tmp_path: Path) -> None:
    (tmp_path / "libcamera.py").write_text("raise ModuleNotFoundError('No module named libcamera')\n")
    path = f"{tmp_path}:{CHECKOUT}"
    told = subprocess.run(
        [sys.executable, "-m", "capture_proc", "--camera=picamera2"],
        env=environment(PYTHONPATH=path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 69
    assert "picamera2 cannot be imported (No module named libcamera); on Raspberry Pi OS type:" in told.stderr
    assert "sudo apt install python3-picamera2" in told.stderr


def test_a_user_who_may_not_open_the_devices_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libcamera finds nothing then, and the sentence was to check the cable."""
    (tmp_path / "media0").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "media0")  # root may open all
    with pytest.raises(
        NoCameraError, match=r"this user may not open .*/media0; type: sudo usermod -aG video"
    ):
        opened(FakePicamera2Library(ids=[], devices=tmp_path))


def test_a_heap_that_may_not_be_opened_is_told_and_the_list_goes_on() -> None:
    """Picamera2 opens it outside of its own error handling."""
    refused = PermissionError(13, "Permission denied", "/dev/dma_heap/linux,cma")
    library = FakePicamera2Library(open_error=refused)
    sentence = (
        "cannot be opened: this user may not open /dev/dma_heap/linux,cma; type: sudo usermod -aG video"
    )
    with pytest.raises(NoCameraError, match=sentence):
        opened(library)
    assert [sentence in str(camera.fault) for camera in list_cameras(library)] == [True] * 3


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        (
            {"open_error": RuntimeError("Camera __init__ sequence did not complete.")},
            NoCameraError,
            r"the camera /base/imx708 cannot be opened \(Camera __init__ sequence did not complete.\); check",
        ),
        (
            {"configure_error": RuntimeError("Invalid camera configuration")},
            CameraError,
            r"imx708 cannot be configured \(Invalid camera configuration\); if memory is short",
        ),
        (
            {"start_error": RuntimeError("Camera did not start properly.")},
            CameraError,
            r"imx708 cannot be started \(Camera did not start properly.\); check its cable",
        ),
    ],
    ids=["open", "configure", "start"],
)
def test_what_picamera2_refuses_is_a_sentence(
    fault: dict[str, Exception], kind: type[CameraError], sentence: str
) -> None:
    library = FakePicamera2Library(**fault)  # type: ignore[arg-type]
    with pytest.raises(CameraError, match=sentence) as refused:
        opened(library)
    assert type(refused.value) is kind
    assert library.closed == ("open_error" not in fault)


def test_an_encoder_that_is_not_there_yet_is_waited_for_and_none_at_all_is_not(tmp_path: Path) -> None:
    """Its module may be loaded later than the service starts."""
    with pytest.raises(NeverWorksError, match="a Raspberry Pi 5 has no JPEG encoder in hardware"):
        opened(FakePicamera2Library(), encoder="hardware")
    library = FakePicamera2Library(hardware_encoder=object, hardware_encoder_device=tmp_path / "video11")
    with pytest.raises(NoCameraError, match=r"there is no .*/video11; on a Raspberry Pi 0 to 4 type"):
        opened(library, encoder="hardware")


def test_a_tuning_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(NoCameraError, match="no such file here, nor in"):
        opened(FakePicamera2Library(), tuning_file=str(tmp_path / "later.json"))
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(NeverWorksError, match="expected a tuning of libcamera in JSON"):
        opened(FakePicamera2Library(), tuning_file=str(broken))


def test_a_crop_goes_where_libcamera_heeds_it() -> None:
    """Picamera2 sends ScalerCrops for each stream, and libcamera passes over ScalerCrop beside it."""
    whole = ((0, 0, 64, 64), (0, 0, 4608, 2592), None)
    library = FakePicamera2Library()
    library.controls["ScalerCrop"] = whole
    crop = (ControlOrder("ScalerCrop", "0,0,2304,1296"),)
    opened(library, controls=crop)
    assert library.controls_set["ScalerCrop"] == (0, 0, 2304, 1296)
    library.controls["ScalerCrops"] = whole
    camera = opened(library, controls=crop)
    assert library.controls_set["ScalerCrops"] == [(0, 0, 2304, 1296)]
    assert "ScalerCrop" not in library.controls_set
    assert list(camera.granted["controls"]) == ["ScalerCrop"]
    with pytest.raises(NeverWorksError, match="ScalerCrops: use --control ScalerCrop instead"):
        opened(library, controls=(ControlOrder("ScalerCrops", "0,0,2304,1296"),))


def test_an_exposure_longer_than_a_frame_is_told(caplog: pytest.LogCaptureFixture) -> None:
    library = FakePicamera2Library()
    library.controls["ExposureTime"] = (75, 11_000_000, None)
    opened(library, CameraWishes(SIZE, 20), controls=(ControlOrder("ExposureTime", "80000"),))
    assert "ExposureTime=80000 is cut to 50000, the time of a frame at this rate; lower --fps" in caplog.text


def test_colours_of_another_range_are_told(caplog: pytest.LogCaptureFixture) -> None:
    camera = opened(FakePicamera2Library(granted_colours="Rec709"))
    assert camera.granted["colours"] == "Rec709"
    assert "gives colours as Rec709 and not as sYCC" in caplog.text


def test_a_mode_that_could_not_be_read_may_be_there_at_the_next_try() -> None:
    """A shortage of memory that passes must not end the service as a wrong option would."""
    shortage = OSError(12, "Cannot allocate memory")
    library = FakePicamera2Library(modes=IMX708[:2], modes_error=shortage)
    with pytest.raises(CameraError, match="--sensor-mode 4608x2592 could not be read") as told:
        opened(library, sensor_mode=(4608, 2592))
    assert not isinstance(told.value, NeverWorksError)


def test_a_view_that_may_be_cut_is_told(caplog: pytest.LogCaptureFixture) -> None:
    opened(FakePicamera2Library(modes_error=OSError(12, "Cannot allocate memory")))
    assert "without a sensor mode the picture may show only the middle of the view" in caplog.text


def test_a_camera_that_cannot_be_asked_is_listed_all_the_same() -> None:
    library = FakePicamera2Library(controls_error=RuntimeError("no such control"))
    assert [camera.fault for camera in list_cameras(library)] == [
        "it cannot be asked what it can do (no such control)"
    ] * 3


def test_capture_times_may_be_of_either_clock() -> None:
    """libcamera documents the boot clock, and hands on the monotonic one of most drivers."""
    asleep_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    assert sensor_clock(time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 10**7) == time.CLOCK_BOOTTIME
    if asleep_ns > 10**9:  # a machine that has slept can tell them apart
        assert sensor_clock(time.monotonic_ns() - 10**7) == time.CLOCK_MONOTONIC
