# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import pytest

from capture_proc.camera import NeverWorksError, NoCameraError
from capture_proc.cameras.kinds import automatic_choice, is_raspberry_pi, open_camera
from capture_proc.options import CaptureOptions, ControlOrder, Picamera2Options
from capture_proc.orientation import TurnedCamera


def test_auto_takes_picamera2_where_it_can_be_imported() -> None:
    assert automatic_choice(has_picamera2=True, is_raspberry_pi=True) == "picamera2"


def test_auto_shows_the_pattern_where_there_is_no_camera_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert automatic_choice(has_picamera2=False, is_raspberry_pi=False) == "pattern"
    assert "showing the moving test pattern" in caplog.text


def test_auto_on_a_raspberry_pi_without_picamera2_says_what_to_type() -> None:
    """On a robot a moving test picture would mislead its driver."""
    with pytest.raises(NoCameraError, match="type: sudo apt install python3-picamera2"):
        automatic_choice(has_picamera2=False, is_raspberry_pi=True)


def test_a_raspberry_pi_is_known_by_its_device_tree(tmp_path: Path) -> None:
    model = tmp_path / "model"
    assert not is_raspberry_pi(model)
    model.write_text("Raspberry Pi 5 Model B Rev 1.0\0")
    assert is_raspberry_pi(model)


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ("no_such_module:Camera", "there is no module 'no_such_module'; check its name"),
        ("tests.fakes:NoSuchClass", "has no class 'NoSuchClass'; check its name"),
        ("sys:NoSuchClass", "has no class 'NoSuchClass'; check its name"),
        ("os:sep", "has no class 'sep'; check its name"),
    ],
)
def test_a_class_that_is_not_there_is_told_in_a_sentence(choice: str, sentence: str) -> None:
    with pytest.raises(NeverWorksError, match=sentence):
        open_camera(CaptureOptions(camera=choice), Picamera2Options())


def test_a_class_of_somebodys_own_gets_what_was_asked_for() -> None:
    options = CaptureOptions(camera="capture_proc.cameras.pattern:PatternCamera", size=(320, 240), fps=10)
    opened = open_camera(options, Picamera2Options())
    assert opened.name == "test pattern 320x240"
    assert opened.period_s == 0.1


def test_any_camera_is_turned() -> None:
    opened = open_camera(CaptureOptions(camera="pattern", rotate=90), Picamera2Options())
    assert isinstance(opened, TurnedCamera)


def test_options_that_would_not_be_heeded_are_refused() -> None:
    """Whoever asks a test pattern for autofocus has the wrong camera, and would not notice."""
    of_picamera2 = Picamera2Options(control=(ControlOrder("AfMode", "1"),), encoder="hardware")
    sentence = "only a camera of Picamera2 heeds --control and --encoder, and --camera is pattern; leave"
    with pytest.raises(NeverWorksError, match=sentence):
        open_camera(CaptureOptions(camera="pattern"), of_picamera2)
