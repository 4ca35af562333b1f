# SPDX-License-Identifier: MIT
"""A board: a small ring that carries one process's status as JSON for the others to read."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from shm_ring.errors import StatusError
from shm_ring.layout import Geometry
from shm_ring.ring import RingReader, RingWriter
from shm_ring.status import Row, from_json, to_json

_log = logging.getLogger(__name__)

BOARD_GEOMETRY = Geometry(slot_count=4, slot_bytes=16 * 1024 - 64)

_WRITTEN_NS = "written_ns"


class BoardWriter(Generic[Row]):
    """The process that the board is about. For the thread that writes it."""

    def __init__(self, ring: RingWriter, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._ring = ring
        self._clock_ns = clock_ns

    def write(self, row: Row) -> None:
        """Put a row on the board.

        Raises:
            StatusError: a value is none that JSON has.
            TooBigError: the row is larger than the board.
        """
        self._ring.publish(to_json(row, **{_WRITTEN_NS: self._clock_ns()}))


@dataclass(frozen=True, slots=True)
class Reading(Generic[Row]):
    """The row that was on a board, and when it was written (CLOCK_MONOTONIC)."""

    row: Row
    written_ns: int

    def age_s(self, now_ns: int) -> float:
        """Return how long ago it was written, in seconds."""
        return max(0, now_ns - self.written_ns) / 1e9


class BoardReader(Generic[Row]):
    """One reader of a board. For one thread."""

    def __init__(self, ring: RingReader, kind: type[Row]) -> None:
        """`kind` is the dataclass of the board's rows."""
        self._ring = ring
        self._kind = kind
        self._sequence = 0
        self._writes_seen = 0
        self._reading: Reading[Row] | None = None
        self._warned = False

    def read(self) -> Reading[Row] | None:
        """Return the last row that was seen on the board, or None if nothing was ever written."""
        writes = self._ring.publishes
        if writes == self._writes_seen:
            return self._reading
        self._writes_seen = writes
        published = self._ring.latest(self._sequence)
        if published is not None:
            self._sequence = published.sequence
            self._take(published.payload)
        return self._reading

    def _take(self, payload: bytes) -> None:
        try:
            values = json.loads(payload)
            self._reading = Reading(from_json(self._kind, values), int(values[_WRITTEN_NS]))
        except (ValueError, TypeError, KeyError, StatusError) as error:
            if not self._warned:
                self._warned = True
                _log.warning("cannot read a board, so its previous values stay in use: %s", error)
