# SPDX-License-Identifier: MIT
"""A client that waits for one frame: it is answered, and its connection ends."""

from __future__ import annotations

import socket
from collections.abc import Callable

from server_proc.live.admission import Seat
from server_proc.live.connection import SENT, Connection, Outcome
from shm_ring.frame import Frame

MOST_WAIT_S = 5.0

Respond = Callable[[Frame | None], bytes]
"""Makes the whole answer of a frame, or of None when none came in time."""


class Waiting(Connection):
    """One such client. For the fan-out's thread only."""

    __slots__ = ("_after", "_answer", "_deadline_s", "_respond")

    def __init__(
        self, taken_over: socket.socket, opening: bytes, *, seat: Seat, after: int, respond: Respond
    ) -> None:
        """Wait for a frame with a sequence above `after`; `opening` is what earlier answers left unsent."""
        super().__init__(taken_over, opening, seat=seat)
        self._after = after
        self._respond: Respond | None = respond
        self._answer: bytes | None = None
        self._deadline_s = 0.0

    def admitted(self, now_s: float) -> None:
        """Begin to wait."""
        super().admitted(now_s)
        self._deadline_s = now_s + MOST_WAIT_S

    def look(self, fresh: Frame | None, now_s: float) -> None:
        """Answer if the newest fresh frame is what it waits for, or if its time is over."""
        if self._respond is None:
            return
        # a sequence that is not there yet is of another life of the service
        found = fresh is not None and fresh.sequence != self._after
        if found or now_s >= self._deadline_s:
            self._answer = self._respond(fresh if found else None)
            self._respond = None

    def send(self, now_s: float) -> Outcome:
        """Send what there is to send; SENT when all of it is out."""
        outcome = self.go_on(now_s)
        if outcome is SENT and self._answer is not None:
            answer, self._answer = self._answer, None
            outcome = self.begin(answer, now_s)
            if outcome is SENT:
                outcome = self.go_on(now_s)
        return outcome

    @property
    def done(self) -> bool:
        """Whether it was answered, and all of the answer is out."""
        return self._respond is None and self._answer is None and self._rest is None
