# SPDX-License-Identifier: MIT
from __future__ import annotations

from capture_proc.camera_controls import Control
from capture_proc.camera_list import CameraFacts, camera_list
from capture_proc.sensor_mode import SensorMode


def test_a_camera_is_listed_with_what_can_be_chosen() -> None:
    v2 = CameraFacts(
        "/base/imx219@10",
        "imx219",
        sizes=[(640, 480), (3280, 2464)],
        fps=(0.1, 206.65),
        modes=[
            SensorMode((640, 480), 10, 206.65, (1000, 752, 1280, 960)),
            SensorMode((1640, 1232), 10, 41.85, (0, 0, 3280, 2464)),
        ],
        controls={"Brightness": Control(-1.0, 1.0), "AeEnable": Control(False, True)},
    )
    busy = CameraFacts("/base/imx708", "imx708", fault="the camera cannot be opened")
    assert (
        camera_list([v2, busy])
        == """\
imx219: --camera picamera2:/base/imx219@10
  sizes: 640x480 3280x2464
  frames a second: 0.1 to 206.7
  sensor modes:
    640x480  10 bits, up to 206.7 frames a second, 15% of the view
    1640x1232  10 bits, up to 41.85 frames a second, full view
  controls:
    AeEnable: true or false
    Brightness: -1.0 to 1.0

imx708: --camera picamera2:/base/imx708
  the camera cannot be opened"""
    )
