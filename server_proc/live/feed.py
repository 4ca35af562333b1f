# SPDX-License-Identifier: MIT
"""One camera in the server: its newest frame, whether that is live, its placeholders, and who watches it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from server_proc.live.freshness import repeat_after_s, stale_after_s
from server_proc.live.guest import Guest
from server_proc.live.offer import Offer
from server_proc.live.outlook import Outlook, is_live
from server_proc.live.placeholders import Placeholders
from shm_ring.board import BoardReader, Reading
from shm_ring.doorbell import Doorbell
from shm_ring.frame import Frame, FrameFacts
from shm_ring.ring import RingReader
from shm_ring.status import CaptureStatus, SupervisorStatus


@dataclass(frozen=True, slots=True)
class FeedRings:
    """A camera's shared memory, as the server sees it."""

    frames: RingReader
    doorbell: Doorbell
    capture_board: BoardReader[CaptureStatus]


class Feed:
    """One camera. For the fan-out's thread; `outlook` may be read by any."""

    def __init__(
        self,
        rings: FeedRings,
        *,
        asked_stale_after_s: float | None,
        expected_size: tuple[int, int],
        now_s: float,
        drawn: Callable[[], None],
    ) -> None:
        """`expected_size` is the (width, height) of pictures until the first frame.

        `drawn` is called, by another thread, when a placeholder is ready.
        """
        self._frames = rings.frames
        self._capture_board = rings.capture_board
        self._asked_stale_after_s = asked_stale_after_s
        self._began_ns = round(now_s * 1e9)
        self.doorbell = rings.doorbell
        self.guests: dict[int, Guest] = {}
        """Its viewers and waiting clients, by descriptor."""
        self.newest: Offer | None = None
        self.live = False
        """Whether the newest frame was live when it was last looked at."""
        self.attentive = True
        """Whether each new frame is taken at once. While nobody watches, the ring is only looked at now
        and then."""
        self.period_s = 0.05
        self.repeat_due_s = float("inf")
        """When viewers may be due a repeat of the newest frame if no other arrives."""
        self.flowed_s = 0.0
        """When the last new live frame was taken."""
        self.stale_after_s = stale_after_s(self.period_s, asked_stale_after_s)
        before_any = FrameFacts(self._began_ns, time.time_ns(), *expected_size)
        self.placeholders = Placeholders(Frame(0, before_any, b""), drawn)
        self._publishes_seen = 0
        self._capture: Reading[CaptureStatus] | None = None
        self._supervisor: Reading[SupervisorStatus] | None = None

    @property
    def outlook(self) -> Outlook:
        """What is known of this camera now."""
        is_newest, newest = self.attentive, self.newest  # in this order: both change in the fan-out's thread
        return Outlook(
            began_ns=self._began_ns,
            frame=newest.frame if newest else None,
            period_s=self.period_s,
            stale_after_s=self.stale_after_s,
            is_newest=is_newest,
            placeholder=self.placeholders.picture,
            capture=self._capture,
            supervisor=self._supervisor,
            dropped_busy=self._frames.dropped_busy,
            dropped_too_big=self._frames.dropped_too_big,
        )

    def take_newest(self, now_s: float) -> bool:
        """Take what has been published since the last time; tell whether there is a new live frame."""
        publishes = self._frames.publishes
        if publishes == self._publishes_seen:
            return False
        self._publishes_seen = publishes
        published = self._frames.latest(self.newest.sequence if self.newest else 0)
        if published is None:
            return False
        self.newest = Offer(Frame.of(published))
        if not self._judge(now_s):
            return False  # this server process is new, and the camera is away
        self.flowed_s = now_s
        if self.guests:
            self.expect_repeat(now_s)
        return True

    def expect_repeat(self, now_s: float) -> None:
        """Note that guests may get the newest frame now, and are due it again if no other arrives."""
        self.repeat_due_s = now_s + repeat_after_s(self.period_s)

    def look(self, supervisor: Reading[SupervisorStatus] | None, now_s: float) -> None:
        """Read the camera's board, and see whether there is still a live picture."""
        self._supervisor = supervisor
        capture = self._capture_board.read()
        if capture is not self._capture and capture is not None:
            self._capture = capture
            asked_s = self._asked_stale_after_s
            # what was asked for gives way to the camera's own period, but not to one that has slowed down
            self.period_s = capture.row.period_s if asked_s is None else capture.row.nominal_period_s
            self.stale_after_s = stale_after_s(self.period_s, asked_s)
        if not self._judge(now_s) and self.guests:
            newest = self.newest.frame if self.newest else None
            without_s = self.outlook.without_live_s(round(now_s * 1e9))
            self.placeholders.draw(newest, without_s, supervisor, now_s)

    def stale_in_s(self, now_s: float) -> float:
        """Return in how many seconds the newest frame grows stale; 0 or less if it has."""
        age_s = self.newest.age_s(now_s) if self.newest else now_s - self._began_ns / 1e9
        return self.stale_after_s - age_s

    def _judge(self, now_s: float) -> bool:
        self.live = is_live(self.newest.age_s(now_s) if self.newest else None, self.stale_after_s)
        if self.live and self.placeholders.current is not None:
            self.placeholders.end()
        return self.live
