# SPDX-License-Identifier: MIT
"""What the fan-out serves: viewers, and clients that wait for one answer. It knows only this of them."""

from __future__ import annotations

from typing import Protocol

from server_proc.live.admission import Seat
from server_proc.live.connection import Outcome
from server_proc.live.offer import Offer


class Guest(Protocol):
    """A connection that was taken over. For the fan-out's thread only.

    Where a method returns an Outcome, GONE means that the connection has ended or has nothing more to do.
    """

    seat: Seat

    def fileno(self) -> int:
        """Return the socket's descriptor."""

    def welcome(self, now_s: float) -> None:
        """Begin. Raises OSError if the client has already left."""

    def go_on(self, now_s: float) -> Outcome:
        """Send the rest of what was begun; SENT when nothing is left."""

    def on_edge(self, now_s: float, *, ended: bool, half_closed: bool) -> Outcome:
        """Continue when the kernel reports that bytes fit again, or that the client `ended`."""

    def on_frame(self, offer: Offer, now_s: float) -> Outcome:
        """Take a new live frame."""

    def on_look(self, now_s: float) -> Outcome:
        """Send what is due without a new frame. Called about once a second, and more often while none
        arrive."""

    def gave_up(self, now_s: float, period_s: float) -> str:
        """Return why its connection has to end, empty while it may stay; `period_s` is the camera's."""

    def end(self, why: str, now_s: float) -> None:
        """End the connection and leave the seat; `why` is for the log, and for clients that can be told."""
