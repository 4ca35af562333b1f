# SPDX-License-Identifier: MIT
"""The memory map is the documentation, so the documentation must be the memory map."""

from __future__ import annotations

import re

from shm_ring import layout


def _documented() -> dict[str, int]:
    rows = re.findall(r"^\| (\+ )?(\d+)[^|]*\| (\w+) ", str(layout.__doc__), flags=re.MULTILINE)
    return {("slot." if plus or name == "seal" else "") + name: int(at) for plus, at, name in rows}


def test_every_constant_repeats_a_row_of_the_map() -> None:
    rows = _documented()
    assert rows["magic"] == layout.MAGIC_AT
    assert rows["layout_version"] == layout.GEOMETRY_AT
    assert rows["geometry_seal"] == layout.GEOMETRY_AT + layout.GEOMETRY.size - layout.SEAL.size
    assert rows["writer"] == layout.WRITER_AT
    hints = ("head_slot", "epoch", "publishes", "writer_pid", "dropped_busy", "dropped_too_big")
    assert [rows[name] for name in hints] == [
        layout.HINTS_AT + 4 * hint
        for hint in (
            layout.HEAD_SLOT,
            layout.EPOCH,
            layout.PUBLISHES,
            layout.WRITER_PID,
            layout.DROPPED_BUSY,
            layout.DROPPED_TOO_BIG,
        )
    ]
    assert rows["sequence"] == layout.SEQUENCE_AT + 8 * layout.SEQUENCE
    assert rows["not_sequence"] == layout.SEQUENCE_AT + 8 * layout.NOT_SEQUENCE
    assert rows["slot.seal"] == layout.SLOTS_AT
    assert rows["slot.payload"] == layout.PAYLOAD_AT


def test_a_slot_header_has_its_fields_where_the_map_says() -> None:
    rows = _documented()
    packed = layout.SlotHeader(2, 3, 4, b"f" * layout.FACTS_BYTES).pack()
    header = layout.seal_of(packed) + packed
    assert len(header) == layout.PAYLOAD_AT
    for name, value, width in (("epoch", 2, 4), ("sequence", 3, 8), ("length", 4, 4)):
        at = rows[f"slot.{name}"]
        assert header[at : at + width] == value.to_bytes(width, "little")
    assert header[rows["slot.facts"] :].startswith(b"f" * layout.FACTS_BYTES)


def test_words_that_are_read_without_a_lock_are_aligned_and_on_the_header_page() -> None:
    assert layout.HINTS_AT % 4 == 0
    assert layout.HINTS_AT + layout.HINTS_BYTES <= layout.SEQUENCE_AT
    assert layout.SEQUENCE_AT % 8 == 0
    assert layout.SEQUENCE_AT + layout.SEQUENCE_BYTES <= layout.SLOTS_AT


def test_slots_share_no_page() -> None:
    geometry = layout.Geometry(slot_count=3, slot_bytes=5000)
    assert geometry.slot_stride == 8192
    assert geometry.slot_at(2) == layout.SLOTS_AT + 2 * 8192
    assert geometry.segment_bytes == layout.SLOTS_AT + 3 * 8192
