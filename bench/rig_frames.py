# SPDX-License-Identifier: MIT
"""Frames for the measuring rig: JPEGs by which a receiver can tell a torn, a missed and an old one.

Each has two comment segments at fixed places, which `rig.h` and `mjload.c` know:

    offset 2    FFFE 0042   "RIG1", sequence (10 digits), CLOCK_MONOTONIC in ns (20 digits),
                            CRC-32C of the body (8 hex digits), length of the JPEG (8 digits), blanks
    offset 70   the body: a plain JPEG without its SOI and EOI
    end - 16    FFFE 000C   sequence again (10 digits), and EOI

A frame file is "RIGF", the count and, for each frame, its length (both u32, little-endian) and bytes.
"""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from capture_proc.jpeg import to_jpeg

_HEAD_BYTES, _TAIL_BYTES = 70, 16
_STAMPED_TO = 40  # sequence and time stand before it
_CRC32C = 0x82F63B78


def draw_frame_file(path: Path, size: tuple[int, int], jpeg_bytes: int, count: int) -> None:
    """Draw `count` pictures of `size`, each of about `jpeg_bytes` as a JPEG, into a frame file."""
    chance = np.random.default_rng(1)
    blocks = chance.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    scene = Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC)
    still = np.asarray(scene.filter(ImageFilter.GaussianBlur(2)), dtype=np.int16)
    frames = []
    for number in range(count):
        moved = np.roll(still, number * 7, axis=1) + chance.normal(0, 6, still.shape)
        picture = moved.clip(0, 255).astype(np.uint8)
        by_quality = (to_jpeg(picture, quality).jpeg for quality in range(20, 96, 2))
        frames.append(_with_stamps(min(by_quality, key=lambda jpeg: abs(len(jpeg) - jpeg_bytes))))
    with path.open("wb") as out:
        out.write(b"RIGF" + struct.pack("<I", count))
        for frame in frames:
            out.write(struct.pack("<I", len(frame)) + frame)


def _with_stamps(jpeg: bytes) -> bytes:
    body = jpeg[2:-2]
    length = _HEAD_BYTES + len(body) + _TAIL_BYTES
    head = b"RIG1" + b"%010d%020d%08x%08d" % (0, 0, _crc32c(body), length)
    return b"\xff\xd8\xff\xfe\x00\x42" + head.ljust(64) + body + b"\xff\xfe\x00\x0c" + b"0" * 10 + b"\xff\xd9"


def _crc32c(content: bytes) -> int:
    table = []
    for number in range(256):
        crc = number
        for _ in range(8):
            crc = (crc >> 1) ^ (_CRC32C if crc & 1 else 0)
        table.append(crc)
    crc = 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


class StampedFrames:
    """The frames of a file in turn, each stamped when it is taken: one copy, no encoding."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        (count,) = struct.unpack_from("<I", content, 4)
        self._middles, at = [], 8
        for _ in range(count):
            (length,) = struct.unpack_from("<I", content, at)
            frame = content[at + 4 : at + 4 + length]
            self._middles.append(frame[_STAMPED_TO : -_TAIL_BYTES + 4])
            at += 4 + length
        self._sequence = 0

    def take(self) -> bytes:
        """Return the next frame, stamped with its number and the present time."""
        self._sequence += 1
        sequence = b"%010d" % self._sequence
        head = b"\xff\xd8\xff\xfe\x00\x42RIG1" + sequence + b"%020d" % time.monotonic_ns()
        return head + self._middles[self._sequence % len(self._middles)] + sequence + b"\xff\xd9"
