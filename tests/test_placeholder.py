# SPDX-License-Identifier: MIT
"""The placeholder is decoded and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from capture_proc.ready_jpeg import checked
from server_proc.live.multipart import padded
from server_proc.live.placeholder import draw_placeholder
from tests.fakes import jpeg_of, noise
from tests.reading import letters, read_in

LINES = ("NO LIVE VIDEO · 7 s", "camera is being restarted, try 2")
LONGEST = ("NO LIVE VIDEO · 59 min 59 s", "camera driver hangs, a reboot may be needed")
SIZES = [(320, 240), (640, 480), (480, 640), (1280, 720), (1920, 1080)]


@pytest.mark.client
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lines", [LINES, LONGEST])
@pytest.mark.parametrize("last", [True, False], ids=["after a frame", "before any"])
def test_it_can_be_read_at_every_size(
    tmp_path: Path, size: tuple[int, int], lines: tuple[str, ...], last: bool
) -> None:
    frame = noise(size=size)
    jpeg = draw_placeholder(jpeg_of(frame, 90) if last else None, size, lines)
    assert checked(jpeg).size == size, "a whole baseline JPEG of the stream's own size"
    assert len(padded(jpeg)) >= 4096
    picture = np.asarray(simplejpeg.decode_jpeg(jpeg))
    assert read_in(picture, tmp_path) == letters("".join(lines))
    shade = picture[: size[1] // 8].astype(float).mean()
    assert shade == pytest.approx(0.35 * frame.mean() if last else 48, abs=3)


def test_a_last_picture_that_cannot_be_decoded_is_left_out() -> None:
    """It passed by its markers; nobody looked at what is in between."""
    jpeg = draw_placeholder(b"\xff\xd8 no picture \xff\xd9", (320, 240), LINES)
    assert jpeg == draw_placeholder(None, (320, 240), LINES)
