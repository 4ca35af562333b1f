# SPDX-License-Identifier: MIT
"""A viewer: one open stream.

The newest frame wins: a frame that comes while the last is not out yet is skipped. So a viewer that
stops reading costs one frame and its kernel buffer, and delays nobody.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import NamedTuple

from server_proc.live.admission import Seat
from server_proc.live.connection import EARLY, SENT, Connection, Outcome
from server_proc.live.freshness import Freshness
from server_proc.live.offer import Offer, PartForm

_PLAIN, _LIVE = PartForm.PLAIN, Freshness.LIVE  # looked up once and not per frame and viewer
_RATE_OVER_S = 1.0
_EARLY_S = 0.002
"""A frame that comes so much too soon for a thinned viewer is in time: cameras are not that even."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client asked for, and who it is."""

    address: str
    user_agent: str = ""
    key: str = ""
    """A name by which it replaces its own ghost."""
    form: PartForm = PartForm.PLAIN
    fps: float | None = None
    """The most frames a second that it wants."""


class ViewerFacts(NamedTuple):
    """What `/status`, the server's board and the log tell of a viewer."""

    id: int
    address: str
    user_agent: str
    key: str
    since_unix_s: float
    watched_s: float
    frames: int
    skipped: int
    """Frames that came while it had not taken the last one."""
    bytes: int
    fps: float
    """In the last second or so."""
    behind_ms: int
    """How much older than the newest frame the one is that it has."""
    freshness: str
    quiet_s: float
    """How long it has been sent nothing."""


class Viewer(Connection):
    """One open stream. For the fan-out's thread only."""

    __slots__ = (
        "_counted_s", "_due_s", "_form", "_fps", "_frames_counted", "_seen_before", "_since_s",
        "_since_unix_s", "frames", "freshness", "id", "period_s", "placeholder", "shown", "thinned", "wishes",
    )  # fmt: skip

    def __init__(self, taken_over: socket.socket, opening: bytes, *, seat: Seat, wishes: Wishes) -> None:
        """Begin with the bytes `opening`: the answer's head and what stands before the first part."""
        super().__init__(taken_over, opening, seat=seat)
        self.wishes = wishes
        self.id = 0
        self.frames = 0
        self.shown: Offer | None = None
        """The frame that it was sent last."""
        self.placeholder = 0
        """Which placeholder it was sent last."""
        self.freshness = Freshness.WAIT
        """What it was sent last."""
        self.thinned = 0
        """Frames that were left out because it wants fewer."""
        self.period_s = 0.0 if wishes.fps is None else 1 / wishes.fps
        """The least time from frame to frame that it asked for; 0 for any."""
        self._form = wishes.form
        self._due_s = 0.0
        self._seen_before = 0
        self._since_s = self._since_unix_s = self._counted_s = 0.0
        self._frames_counted = 0
        self._fps = 0.0

    def welcome(self, viewer_id: int, now_s: float, now_unix_s: float, *, seen_before: int) -> None:
        """Make it a viewer; `seen_before` frames have come in before it."""
        self.id = viewer_id
        self._seen_before = seen_before
        self._since_s = self._counted_s = now_s
        self._since_unix_s = now_unix_s
        self.admitted(now_s)

    def offer(self, offer: Offer, now_s: float) -> Outcome:
        """Send a frame that it was not sent yet, if it is due and can take it."""
        if now_s < self._due_s:
            return EARLY
        outcome = self.begin(
            offer.plain if self._form is _PLAIN else offer.part(self._form, _LIVE, now_s), now_s
        )
        if outcome is SENT:
            self.shown = offer
            self.freshness = _LIVE
            self.frames += 1
            if self.period_s:
                on_time = now_s - self._due_s < self.period_s
                self._due_s = (self._due_s if on_time else now_s - _EARLY_S) + self.period_s
        return outcome

    def repeat(self, offer: Offer, now_s: float) -> Outcome:
        """Send the frame that it has once more. It counts as no frame."""
        outcome = self.begin(offer.part(self._form, Freshness.REPEAT, now_s), now_s)
        if outcome is SENT:
            self.freshness = Freshness.REPEAT
        return outcome

    def show_placeholder(self, offer: Offer, number: int, now_s: float) -> Outcome:
        """Send placeholder `number`. It counts as no frame."""
        outcome = self.begin(offer.part(self._form, Freshness.PLACEHOLDER, now_s), now_s)
        if outcome is SENT:
            self.placeholder = number
            self.freshness = Freshness.PLACEHOLDER
        return outcome

    def facts(self, now_s: float, newest: Offer | None, *, seen: int) -> ViewerFacts:
        """Return what is told of it when `seen` frames have come in all."""
        if now_s - self._counted_s >= _RATE_OVER_S:
            self._fps = (self.frames - self._frames_counted) / (now_s - self._counted_s)
            self._counted_s, self._frames_counted = now_s, self.frames
        behind_ns = newest.captured_ns - self.shown.captured_ns if newest and self.shown else 0
        return ViewerFacts(
            id=self.id,
            address=self.wishes.address,
            user_agent=self.wishes.user_agent,
            key=self.wishes.key,
            since_unix_s=round(self._since_unix_s, 3),
            watched_s=round(now_s - self._since_s, 1),
            frames=self.frames,
            skipped=max(0, seen - self._seen_before - self.frames - self.thinned),
            bytes=self.taken_bytes,
            fps=round(self._fps, 1),
            behind_ms=round(behind_ns / 1e6),
            freshness=self.freshness.value,
            quiet_s=round(now_s - self.sent_s, 1),
        )
