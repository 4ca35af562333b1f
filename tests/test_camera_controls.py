# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import pytest

from capture_proc.camera import NeverWorksError
from capture_proc.camera_controls import Control, values_for
from capture_proc.options import ControlOrder

CONTROLS = {
    "AfMode": Control(0, 2, {"Manual": 0, "Auto": 1, "Continuous": 2}),
    "AeEnable": Control(False, True),
    "ExposureTime": Control(75, 11_000_000),
    "LensPosition": Control(0.0, 32.0),
    "Brightness": Control(-1.0, 1.0),
    "ColourGains": Control(0.0, 32.0, count=2),
    "ScalerCrop": Control((0, 0, 64, 64), (0, 0, 4608, 2592)),
    "SensorId": Control(None, None),
    "AfWindows": Control((0, 0, 0, 0), (65535, 65535, 65535, 65535), count=None),
}


def values(**ordered: str) -> dict[str, Any]:
    return values_for([ControlOrder(name, text) for name, text in ordered.items()], CONTROLS)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("AfMode", "Continuous", 2),
        ("AfMode", "manual", 0),
        ("AfMode", "1", 1),
        ("AeEnable", "off", False),
        ("AeEnable", "True", True),
        ("ExposureTime", "10000", 10000),
        ("Brightness", "-0.25", -0.25),
        ("ColourGains", "1.5, 2", (1.5, 2.0)),
        ("ScalerCrop", "0,0,2304,1296", (0, 0, 2304, 1296)),
        ("AfWindows", "1,2,3,4", [(1, 2, 3, 4)]),
    ],
)
def test_values_are_read_as_the_camera_takes_them(name: str, text: str, value: object) -> None:
    assert values(**{name: text}) == {name: value}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("AfMode", "3", r"AfMode expects Manual \(0\) or Auto \(1\) or Continuous \(2\); '3' came"),
        ("AeEnable", "2", "AeEnable expects true or false; '2' came"),
        ("ExposureTime", "12000000", "ExposureTime expects 75 to 11000000; '12000000' came"),
        ("ExposureTime", "fast", "ExposureTime expects 75 to 11000000; 'fast' came"),
        ("Brightness", "nan", r"Brightness expects -1.0 to 1.0; 'nan' came"),
        ("ColourGains", "1.5", "ColourGains expects 2 values separated by commas, 0.0 to 32.0; '1.5' came"),
        ("ColourGains", "1,99", "ColourGains expects 2 values separated by commas, 0.0 to 32.0; '1,99'"),
        ("ScalerCrop", "0,0,1", "ScalerCrop expects x,y,width,height within 0,0,4608,2592; '0,0,1' came"),
        ("ScalerCrop", "0,0,-5,-5", "ScalerCrop expects x,y,width,height within 0,0,4608,2592; '0,0,-5"),
        ("ScalerCrop", "9,0,4608,9", "ScalerCrop expects x,y,width,height within 0,0,4608,2592; '9,0"),
        ("SensorId", "1", "SensorId expects nothing, for it cannot be set here; '1' came"),
        ("FrameDurationLimits", "1,2", "FrameDurationLimits: use --fps instead"),
        ("AfMod", "1", "AfMod: this camera has no such control; did you mean AfMode?"),
        ("Zoom", "1", "Zoom: this camera has no such control; --list-cameras lists what it has"),
    ],
)
def test_a_value_that_the_camera_would_not_take_is_told_with_its_range(
    name: str, text: str, sentence: str
) -> None:
    with pytest.raises(NeverWorksError, match=f"--control {sentence}"):
        values(**{name: text})


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(NeverWorksError, match=r"Zoom.*; --control AfMode"):
        values(Zoom="1", AfMode="9", AeEnable="yes")


def test_controls_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(NeverWorksError, match="LensPosition sets the lens that AfMode=Continuous moves"):
        values(LensPosition="2", AfMode="Continuous")
    with pytest.raises(NeverWorksError, match="--control ExposureTime came twice; leave one out"):
        values_for([ControlOrder("ExposureTime", "100"), ControlOrder("ExposureTime", "200")], CONTROLS)
