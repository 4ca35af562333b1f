# SPDX-License-Identifier: MIT
"""A frame as the bytes of one part of a multipart/x-mixed-replace stream (RFC 2046, section 5.1).

No socket, no ring, no clock. The delimiter goes out with the frame before it: Firefox and GStreamer
show a frame only when they see it. Readers that do not parse compare these exact words and their
case; a delimiter and a part's head stay within the 100 bytes that some of them look at.
"""

from __future__ import annotations

from shm_ring.frame import Frame

CONTENT_TYPE = "multipart/x-mixed-replace; boundary=frame"
DELIMITER = b"--frame\r\n"
ADVANCED_DELIMITER = DELIMITER + b"Content-Type: image/jpeg\r\n\r\n"
"""With the head of a part whose frame does not exist yet."""

LEAST_JPEG_BYTES = 4096
"""Some clients hold back a shorter picture until more bytes come."""

_SOI = b"\xff\xd8"
_PART = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\nX-Timestamp: %d.%06d\r\n%b\r\n%b\r\n" + DELIMITER


def part(frame: Frame, extra_headers: str = "") -> bytes:
    """Return a frame's part and the delimiter that follows it.

    `extra_headers` are whole lines for clients that asked for more.
    """
    jpeg = padded(frame.jpeg)
    seconds, rest_ns = divmod(frame.facts.captured_unix_ns, 10**9)
    numbers = (len(jpeg), seconds, rest_ns // 1000)
    return _PART % (*numbers, extra_headers.encode("ascii"), jpeg)


def advanced_part(frame: Frame) -> bytes:
    """Return a frame whose part's head went out before it, and the head of the next part.

    That head has no length, because the next frame does not exist yet.
    """
    return b"".join((padded(frame.jpeg), b"\r\n", ADVANCED_DELIMITER))


def part_facts(frame: Frame, freshness: str, age_ms: int) -> str:
    """Return the header lines that `?extra_headers=1` adds to a part."""
    return (
        f"X-Sequence: {frame.sequence}\r\n"
        f"X-Width: {frame.facts.width_px}\r\n"
        f"X-Height: {frame.facts.height_px}\r\n"
        f"X-Freshness: {freshness}\r\n"
        f"X-Age-Ms: {age_ms}\r\n"
    )


def unix_seconds(frame: Frame) -> str:
    """Return when the frame was captured, in Unix seconds with microseconds."""
    seconds, rest_ns = divmod(frame.facts.captured_unix_ns, 10**9)
    return f"{seconds}.{rest_ns // 1000:06d}"


def padded(jpeg: bytes) -> bytes:
    """Return the JPEG with at least 4 KiB: a comment segment after SOI fills the gap."""
    missing = LEAST_JPEG_BYTES - len(jpeg)
    if missing <= 0:
        return jpeg
    comment_bytes = max(2, missing - 2)  # a segment's length counts its own two bytes: T.81, B.2.4.5
    comment = b"\xff\xfe" + comment_bytes.to_bytes(2, "big") + bytes(comment_bytes - 2)
    return _SOI + comment + jpeg[len(_SOI) :]
