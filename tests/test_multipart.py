# SPDX-License-Identifier: MIT
"""The bytes that readers in the field depend on, each rule with who breaks without it."""

from __future__ import annotations

import numpy as np
import pytest
import simplejpeg

from server_proc.live.multipart import CONTENT_TYPE, DELIMITER, padded, part, part_facts, unix_seconds
from shm_ring.frame import Frame, FrameFacts
from tests.fakes import jpeg_of, noise, rgb

FACTS = FrameFacts(captured_ns=5, captured_unix_ns=1_795_346_598_880_931_999, width_px=64, height_px=48)
FRAME = Frame(7, FACTS, jpeg_of(noise(size=(128, 96)), 95))


def test_a_part_has_exactly_these_bytes() -> None:
    assert part(FRAME) == (
        b"Content-Type: image/jpeg\r\n"
        b"Content-Length: %d\r\n"
        b"X-Timestamp: 1795346598.880931\r\n"
        b"\r\n" % len(FRAME.jpeg) + FRAME.jpeg + b"\r\n--frame\r\n"
    )


def test_the_boundary_is_unquoted_and_the_only_parameter() -> None:
    """Fluidd shows no frame, iPhone Safari freezes, Firefox errors."""
    assert CONTENT_TYPE == "multipart/x-mixed-replace; boundary=frame"


def test_a_delimiter_and_a_part_head_stay_within_100_bytes() -> None:
    """motionEye and Android readers look no further."""
    largest = Frame(7, FACTS, b"\xff\xd8" + b"x" * 9_999_997)
    head = part(largest).split(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert len(DELIMITER + head) <= 100


def test_extra_headers_come_when_asked_for() -> None:
    head = part(FRAME, part_facts(FRAME, "live", 12)).split(b"\r\n\r\n")[0]
    assert head.endswith(b"X-Sequence: 7\r\nX-Width: 64\r\nX-Height: 48\r\nX-Freshness: live\r\nX-Age-Ms: 12")


@pytest.mark.parametrize("missing", [0, 1, 2, 3, 4, 5, 100, 3000])
def test_a_short_jpeg_is_made_up_to_4_kib_by_a_comment(missing: int) -> None:
    """CFNetwork and OctoEverywhere hold short pictures back."""
    body = jpeg_of(rgb())
    jpeg = body[:-2] + b"\xff\xd9"
    jpeg = jpeg[:2] + _comment(4096 - missing - len(jpeg)) + jpeg[2:]
    assert len(jpeg) == 4096 - missing
    longer = padded(jpeg)
    assert len(longer) >= 4096
    assert np.array_equal(simplejpeg.decode_jpeg(longer), simplejpeg.decode_jpeg(body))
    if not missing:
        assert longer is jpeg


def _comment(length: int) -> bytes:
    return b"\xff\xfe" + (length - 2).to_bytes(2, "big") + bytes(length - 4)


def test_a_capture_time_keeps_its_microseconds() -> None:
    facts = FrameFacts(captured_ns=0, captured_unix_ns=1_000_000_001_000, width_px=1, height_px=1)
    assert unix_seconds(Frame(1, facts, b"")) == "1000.000001"
