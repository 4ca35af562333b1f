# SPDX-License-Identifier: MIT
from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from capture_proc.camera import Yuv420
from capture_proc.jpeg import UnusableJpegError, checked, to_jpeg
from tests.fakes import jpeg_of, noise, rgb

WHOLE = jpeg_of(noise())


def _by_pillow(**options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(noise()).save(out, "JPEG", **options)
    return out.getvalue()


def _without(jpeg: bytes, marker: bytes) -> bytes:
    """Take all segments with `marker` out."""
    while (at := jpeg.find(marker)) >= 0:
        jpeg = jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4]) :]
    return jpeg


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


def test_a_ready_jpeg_that_is_whole_stays_byte_for_byte() -> None:
    assert checked(WHOLE).jpeg == WHOLE
    assert to_jpeg(WHOLE, 10).jpeg == WHOLE
    restarts = _by_pillow(quality=80)
    assert checked(restarts).jpeg == restarts


@pytest.mark.parametrize("end", [0, 1, 2, 3, 10, 200, len(WHOLE) // 2, len(WHOLE) - 2, len(WHOLE) - 1])
def test_a_truncated_jpeg_is_unusable_wherever_it_ends(end: int) -> None:
    """A webcam on a bad cable; browsers show grey below the break, and Chromium can stop for good."""
    with pytest.raises(UnusableJpegError):
        checked(WHOLE[:end])


def test_what_follows_the_picture_is_cut_off() -> None:
    assert checked(WHOLE + b"\0" * 100).jpeg == WHOLE
    assert checked(WHOLE + WHOLE).jpeg == WHOLE


def test_missing_huffman_tables_are_put_in() -> None:
    """Motion-JPEG cameras leave the usual tables out (the AVI1 convention)."""
    bare = _without(WHOLE, b"\xff\xc4")
    mended = checked(bare).jpeg
    assert np.array_equal(simplejpeg.decode_jpeg(mended), simplejpeg.decode_jpeg(WHOLE))


def test_exif_with_its_thumbnail_is_taken_out() -> None:
    """A thumbnail is a second SOI and EOI, by which readers that look for those cut the stream."""
    exif = Image.Exif()
    exif[0x010E] = "a thumbnail would stand here: \xff\xd8 \xff\xd9"
    with_exif = _by_pillow(exif=exif)
    assert b"Exif" in with_exif
    mended = checked(with_exif)
    assert b"Exif" not in mended.jpeg
    assert mended.size == (64, 48)


def test_a_truncated_picture_is_not_saved_by_the_end_of_its_thumbnail() -> None:
    exif = b"\xff\xe1" + (2 + 6 + len(WHOLE)).to_bytes(2, "big") + b"Exif\0\0" + WHOLE
    with pytest.raises(UnusableJpegError, match="truncated"):
        checked(b"\xff\xd8" + exif + WHOLE[2 : len(WHOLE) // 2])


def test_a_progressive_jpeg_is_unusable() -> None:
    with pytest.raises(UnusableJpegError, match="baseline"):
        checked(_by_pillow(progressive=True))


@pytest.mark.parametrize("junk", [b"", b"\x89PNG\r\n", b"\xff\xd8" + b"\0" * 50, b"\xff\xd8\xff\xd9" * 9])
def test_junk_is_unusable(junk: bytes) -> None:
    with pytest.raises(UnusableJpegError):
        checked(junk)


def test_no_bytes_make_it_raise_anything_else() -> None:
    """What a broken camera sends is arbitrary."""
    chance = np.random.default_rng(3)
    for _ in range(3000):
        spoilt = bytearray(WHOLE[: chance.integers(2, len(WHOLE))] if chance.random() < 0.5 else WHOLE)
        for at in chance.integers(2, min(400, len(spoilt)), 4) if len(spoilt) > 8 else ():
            spoilt[at] = chance.integers(0, 256)
        with contextlib.suppress(UnusableJpegError):
            checked(bytes(spoilt))
