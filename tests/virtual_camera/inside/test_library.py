# SPDX-License-Identifier: MIT
"""Run inside the folder by test_inside.py: what libcamera itself tells, and when it is asked."""

from __future__ import annotations

import os
from pathlib import Path

import libcamera
import pytest

from capture_proc.cameras.picamera2.library import TUNING_VARIABLE, Library, chosen, short_names, use_tuning

pytestmark = pytest.mark.virtual_camera


def test_the_tuning_is_told_before_the_first_camera_manager_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """libcamera reads it when it looks for cameras, and looks once."""
    told = []
    made = libcamera.CameraManager.singleton

    def singleton() -> libcamera.CameraManager:
        told.append(os.environ.get(TUNING_VARIABLE))
        return made()

    monkeypatch.setattr(libcamera.CameraManager, "singleton", singleton)
    monkeypatch.setenv(TUNING_VARIABLE, "")
    own = tmp_path / "mine.json"
    own.write_text("{}")
    library = Library()
    use_tuning(library, str(own))
    chosen(library, "")
    assert told[0] == str(own)


def test_every_named_value_of_libcamera_is_shortened_to_a_name_of_its_own() -> None:
    """These are the names that Picamera2's users know: controls.AwbModeEnum.Daylight."""
    checked = 0
    for place in (libcamera.controls, libcamera.controls.draft):
        for name in dir(place):
            control, enum = getattr(place, name), getattr(place, f"{name}Enum", None)
            if enum is not None:
                short = short_names(control.enumerators())
                assert {text: value for value, text in short.items()} == {
                    text: int(value) for text, value in enum.__members__.items()
                }, name
                checked += 1
    assert checked > 10
