# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from capture_proc.camera import CameraWishes
from capture_proc.cameras.pattern import PatternCamera
from tests.fakes import FakeClock


@pytest.mark.parametrize("size", [(640, 480), (16, 16), (1920, 1080), (48, 640)])
def test_the_pattern_has_the_size_asked_for(size: tuple[int, int]) -> None:
    picture = PatternCamera(CameraWishes(size), FakeClock()).next_picture(1)
    assert picture is not None
    assert isinstance(picture.pixels, np.ndarray)
    assert picture.pixels.shape == (size[1], size[0], 3)


def test_the_pattern_moves_and_its_number_and_time_change() -> None:
    """A picture that stands still must be seen to stand still."""
    camera = PatternCamera(CameraWishes((320, 240)), FakeClock())
    first, second = camera.next_picture(1), camera.next_picture(1)
    assert first is not None
    assert second is not None
    assert second.captured_ns - first.captured_ns == 50_000_000
    changed = np.any(np.asarray(first.pixels) != np.asarray(second.pixels), axis=(1, 2))
    assert changed.all(), "the bar that sweeps changes every row"


def test_no_picture_before_it_is_due() -> None:
    camera = PatternCamera(CameraWishes(fps=1), FakeClock())
    assert camera.next_picture(0.1) is not None
    assert camera.next_picture(0.1) is None
