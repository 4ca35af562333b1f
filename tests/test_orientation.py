# SPDX-License-Identifier: MIT
from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from capture_proc.camera import NeverWorksError, Picture, Plane, Yuv420
from capture_proc.orientation import UPRIGHT, Orientation
from capture_proc.turned import TurnedCamera, turned
from tests.fakes import FakeCamera, FakeClock, jpeg_of, rgb

FLIPS: dict[str, Callable[[Plane], Plane]] = {
    "none": lambda picture: picture,
    "horizontal": lambda picture: picture[:, ::-1],
    "vertical": lambda picture: picture[::-1],
}


@pytest.mark.parametrize(("rotate", "flip"), [*itertools.product((0, 90, 180, 270), FLIPS)])
def test_a_picture_is_turned_clockwise_and_then_mirrored(rotate: int, flip: str) -> None:
    picture = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(4, 6, 3)
    y, u, v = (np.ascontiguousarray(picture[..., channel]) for channel in range(3))
    expected = FLIPS[flip](np.rot90(picture, -rotate // 90))
    orientation = Orientation.of(rotate, flip)
    assert np.array_equal(np.asarray(turned(picture, orientation)), expected)
    planes = turned(Yuv420(y, u[:2, :3], v[:2, :3]), orientation)
    assert isinstance(planes, Yuv420)
    assert np.array_equal(planes.y, expected[..., 0])
    assert np.array_equal(planes.v, FLIPS[flip](np.rot90(v[:2, :3], -rotate // 90)))
    assert planes.y.strides[1] == 1, "the encoder wants whole rows"


def test_upright_pictures_are_not_copied() -> None:
    picture = rgb()
    assert turned(picture, UPRIGHT) is picture
    assert not Orientation.of(0, "none")


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_what_the_camera_did_is_not_done_again(rotate: int) -> None:
    wanted = Orientation.of(rotate, "none")
    assert wanted.after(Orientation(wanted.hflip, wanted.vflip)) == Orientation(transpose=wanted.transpose)


def test_any_camera_of_pixels_can_be_turned_and_one_of_ready_jpegs_says_that_it_cannot() -> None:
    clock = FakeClock()
    camera = TurnedCamera(FakeCamera([rgb(), None, jpeg_of(rgb())], clock), Orientation.of(90, "none"))
    picture = camera.next_picture(1)
    assert isinstance(picture, Picture)
    assert isinstance(picture.pixels, np.ndarray)
    assert picture.pixels.shape == (64, 48, 3)
    assert picture.captured_ns == clock.monotonic_ns()
    assert camera.next_picture(1) is None
    with pytest.raises(
        NeverWorksError, match="ready JPEGs, which are not decoded and cannot be turned; leave out"
    ):
        camera.next_picture(1)
