# SPDX-License-Identifier: MIT
"""The server's board: that this process lives, and what its viewers get."""

from __future__ import annotations

import os
from collections.abc import Callable

from server_proc.live.feed import Feed
from server_proc.live.freshness import EVERY_S
from shm_ring.board import BoardWriter
from shm_ring.status import ServerStatus

_BEAT_S = 1.0


class Heartbeat:
    """Writes the server's board. Called by the fan-out's thread, whose progress it proves."""

    def __init__(self, board: BoardWriter[ServerStatus], web_turns: Callable[[], int]) -> None:
        """`web_turns` counts up while Waitress's main loop and its worker are alive."""
        self._board = board
        self._web_turns = web_turns
        self._turns_seen = 0
        self._alive_ns = 0
        self._due_s = 0.0
        self._live_written: bool | None = None

    def write(self, feed: Feed, *, offered: int, viewers: int, now_s: float) -> None:
        """Write once a second while Waitress moves too, and at once when a live picture comes or goes.

        `offered` counts the frames and placeholders that were there for viewers.
        """
        turns = self._web_turns()
        beats = now_s >= self._due_s and turns != self._turns_seen
        if beats:
            self._turns_seen = turns
            self._due_s = now_s + _BEAT_S
            self._alive_ns = round(now_s * 1e9)
        elif feed.live is self._live_written:
            return
        self._live_written = feed.live
        self._board.write(
            ServerStatus(
                pid=os.getpid(),
                alive_ns=self._alive_ns,
                live=feed.live,
                offered=offered,
                offer_every_s=max(feed.period_s, feed.outlook.stale_after_s, EVERY_S),
                viewers=viewers,
            )
        )
