# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import pytest

from capture_proc.camera import Camera, CameraWishes, NeverWorksError, NoCameraError, OwnCamera, Picture
from capture_proc.cameras.kinds import KINDS, automatic_choice, choose, is_raspberry_pi, opened, wishes_of
from capture_proc.options import CaptureOptions, ControlOrder, Picamera2Options
from capture_proc.turned import TurnedCamera


def open_camera(options: CaptureOptions, of_picamera2: Picamera2Options | None = None) -> Camera:
    """Open a camera as the capture process does."""
    name, camera_id = choose(options.camera)
    kind = KINDS[name]
    wishes = wishes_of(kind, options, of_picamera2 or Picamera2Options(), camera_id=camera_id)
    return opened(kind, kind.imported(wishes), wishes)


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
        ("tests.fakes:NoSuchClass", "has no class 'NoSuchClass'; check its name"),
        ("sys:NoSuchClass", "has no class 'NoSuchClass'; check its name"),
        ("os:sep", "has no class 'sep'; check its name"),
    ],
)
def test_a_class_that_is_not_there_is_told_in_a_sentence(choice: str, sentence: str) -> None:
    with pytest.raises(NeverWorksError, match=sentence):
        open_camera(CaptureOptions(camera=choice))


def test_a_module_that_is_not_there_yet_is_waited_for() -> None:
    with pytest.raises(
        NoCameraError, match="finds no module 'no_such_module'; check its name, or add the folder"
    ):
        open_camera(CaptureOptions(camera="no_such_module:Camera"))


@pytest.mark.parametrize(
    ("camera", "chosen"),
    [
        ("picamera2", ("picamera2", "")),
        ("picamera2:/base/imx708", ("picamera2", "/base/imx708")),
        ("pattern", ("pattern", "")),
        ("pattern:Camera", ("class", "pattern:Camera")),
        ("/mnt/usb/street.avi", ("footage", "/mnt/usb/street.avi")),
        ("tests", ("footage", "tests")),
        ("mine:Grey", ("class", "mine:Grey")),
    ],
)
def test_a_camera_is_chosen_by_its_kind(camera: str, chosen: tuple[str, str]) -> None:
    assert choose(camera) == chosen


def test_a_class_of_somebodys_own_gets_what_was_asked_for() -> None:
    options = CaptureOptions(camera="capture_proc.cameras.pattern:PatternCamera", size=(320, 240), fps=10)
    camera = open_camera(options)
    assert camera.name == "test pattern 320x240"
    assert camera.period_s == 0.1


class Wishing(Camera):
    """It keeps what was wished of it, as one that derives from Picamera2Camera does."""

    name, period_s = "wishing", 0.1

    def __init__(self, wishes: CameraWishes) -> None:
        self.wishes = wishes


def test_a_class_of_somebodys_own_is_not_asked_for_what_is_done_for_it() -> None:
    """Its name was taken for the Id of a camera, and its pictures would have been turned twice."""
    options = CaptureOptions(camera="tests.test_camera_kinds:Wishing", fps=10, rotate=180)
    camera = open_camera(options)
    assert isinstance(camera, TurnedCamera)
    assert isinstance(camera._camera, Wishing)
    assert camera._camera.wishes == CameraWishes(fps=10)


class Bare:
    """As README's: it derives from nothing, and says no more than it must."""

    name, period_s = "bare", 0.1

    def __init__(self, wishes: CameraWishes) -> None:
        self.wishes = wishes
        self.is_open = True

    def next_picture(self, timeout_s: float) -> Picture | None:
        return Picture(b"jpeg", 7)

    def close(self) -> None:
        self.is_open = False


class Outspoken(Bare):
    scene_may_freeze = False
    granted = "all"


def test_a_class_that_derives_from_nothing_has_the_usual_answers() -> None:
    camera = open_camera(CaptureOptions(camera="tests.test_camera_kinds:Bare", size=(320, 240), fps=10))
    assert isinstance(camera, OwnCamera)
    assert (camera.name, camera.period_s, camera.scene_may_freeze, camera.granted) == (
        "bare",
        0.1,
        True,
        None,
    )
    assert camera.next_picture(1) == Picture(b"jpeg", 7)
    assert (camera._own.wishes.size, camera._own.wishes.fps) == ((320, 240), 10)
    camera.close()
    assert not camera._own.is_open


def test_what_such_a_class_says_counts_also_when_it_is_turned() -> None:
    camera = open_camera(CaptureOptions(camera="tests.test_camera_kinds:Outspoken", rotate=90))
    assert isinstance(camera, TurnedCamera)
    assert (camera.scene_may_freeze, camera.granted) == (False, "all")


def test_any_camera_is_turned() -> None:
    assert isinstance(open_camera(CaptureOptions(camera="pattern", rotate=90)), TurnedCamera)


def test_options_that_would_not_be_heeded_are_refused() -> None:
    """Whoever asks a test pattern for autofocus has the wrong camera, and would not notice."""
    of_picamera2 = Picamera2Options(control=(ControlOrder("AfMode", "1"),), encoder="hardware")
    sentence = "only a Picamera2 camera supports --control and --encoder, and --camera is pattern; leave"
    with pytest.raises(NeverWorksError, match=sentence):
        open_camera(CaptureOptions(camera="pattern"), of_picamera2)
