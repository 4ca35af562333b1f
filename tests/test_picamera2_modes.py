# SPDX-License-Identifier: MIT
"""The modes are those that libcamera lists for Raspberry Pi's modules; docs/raspberry-pi.md has sources."""

from __future__ import annotations

import pytest

from capture_proc.camera import NeverWorksError
from capture_proc.cameras.picamera2.modes import SensorMode, full_view_mode, mode_of_size, part_of_view

FULL_219, FULL_477 = (0, 0, 3280, 2464), (0, 0, 4056, 3040)

MODULES = {
    "v1": [
        SensorMode((640, 480), 10, 58.92, (16, 0, 2560, 1920)),
        SensorMode((1296, 972), 10, 43.25, (0, 0, 2592, 1944)),
        SensorMode((1920, 1080), 10, 30.62, (348, 434, 1928, 1080)),
        SensorMode((2592, 1944), 10, 15.63, (0, 0, 2592, 1944)),
    ],
    "v2": [
        SensorMode((640, 480), 10, 206.65, (1000, 752, 1280, 960)),
        SensorMode((1640, 1232), 10, 41.85, FULL_219),
        SensorMode((1920, 1080), 10, 47.57, (680, 692, 1920, 1080)),
        SensorMode((3280, 2464), 10, 21.19, FULL_219),
        SensorMode((1640, 1232), 8, 83.70, FULL_219),
    ],
    "v3": [
        SensorMode((1536, 864), 10, 120.13, (768, 432, 3072, 1728)),
        SensorMode((2304, 1296), 10, 56.03, (0, 0, 4608, 2592)),
        SensorMode((4608, 2592), 10, 14.35, (0, 0, 4608, 2592)),
    ],
    "hq": [
        SensorMode((1332, 990), 10, 120.05, (696, 528, 2664, 1980)),
        SensorMode((2028, 1080), 12, 50.03, (0, 440, 4056, 2160)),
        SensorMode((2028, 1520), 12, 40.01, FULL_477),
        # a driver told of this one as if it showed everything
        SensorMode((4056, 2160), 12, 16.39, (0, 440, 4056, 3040)),
        SensorMode((4056, 3040), 12, 10.00, FULL_477),
    ],
    "global shutter": [SensorMode((1456, 1088), 10, 60.38, (0, 0, 1456, 1088))],
}


@pytest.mark.parametrize(
    ("module", "size", "fps", "expected"),
    [
        ("v1", (640, 480), 20, "1296x972"),
        ("v1", (1920, 1080), 30, "1296x972"),
        ("v1", (1920, 1080), 15, "2592x1944"),
        ("v2", (640, 480), 20, "1640x1232"),
        ("v2", (1920, 1080), 20, "3280x2464"),
        ("v2", (1920, 1080), 30, "1640x1232"),
        ("v3", (640, 480), 30, "2304x1296"),
        ("v3", (1280, 720), 100, "2304x1296"),
        ("v3", (4608, 2592), 10, "4608x2592"),
        ("hq", (640, 480), 20, "2028x1520"),
        ("hq", (2560, 1440), 10, "4056x3040"),
        ("hq", (2560, 1440), 12, "2028x1520"),
        ("global shutter", (640, 480), 20, "1456x1088"),
    ],
)
def test_the_mode_shows_the_whole_view_and_is_fast_before_it_is_large(
    module: str, size: tuple[int, int], fps: float, expected: str
) -> None:
    """640x480 on a v2 would show 15 % of its view."""
    assert str(full_view_mode(MODULES[module], size, fps)) == expected


def test_more_bits_are_taken_where_the_rate_allows_it() -> None:
    assert full_view_mode(MODULES["v2"], (640, 480), 30).bit_depth == 10
    assert full_view_mode(MODULES["v2"], (640, 480), 60).bit_depth == 8
    assert mode_of_size(MODULES["v2"], (1640, 1232), 30).bit_depth == 10
    assert mode_of_size(MODULES["v2"], (1640, 1232), 60).bit_depth == 8


def test_a_mode_that_the_sensor_has_not_is_told_with_those_it_has() -> None:
    with pytest.raises(
        NeverWorksError, match="the sensor has 640x480, 1640x1232, 1920x1080, 3280x2464; choose"
    ):
        mode_of_size(MODULES["v2"], (800, 600), 20)


def test_modes_that_lose_a_few_rows_show_everything_too() -> None:
    """Else a large slow mode would be all that is left of a sensor."""
    fast = SensorMode((2312, 1736), 10, 29.97, (16, 8, 4624, 3472))
    slow = SensorMode((4656, 3496), 10, 9.0, (0, 0, 4656, 3496))
    assert full_view_mode([fast, slow], (640, 480), 30) is fast


def test_the_part_of_the_view_counts_the_modes_crop_and_the_pictures_shape() -> None:
    modes = MODULES["v2"]
    assert part_of_view(modes[0], modes, (640, 480)) == pytest.approx(0.152, abs=0.001)
    assert part_of_view(modes[1], modes, (1280, 720)) == pytest.approx(0.749, abs=0.001)


def test_a_picture_of_another_shape_shows_less() -> None:
    mode = MODULES["v3"][1]
    assert mode.shown((640, 480)) == pytest.approx(0.75)
    assert mode.shown((1280, 720)) == 1
    assert mode.shown((1280, 544)) == pytest.approx(0.756, abs=0.001)
