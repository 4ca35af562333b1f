# SPDX-License-Identifier: MIT
"""The memory map of a ring. Nothing else in the project knows an offset.

One segment is one header page and N slots.

| offset            | field           | width    | written by             | meaning |
|-------------------|-----------------|----------|------------------------|---------|
| 0                 | magic           | 8 bytes  | supervisor, last       | present: the header is complete |
| 8                 | layout_version  | u32      | supervisor             | this map; others are refused |
| 12                | slot_count      | u32      | supervisor             | N |
| 16                | slot_bytes      | u32      | supervisor             | the largest payload |
| 20                | slot_stride     | u32      | supervisor             | bytes from one slot to the next |
| 24                | geometry_seal   | u32      | supervisor             | CRC-32 of the bytes from 8 on |
| 64                | writer          | 1 byte   | nobody: only locked    | locked: the writer lives |
| 128               | head_slot       | u32      | the writer             | hint: the slot of the newest |
| 132               | epoch           | u32      | the writer             | hint: +1 per new writer |
| 136               | publishes       | u32      | the writer             | hint: a change is progress |
| 140               | writer_pid      | u32      | the writer             | hint: for people |
| 144               | dropped_busy    | u32      | the writer             | hint: no slot was free |
| 148               | dropped_too_big | u32      | the writer             | hint: larger than slot_bytes |
| 192               | sequence        | u64      | the writer             | the last one taken, for the next |
| 200               | not_sequence    | u64      | the writer             | its complement, or both are void |
| 4096 + i * stride | seal            | u32      | the writer, slot locked| the header's CRC-32, or 0 |
| + 4               | epoch           | u32      | the same               | which writer it came from |
| + 8               | sequence        | u64      | the same               | from 1, +1 per publish |
| + 16              | length          | u32      | the same               | of the payload, in bytes |
| + 24              | facts           | 32 bytes | the same               | the ring does not look into them |
| + 64              | payload         | length   | the same               | |

*Writing order.* Sequence; lock the slot; seal = 0; header and payload; the seal; unlock; hints; doorbells.
A writer that is killed anywhere in between leaves seal = 0 or a whole slot, and no lock. The next writer
starts above the sequence at 192 and above all whole slots, so readers see no sequence twice.

*Reading order.* Take head_slot; lock that slot shared; look at the seal; copy; unlock. If the slot is busy
or unsealed, the writer has come round to it since: take head_slot again. No other slot is locked, so
a reader keeps the writer out of one slot at most, and readers + 2 slots are enough (docs/ring.md). A header
that does not match its seal was damaged by something other than a writer: it is skipped and reported.

*What this relies on.* The kernel's record locks order memory between processes, exclude each other, and are
released when their holder dies (fcntl(2), "Advisory record locking"). That is why it is `lockf` and not
`flock` or open-file-description locks: those are inherited with the descriptor or stay with a
grandchild. Only the hints are read without a lock: aligned 32-bit words, stored by one machine store
each through `memoryview.cast("I")`. `struct.pack_into` would zero its target first, and a 64-bit
store tears on 32-bit Arm. The sequence at 192 may tear: only the next writer looks at it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

MAGIC = b"RINGCAST"
LAYOUT_VERSION = 3

MAGIC_AT = 0
GEOMETRY_AT = 8
GEOMETRY = struct.Struct("=IIIII")  # layout_version, slot_count, slot_bytes, slot_stride, geometry_seal

WRITER_AT = 64

HINTS_AT = 128
HEAD_SLOT, EPOCH, PUBLISHES, WRITER_PID, DROPPED_BUSY, DROPPED_TOO_BIG = range(6)
HINTS_BYTES = 6 * 4

SEQUENCE_AT = 192
SEQUENCE, NOT_SEQUENCE = range(2)
SEQUENCE_BYTES = 2 * 8

SLOTS_AT = 4096
SEAL = struct.Struct("=I")
SLOT_HEADER = struct.Struct("=IQI4x32s8x")  # what follows the seal: epoch, sequence, length, facts
SLOT = struct.Struct("=IIQI4x32s8x")  # both
PAYLOAD_AT = SEAL.size + SLOT_HEADER.size
FACTS_BYTES = 32

UNSEALED = SEAL.pack(0)

WORD_MASK = 0xFFFFFFFF
LONG_MASK = 0xFFFFFFFFFFFFFFFF
_PAGE_BYTES = 4096


@dataclass(frozen=True)
class Geometry:
    """How many slots a ring has and how large they are."""

    slot_count: int
    slot_bytes: int

    @cached_property
    def slot_stride(self) -> int:
        """Bytes from one slot to the next: whole pages, so no two slots share one."""
        used = PAYLOAD_AT + self.slot_bytes
        return -(-used // _PAGE_BYTES) * _PAGE_BYTES

    @property
    def segment_bytes(self) -> int:
        """Bytes of the whole segment."""
        return SLOTS_AT + self.slot_count * self.slot_stride

    def slot_at(self, slot: int) -> int:
        """Return the offset of a slot's header."""
        return SLOTS_AT + slot * self.slot_stride

    def pack(self) -> bytes:
        """Return the bytes at GEOMETRY_AT, sealed."""
        fields = (LAYOUT_VERSION, self.slot_count, self.slot_bytes, self.slot_stride)
        unsealed = GEOMETRY.pack(*fields, 0)[: -SEAL.size]
        return unsealed + seal_of(unsealed)


class SlotHeader(NamedTuple):
    """What a slot says about its payload."""

    epoch: int
    sequence: int
    length: int
    facts: bytes

    def pack(self) -> bytes:
        """Return the bytes after the seal."""
        return SLOT_HEADER.pack(*self)


def seal_word(header: bytes) -> int:
    """Return the seal of a header: never that of an unsealed one."""
    return zlib.crc32(header) or 1


def seal_of(header: bytes) -> bytes:
    """Return the seal of a header as it is stored."""
    return SEAL.pack(seal_word(header))
