# SPDX-License-Identifier: MIT
"""Payloads that prove themselves: a reader can tell a torn one, a mixed-up one and one from the past."""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass

from shm_ring.ring import Published

_HEAD = struct.Struct("=III")  # CRC-32 of all that follows, which payload this is, its bytes
_FACTS = struct.Struct("=QQ")  # which writer, how many it published before

SIZES = (33_000, 100_000, 900_000, 1_000)


def _drawn(index: int, size: int) -> bytes:
    body = random.Random(index).randbytes(size - _HEAD.size)
    rest = struct.pack("=II", index, size) + body
    return struct.pack("=I", zlib.crc32(rest)) + rest


PAYLOADS = tuple(_drawn(index, size) for index, size in enumerate(SIZES))


def payload(count: int) -> bytes:
    """Return the payload number `count` of any writer: they take turns."""
    return PAYLOADS[count % len(PAYLOADS)]


def facts(writer: int, count: int) -> bytes:
    """Return the facts that go with payload number `count` of a writer."""
    return _FACTS.pack(writer, count)


@dataclass(slots=True)
class Checker:
    """What one reader has seen; `faults` stays empty as long as the ring keeps its word."""

    read: int = 0
    torn: int = 0
    back: int = 0
    _last: tuple[int, int, int] = (0, 0, -1)
    """Sequence, writer and count of the newest."""

    def take(self, published: Published) -> str | None:
        """Check what was read; return what is wrong with it, None where nothing is."""
        self.read += 1
        writer, count = _FACTS.unpack_from(published.facts)
        if not _is_whole(published.payload, count):
            self.torn += 1
            return f"torn: sequence {published.sequence}, writer {writer}, count {count}"
        last, self._last = self._last, (published.sequence, writer, count)
        # one writer after the other, and each counts on with the sequence
        same_writer = writer == last[1]
        steps = (count - last[2]) if same_writer else 1
        went_on = writer > last[1] or (same_writer and steps == published.sequence - last[0])
        if published.sequence <= last[0] or not went_on:
            self.back += 1
            return f"back: from {last} to {self._last}"
        return None


def _is_whole(found: bytes, count: int) -> bool:
    """Tell whether every byte is the one that was published, and it goes with its facts."""
    if len(found) < _HEAD.size:
        return False
    crc, index, size = _HEAD.unpack_from(found)
    return (index, size) == (count % len(PAYLOADS), len(found)) and zlib.crc32(found[4:]) == crc
