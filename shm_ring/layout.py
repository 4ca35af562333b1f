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
| 64                | writer          | 1 byte   | nobody: only locked    | locked: the writer lives |
| 128               | head_slot       | u32      | the writer             | hint: the slot of the newest |
| 132               | epoch           | u32      | the writer             | hint: +1 per new writer |
| 136               | publishes       | u32      | the writer             | hint: a change is progress |
| 140               | writer_pid      | u32      | the writer             | hint: for people |
| 144               | dropped_busy    | u32      | the writer             | hint: no slot was free |
| 148               | dropped_too_big | u32      | the writer             | hint: larger than slot_bytes |
| 4096 + i * stride | valid           | u32      | the writer, slot locked| 1: the slot is whole |
| + 4               | epoch           | u32      | the same               | which writer it came from |
| + 8               | sequence        | u64      | the same               | from 1, +1 per publish |
| + 16              | length          | u32      | the same               | of the payload, in bytes |
| + 24              | facts           | 32 bytes | the same               | the ring does not look into them |
| + 64              | payload         | length   | the same               | |

*Writing order.* Lock the slot; valid = 0; header and payload; valid = 1; unlock; hints; doorbells. A
writer that is killed anywhere in between leaves valid = 0 or a whole slot, and no lock.

*Reading order.* Take head_slot as a hint; lock that slot shared; look at valid; copy; unlock. A busy
or invalid slot is passed over for the best other one.

*What this relies on.* The kernel's record locks order memory between processes, exclude, and are let
go when their holder dies (fcntl(2), "Advisory record locking"). That is why it is `lockf` and not
`flock` or open-file-description locks: those are inherited with the descriptor or stay with a
grandchild. Only the hints are read without a lock: aligned 32-bit words, stored by one machine store
each through `memoryview.cast("I")`. `struct.pack_into` would zero its target first, and a 64-bit
store tears on 32-bit Arm.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = b"RINGCAST"
LAYOUT_VERSION = 1

MAGIC_AT = 0
GEOMETRY_AT = 8
GEOMETRY = struct.Struct("=IIII")  # layout_version, slot_count, slot_bytes, slot_stride

WRITER_AT = 64

HINTS_AT = 128
HEAD_SLOT, EPOCH, PUBLISHES, WRITER_PID, DROPPED_BUSY, DROPPED_TOO_BIG = range(6)
HINTS_BYTES = 6 * 4

SLOTS_AT = 4096
VALID = struct.Struct("=I")
SLOT_HEADER = struct.Struct("=IIQI4x32s8x")  # valid, epoch, sequence, length, facts
FACTS_BYTES = 32

WORD_MASK = 0xFFFFFFFF
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Geometry:
    """How many slots a ring has and how large they are."""

    slot_count: int
    slot_bytes: int

    @property
    def slot_stride(self) -> int:
        """Bytes from one slot to the next: whole pages, so that slots share none."""
        used = SLOT_HEADER.size + self.slot_bytes
        return -(-used // _PAGE_BYTES) * _PAGE_BYTES

    @property
    def segment_bytes(self) -> int:
        """Bytes of the whole segment."""
        return SLOTS_AT + self.slot_count * self.slot_stride

    def slot_at(self, slot: int) -> int:
        """Return the offset of a slot's header."""
        return SLOTS_AT + slot * self.slot_stride
