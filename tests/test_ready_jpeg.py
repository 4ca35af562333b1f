# SPDX-License-Identifier: MIT
from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from capture_proc.jpeg import to_jpeg
from capture_proc.ready_jpeg import UnusableJpegError, checked
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


def test_two_halves_of_different_jpegs_are_unusable() -> None:
    """A webcam that loses packets joins them so, and some lengths make them look like one."""
    large = jpeg_of(noise((640, 480)), 95)
    for cut in range(len(large) // 2, len(large) // 2 + 3):
        with pytest.raises(UnusableJpegError, match="the scan breaks off"):
            checked(large[:cut].rstrip(b"\xff") + large)


def test_a_jfxx_thumbnail_is_taken_out() -> None:
    jfxx = b"JFXX\0\x10" + WHOLE
    mended = checked(b"\xff\xd8\xff\xe0" + (2 + len(jfxx)).to_bytes(2, "big") + jfxx + WHOLE[2:])
    assert mended.jpeg == WHOLE


def test_fill_bytes_before_a_marker_are_legal() -> None:
    """T.81, B.1.1.2."""
    assert checked(b"\xff\xd8\xff\xff" + WHOLE[2:]).jpeg == WHOLE


def test_a_picture_without_size_is_unusable() -> None:
    at = WHOLE.index(b"\xff\xc0") + 5
    with pytest.raises(UnusableJpegError, match="size"):
        checked(WHOLE[:at] + bytes(4) + WHOLE[at + 4 :])


@pytest.mark.parametrize("size", [(65535, 65535), (8193, 16), (16, 8193)])
def test_a_picture_that_says_it_is_huge_is_unusable(size: tuple[int, int]) -> None:
    """It has as few bytes as any, and whoever decodes it needs gigabytes."""
    at = WHOLE.index(b"\xff\xc0") + 5
    huge = WHOLE[:at] + size[1].to_bytes(2, "big") + size[0].to_bytes(2, "big") + WHOLE[at + 4 :]
    with pytest.raises(
        UnusableJpegError, match=f"of up to 8192x8192 pixels, got one that says {size[0]}x{size[1]}"
    ):
        checked(huge)


def test_the_largest_picture_is_usable() -> None:
    assert checked(jpeg_of(rgb(size=(8192, 16)))).size == (8192, 16)
    assert checked(jpeg_of(rgb(size=(16, 8192)))).size == (16, 8192)
