# SPDX-License-Identifier: MIT
"""A ready JPEG is checked by its markers, and mended where it can be.

What leaves this file is whole: one SOI first, one EOI last, baseline, with its Huffman tables and
without a thumbnail. Marker codes are those of ITU-T T.81, table B.1.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import simplejpeg

from capture_proc.options import MOST_PX

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOF0, _SOF1, _DHT, _SOS, _APP0, _APP1 = 0xC0, 0xC1, 0xC4, 0xDA, 0xE0, 0xE1
_SOF_OTHER = frozenset(range(0xC2, 0xD0)) - {_DHT, 0xC8, 0xCC}  # progressive, lossless, arithmetic
_BETWEEN_SCANS = frozenset({_DHT, _SOS, 0xDB, 0xDC, 0xDD, 0xFE})  # and DQT, DNL, DRI, COM
_MARK = 0xFF
_MAKES_A_MARKER = np.ones(256, dtype=bool)
_MAKES_A_MARKER[[0x00, _MARK, *range(0xD0, 0xD8)]] = False  # a stuffed 0xFF, fill bytes, restarts


class UnusableJpegError(ValueError):
    """A ready JPEG cannot be streamed, and not be mended."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A whole JPEG and the (width, height) of its picture in pixels."""

    jpeg: bytes
    size: tuple[int, int]


def checked(jpeg: bytes) -> Jpeg:
    """Check a ready JPEG by its markers, without decoding it, and mend what can be.

    Mended are: what follows the end of the picture (cut off), EXIF and JFXX (taken out, for a
    thumbnail is a picture within the picture) and missing Huffman tables, which motion-JPEG cameras
    leave out (the usual ones of T.81 annex K.3 are put in).

    Raises:
        UnusableJpegError: it is no whole baseline JPEG, or says that it is larger than any picture may be.
    """
    if not jpeg.startswith(_SOI):
        raise UnusableJpegError(f"expected a JPEG, got {len(jpeg)} bytes that begin with {jpeg[:4]!r}")
    kept, size, has_tables, at = [_SOI], None, False, 2
    while True:
        at = _after_fill(jpeg, at)
        marker, end = _segment(jpeg, at)
        if marker in (_SOF0, _SOF1):
            size = _size(jpeg, at)
        elif marker in _SOF_OTHER:
            raise UnusableJpegError("expected a baseline JPEG, got a progressive or lossless one")
        has_tables = has_tables or marker == _DHT
        if marker == _SOS:
            break
        if marker != _APP1 and not (marker == _APP0 and jpeg[at + 4 : at + 8] == b"JFXX"):
            kept.append(jpeg[at:end])
        at = end
    if size is None or 0 in size:
        raise UnusableJpegError(f"expected the picture's size before its scan, got {size}")
    if max(size) > MOST_PX:
        raise UnusableJpegError(
            f"expected a picture of up to {MOST_PX}x{MOST_PX} pixels, got one that says {size[0]}x{size[1]}"
        )
    if not has_tables:
        kept.append(_usual_tables())
    kept.append(jpeg[at : _end_of_picture(jpeg, end)])
    return Jpeg(b"".join(kept), size)


def _after_fill(jpeg: bytes, at: int) -> int:
    """Return where the marker begins: any number of 0xFF may stand before it (T.81, B.1.1.2)."""
    while jpeg[at : at + 2] == b"\xff\xff":
        at += 1
    return at


def _segment(jpeg: bytes, at: int) -> tuple[int, int]:
    """Return the marker of the segment at `at`, and where the segment ends."""
    if len(jpeg) < at + 4:
        raise UnusableJpegError(f"the JPEG is truncated: it ends after {len(jpeg)} bytes")
    if jpeg[at] != 0xFF:
        raise UnusableJpegError(f"expected a marker at byte {at}, got {jpeg[at]:#04x}")
    return jpeg[at + 1], at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")


def _size(jpeg: bytes, at: int) -> tuple[int, int]:
    if len(jpeg) < at + 9:
        raise UnusableJpegError(f"the JPEG is truncated: it ends after {len(jpeg)} bytes")
    height, width = int.from_bytes(jpeg[at + 5 : at + 7]), int.from_bytes(jpeg[at + 7 : at + 9])
    return width, height


def _end_of_picture(jpeg: bytes, scan_at: int) -> int:
    """Return where the picture ends: behind the EOI that follows the last scan."""
    at = scan_at
    for marker_at in _markers(jpeg, scan_at):
        if marker_at < at:
            continue  # it stands in a segment between scans
        if jpeg[marker_at : marker_at + 2] == _EOI:
            return marker_at + 2
        marker, at = _segment(jpeg, marker_at)
        if marker not in _BETWEEN_SCANS:
            raise UnusableJpegError(f"the scan breaks off at byte {marker_at}: marker {marker:#04x}")
    raise UnusableJpegError(f"the JPEG is truncated: it ends after {len(jpeg)} bytes without EOI")


def _markers(jpeg: bytes, scan_at: int) -> list[int]:
    """Return where 0xFF and a byte stand that make a marker, in the scan and behind it."""
    codes = np.frombuffer(jpeg, dtype=np.uint8)
    places = np.flatnonzero(codes[scan_at:-1] == _MARK) + scan_at  # as fast as memory, where re is not
    found: list[int] = places[_MAKES_A_MARKER[codes[places + 1]]].tolist()
    return found


@functools.cache
def _usual_tables() -> bytes:
    """Return the DHT segments of T.81 annex K.3, as libjpeg writes them into any picture."""
    picture = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), dtype=np.uint8))
    tables, at = [], 2
    while (segment := _segment(picture, at))[0] != _SOS:
        marker, end = segment
        if marker == _DHT:
            tables.append(picture[at:end])
        at = end
    return b"".join(tables)
