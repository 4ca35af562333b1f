# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import simplejpeg

from capture_proc.camera import PixelsError, Yuv420
from capture_proc.jpeg import to_jpeg
from tests.fakes import rgb


def test_rgb_is_encoded_in_its_size_and_colour() -> None:
    picture = rgb(0)
    picture[:] = (200, 30, 60)
    encoded = to_jpeg(picture, 90)
    assert encoded.size == (64, 48)
    decoded = simplejpeg.decode_jpeg(encoded.jpeg)
    assert np.abs(decoded.astype(int) - (200, 30, 60)).max() <= 4


def test_planes_with_padded_rows_are_encoded_as_full_range() -> None:
    """Picamera2's rows are padded; and limited-range colours would look washed out."""
    padded = np.full((48, 96), 255, dtype=np.uint8)
    chroma = np.full((24, 48), 128, dtype=np.uint8)
    encoded = to_jpeg(Yuv420(padded[:, :64], chroma[:, :32], chroma[:, :32]), 90)
    assert encoded.size == (64, 48)
    assert simplejpeg.decode_jpeg(encoded.jpeg).min() >= 253


@pytest.mark.parametrize(
    ("pixels", "came"),
    [
        (np.zeros((48, 64), dtype=np.uint8), r"uint8 \(48, 64\)"),
        (np.zeros((48, 64, 3), dtype=np.float32), r"float32 \(48, 64, 3\)"),
        (bytearray(5), "bytearray"),
    ],
)
def test_what_is_no_picture_is_told_with_what_was_expected(pixels: Any, came: str) -> None:
    with pytest.raises(PixelsError, match=rf"an array \(height, width, 3\) of uint8.* gave {came}"):
        to_jpeg(pixels, 80)


def test_a_picture_that_is_too_large_is_told() -> None:
    """Nobody who decodes it could keep up; and the largest that --size allows is."""
    with pytest.raises(PixelsError, match="of up to 8192x8192 pixels, the camera gave 16x8194"):
        to_jpeg(rgb(size=(16, 8194)), 80)
    y, half = np.zeros((16, 8194), dtype=np.uint8), np.zeros((8, 4097), dtype=np.uint8)
    with pytest.raises(PixelsError, match="the camera gave 8194x16"):
        to_jpeg(Yuv420(y, half, half), 80)
    assert to_jpeg(rgb(size=(8192, 16)), 80).size == (8192, 16)
