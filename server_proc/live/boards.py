# SPDX-License-Identifier: MIT
"""The boards as the server process sees them: what the others tell, and what it tells them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from server_proc.live.freshness import PLACEHOLDER_EVERY_S, stale_after_s
from server_proc.live.outlook import Outlook
from server_proc.live.viewer import ViewerFacts
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.doorbell import Doorbell
from shm_ring.ring import RingReader
from shm_ring.status import CaptureStatus, ServerStatus, SupervisorStatus

_FACTS_S = _OWN_BOARD_S = 1.0


@dataclass(frozen=True, slots=True)
class Rings:
    """The fan-out's view of shared memory."""

    frames: RingReader
    doorbell: Doorbell
    capture_board: BoardReader[CaptureStatus]
    supervisor_board: BoardReader[SupervisorStatus]
    own_board: BoardWriter[ServerStatus]


class Boards:
    """Reads the two others, writes the own. For the fan-out's thread."""

    def __init__(self, rings: Rings, main_loop_turns: Callable[[], int], stale_after_s: float | None) -> None:
        """`main_loop_turns` counts up while Waitress's main loop is alive; see FanOut for the rest."""
        self._rings = rings
        self._main_loop_turns = main_loop_turns
        self._asked_stale_after_s = stale_after_s
        self._facts_due_s = self._own_due_s = 0.0
        self._turns_told = 0
        self.told = Outlook()
        """All that is known but the frame; replaced, and never changed."""

    def viewers_changed(self) -> None:
        """Let viewers be told anew at the next look."""
        self._facts_due_s = 0.0

    def look(self, viewers: Callable[[], tuple[ViewerFacts, ...]], now_s: float) -> None:
        """Read what is new; `viewers` is asked once a second, and when they changed."""
        told = self.told
        capture, supervisor = self._rings.capture_board.read(), self._rings.supervisor_board.read()
        facts_due = now_s >= self._facts_due_s
        if not facts_due and capture is told.capture and supervisor is told.supervisor:
            return
        if facts_due:
            self._facts_due_s = now_s + _FACTS_S
        period_s = capture.row.period_s if capture else told.period_s
        self.told = Outlook(
            period_s=period_s,
            stale_after_s=stale_after_s(period_s, self._asked_stale_after_s),
            viewers=viewers() if facts_due else told.viewers,
            capture=capture,
            supervisor=supervisor,
            dropped_busy=self._rings.frames.dropped_busy,
            dropped_too_big=self._rings.frames.dropped_too_big,
        )

    def write_own(self, offered: int, now_s: float) -> None:
        """Tell the supervisor once a second that this process lives: this loop and Waitress's have moved.

        `offered` counts the frames and placeholders that there were for viewers.
        """
        turns = self._main_loop_turns()
        if now_s < self._own_due_s or turns == self._turns_told:
            return
        self._turns_told = turns
        self._own_due_s = now_s + _OWN_BOARD_S
        self._rings.own_board.write(
            ServerStatus(
                pid=os.getpid(),
                offered=offered,
                offer_every_s=max(self.told.period_s, self.told.stale_after_s, PLACEHOLDER_EVERY_S),
                viewers=len(self.told.viewers),
            )
        )
