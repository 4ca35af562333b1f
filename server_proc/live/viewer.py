# SPDX-License-Identifier: MIT
"""A viewer: one open stream.

The newest frame wins: a frame that arrives before the last one is out is skipped. So a viewer that stops
reading costs one frame and its kernel buffer, and delays nobody.
"""

from __future__ import annotations

import logging
import socket
import time
from typing import NamedTuple

from server_proc.live.admission import Seat
from server_proc.live.connection import BUSY, EARLY, GONE, SENT, Connection, Outcome
from server_proc.live.feed import Feed
from server_proc.live.freshness import Freshness, due
from server_proc.live.head import Head
from server_proc.live.multipart import ADVANCED_DELIMITER, DELIMITER
from server_proc.live.offer import Offer, PartForm
from server_proc.live.totals import Totals
from server_proc.live.wishes import Wishes

_log = logging.getLogger(__name__)

_PLAIN, _LIVE = PartForm.PLAIN, Freshness.LIVE  # looked up once, not per frame and viewer
_RATE_OVER_S = 1.0
_EARLY_S = 0.002
"""A frame this much early still counts as due for a thinned viewer: cameras jitter."""


class ViewerFacts(NamedTuple):
    """What `/status` and the log say of a viewer."""

    id: int
    address: str
    user_agent: str
    since_unix_s: float
    watched_s: float
    frames: int
    skipped: int
    """Frames that arrived before it had taken the last one."""
    thinned: int
    """Frames left out because it asked for fewer."""
    bytes: int
    fps: float
    """In the last second or so."""
    behind_ms: int
    """How much older its frame is than the newest one."""
    freshness: str
    quiet_s: float
    """How long nothing has been sent to it."""


class Viewer(Connection):
    """One open stream. For the fan-out's thread only; `facts` may be asked by any."""

    __slots__ = (
        "_counted_s", "_due_s", "_feed", "_form", "_fps", "_frames_counted", "_owed", "_period_s",
        "_placeholder", "_since_s", "_since_unix_s", "_totals", "frames", "freshness", "id", "shown",
        "skipped", "thinned", "wishes",
    )  # fmt: skip

    def __init__(
        self,
        taken_over: socket.socket,
        unsent: bytes,
        head: Head,
        *,
        seat: Seat,
        wishes: Wishes,
        feed: Feed,
        totals: Totals,
    ) -> None:
        """Begin with what earlier answers left `unsent`, the answer's head, and the first delimiter."""
        first = ADVANCED_DELIMITER if wishes.form is PartForm.ADVANCED else DELIMITER
        super().__init__(taken_over, unsent + head.encode() + first, seat=seat)
        self.wishes = wishes
        self._feed = feed
        self._totals = totals
        self.id = 0
        self.frames = self.skipped = self.thinned = 0
        self.shown: Offer | None = None
        """The frame that it was sent last."""
        self.freshness = Freshness.WAIT
        """What it was sent last."""
        self._placeholder = 0
        """Which placeholder it was sent last."""
        self._owed = SENT
        """The outcome of the newest frame: it counts as skipped or thinned only when a newer one arrives."""
        self._period_s = 0.0 if wishes.fps is None else 1 / wishes.fps
        """The least time from frame to frame that it asked for; 0 for any."""
        self._form = wishes.form
        self._due_s = 0.0
        self._since_s = self._since_unix_s = self._counted_s = 0.0
        self._frames_counted = 0
        self._fps = 0.0

    def welcome(self, now_s: float) -> None:
        """Make it a viewer. Raises OSError if the client has already left."""
        self._totals.viewers += 1
        self.id = self._totals.viewers
        self._since_s = self._counted_s = now_s
        self._since_unix_s = time.time()
        agent = f" with {self.wishes.user_agent}" if self.wishes.user_agent else ""
        _log.info("viewer #%d (%s) connected%s", self.id, self.wishes.address, agent)
        self.admitted(now_s)

    def on_edge(self, now_s: float, *, ended: bool, half_closed: bool) -> Outcome:
        """Finish what was begun, then send what has become due."""
        self.half_closed = self.half_closed or half_closed
        outcome = GONE if ended else self.go_on(now_s)
        return self.on_look(now_s) if outcome is SENT else outcome

    def on_frame(self, offer: Offer, now_s: float) -> Outcome:
        """Send a frame that it has not been sent yet, if one is due and fits."""
        owed = self._owed
        if owed is BUSY:
            self.skipped += 1
        elif owed is EARLY:
            self.thinned += 1
        if now_s < self._due_s:
            self._owed = EARLY
            return EARLY
        outcome = self._owed = self.begin(
            offer.plain if self._form is _PLAIN else offer.part(self._form, _LIVE, now_s), now_s
        )
        if outcome is SENT:
            self.shown = offer
            self.freshness = _LIVE
            self.frames += 1
            if self._period_s:
                on_time = now_s - self._due_s < self._period_s
                self._due_s = (self._due_s if on_time else now_s - _EARLY_S) + self._period_s
        return outcome

    def on_look(self, now_s: float) -> Outcome:
        """Send what is due without a new frame: the newest one late, the last one again, or a placeholder."""
        feed, newest = self._feed, self._feed.newest
        placeholder = feed.placeholders.current
        step = due(
            live=feed.live,
            is_new=newest is not None and newest is not self.shown and now_s >= self._due_s,
            last=self.freshness,
            quiet_s=now_s - self.sent_s,
            period_s=max(feed.period_s, self._period_s),
            wants_placeholder=self.wishes.placeholder,
            placeholder=feed.placeholders.number if placeholder else 0,
            placeholder_sent=self._placeholder,
        )
        if now_s - self._counted_s >= _RATE_OVER_S:
            self._fps = (self.frames - self._frames_counted) / (now_s - self._counted_s)
            self._counted_s, self._frames_counted = now_s, self.frames
        if step is Freshness.LIVE and newest:
            self._owed = SENT  # it was counted when it arrived
            newest.join()
            return self.on_frame(newest, now_s)
        if step is Freshness.REPEAT and newest:
            return self._show_again(self.shown if self.shown and feed.live else newest, now_s)
        if step is Freshness.PLACEHOLDER and placeholder:
            return self._show_placeholder(placeholder, now_s)
        return SENT

    def _show_again(self, offer: Offer, now_s: float) -> Outcome:
        """Send a frame again. It is not counted."""
        outcome = self.begin(offer.part(self._form, Freshness.REPEAT, now_s), now_s)
        if outcome is SENT:
            self.shown, self.freshness = offer, Freshness.REPEAT
        return outcome

    def _show_placeholder(self, offer: Offer, now_s: float) -> Outcome:
        outcome = self.begin(offer.part(self._form, Freshness.PLACEHOLDER, now_s), now_s)
        if outcome is SENT:
            self._placeholder = self._feed.placeholders.number
            self.freshness = Freshness.PLACEHOLDER
        return outcome

    def end(self, why: str, now_s: float) -> None:
        """End the stream where it is, and log a summary."""
        totals, watched_s = self._totals, now_s - self._since_s
        totals.sent += self.frames
        totals.skipped += self.skipped
        totals.thinned += self.thinned
        totals.bytes += self.taken_bytes
        totals.disconnected[why] += 1
        self.close()
        _log.info(
            "viewer #%d (%s) disconnected: %s; watched %s, %s frames, %s skipped",
            self.id,
            self.wishes.address,
            why,
            f"{watched_s:.1f} s" if watched_s < 60 else f"{watched_s / 60:.0f} min",
            f"{self.frames:,}",
            f"{self.skipped:,}",
        )

    def facts(self, now_s: float) -> ViewerFacts:
        """Return its facts as of now."""
        newest, shown = self._feed.newest, self.shown
        behind_ns = newest.captured_ns - shown.captured_ns if newest and shown else 0
        return ViewerFacts(
            id=self.id,
            address=self.wishes.address,
            user_agent=self.wishes.user_agent,
            since_unix_s=round(self._since_unix_s, 3),
            watched_s=round(now_s - self._since_s, 1),
            frames=self.frames,
            skipped=self.skipped,
            thinned=self.thinned,
            bytes=self.taken_bytes,
            fps=round(self._fps, 1),
            behind_ms=round(behind_ns / 1e6),
            freshness=self.freshness.value,
            quiet_s=round(now_s - self.sent_s, 1),
        )
