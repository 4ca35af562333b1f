# SPDX-License-Identifier: MIT
from __future__ import annotations

from capture_proc.camera_controls import Control
from capture_proc.camera_list import CameraFacts, camera_list
from capture_proc.cameras.picamera2.modes import SensorMode


def test_a_camera_is_listed_with_what_can_be_chosen() -> None:
    v2 = CameraFacts(
        "/base/imx219@10",
        "imx219",
        least_px=(64, 64),
        most_px=(3280, 2464),
        modes=[
            SensorMode((640, 480), 10, 206.65, (1000, 752, 1280, 960)),
            SensorMode((1640, 1232), 10, 41.85, (0, 0, 3280, 2464)),
        ],
        controls={
            "Brightness": Control(-1.0, 1.0),
            "AeEnable": Control(False, True),
            "FrameDurationLimits": Control(1, 2, count=2),
        },
    )
    virtual = CameraFacts("street", "virtual", least_px=(640, 480), most_px=(1280, 720), fps=(5, 59.94))
    busy = CameraFacts("/base/imx708", "imx708", fault="the camera cannot be opened")
    assert (
        camera_list([v2, virtual, busy])
        == """\
imx219: --camera picamera2:/base/imx219@10
  sizes: 64x64 to 3280x2464
  sensor modes:
    640x480  10 bits, up to 206.7 frames a second, 15% of the view
    1640x1232  10 bits, up to 41.85 frames a second, full view
  controls (some ranges depend on size, rate and mode):
    AeEnable: true or false
    Brightness: -1.0 to 1.0

virtual: --camera picamera2:street
  sizes: 640x480 to 1280x720
  frames a second: 5 to 59.94
  controls (some ranges depend on size, rate and mode):

imx708: --camera picamera2:/base/imx708
  the camera cannot be opened"""
    )
