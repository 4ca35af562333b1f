# SPDX-License-Identifier: MIT
"""A client that waits for one answer: a frame that is still to come, or a placeholder that is still being
drawn."""

from __future__ import annotations

import socket
from collections.abc import Callable

from server_proc.live.admission import Seat
from server_proc.live.connection import GONE, SENT, Connection, Outcome
from server_proc.live.feed import Feed
from server_proc.live.head import Answer, Head
from server_proc.live.offer import Offer
from server_proc.live.outlook import Outlook

Ask = Callable[[Outlook, int, bool], Answer | None]
"""Given an outlook, the time in ns of CLOCK_MONOTONIC, and whether it may wait on: the answer, or None to
wait."""


class Waiting(Connection):
    """One such client. For the fan-out's thread only."""

    __slots__ = ("_answer", "_ask", "_deadline_s", "_feed", "_head", "_wait_s")

    def __init__(
        self,
        taken_over: socket.socket,
        unsent: bytes,
        head: Head,
        *,
        seat: Seat,
        feed: Feed,
        ask: Ask,
        wait_s: float,
    ) -> None:
        """Wait until `ask` gives an answer, for `wait_s` at most."""
        super().__init__(taken_over, unsent, seat=seat)
        self._head = head
        self._feed = feed
        self._ask: Ask | None = ask
        self._wait_s = wait_s
        self._deadline_s = 0.0
        self._answer = b""

    def welcome(self, now_s: float) -> None:
        """Begin to wait. Raises OSError if the client has already left."""
        self.admitted(now_s)
        self._deadline_s = now_s + self._wait_s

    def on_edge(self, now_s: float, *, ended: bool, half_closed: bool) -> Outcome:
        """Send what is left, or ask at once."""
        return GONE if ended else self.on_look(now_s)

    def on_frame(self, offer: Offer, now_s: float) -> Outcome:
        """Ask again: this may be the frame."""
        return self.on_look(now_s)

    def on_look(self, now_s: float) -> Outcome:
        """Answer, if it is time to; GONE when all of the answer is out."""
        if self._ask is not None:
            answer = self._ask(self._feed.outlook, round(now_s * 1e9), now_s < self._deadline_s)
            if answer is not None:
                self._ask, self._answer = None, self._head.with_answer(answer)
        outcome = self.go_on(now_s)
        if outcome is SENT and self._answer:
            outcome = self.begin(self._answer, now_s)
            if outcome is SENT:
                self._answer = b""
        is_out = outcome is SENT and self._ask is None and self._rest is None
        return GONE if is_out else outcome

    def end(self, why: str, now_s: float) -> None:
        """End the connection; a client that is still waiting gets the reason."""
        if self._ask is not None and self.go_on(now_s) is SENT:
            headers = {"Content-Type": "text/plain; charset=utf-8", "Retry-After": "1"}
            sentence = f"No answer: {why}.\n".encode()
            self.begin(self._head.with_answer(Answer("503 Service Unavailable", headers, sentence)), now_s)
        self.close()
