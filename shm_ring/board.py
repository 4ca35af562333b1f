# SPDX-License-Identifier: MIT
"""A board: a small ring that carries one process's status as JSON for the others to read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shm_ring.layout import Geometry
from shm_ring.ring import RingReader, RingWriter

BOARD_GEOMETRY = Geometry(slot_count=4, slot_bytes=16 * 1024 - 64)

_WRITTEN_NS = "written_ns"


class BoardWriter:
    """The process that the board tells of. For the thread that writes it."""

    def __init__(self, ring: RingWriter, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._ring = ring
        self._clock_ns = clock_ns

    def write(self, status: Mapping[str, Any]) -> None:
        """Put `status`, which JSON can say, on the board."""
        written = {**status, _WRITTEN_NS: self._clock_ns()}
        self._ring.publish(json.dumps(written, separators=(",", ":")).encode())


@dataclass(frozen=True, slots=True)
class Reading:
    """What stood on a board, and when it was written (CLOCK_MONOTONIC)."""

    status: Mapping[str, Any]
    written_ns: int

    def age_s(self, now_ns: int) -> float:
        """Return how long ago it was written, in seconds."""
        return max(0, now_ns - self.written_ns) / 1e9


class BoardReader:
    """One reader of a board. For one thread."""

    def __init__(self, ring: RingReader) -> None:
        self._ring = ring
        self._sequence = 0
        self._writes_seen = 0
        self._reading: Reading | None = None

    @property
    def writes(self) -> int:
        """A counter that moves whenever the board was written: its process's heartbeat."""
        return self._ring.publishes

    def read(self) -> Reading | None:
        """Return what was last seen on the board, None where nothing was ever written."""
        writes = self._ring.publishes
        if writes == self._writes_seen:
            return self._reading
        self._writes_seen = writes
        found = self._ring.latest(self._sequence)
        if found is not None:
            status = json.loads(found.payload)
            self._sequence = found.sequence
            self._reading = Reading(status, status.pop(_WRITTEN_NS))
        return self._reading
