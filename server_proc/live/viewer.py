# SPDX-License-Identifier: MIT
"""A viewer: one open stream. A socket, the unsent rest of one frame, and counters.

The newest frame wins: what does not go out at once is finished first, and the frames that come
meanwhile are skipped. So a viewer that stops reading costs one frame and its kernel buffer, and
delays nobody; and a part is never torn.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from enum import Enum

from server_proc.live.freshness import Freshness
from server_proc.live.offer import Offer

_NOT_SENT_LOW_BYTES = 16 * 1024
"""TCP_NOTSENT_LOWAT (tcp(7)): the kernel takes a new frame only when the last is nearly out. Without
it a viewer on a thin link falls seconds behind, and further the longer it watches."""

_KEEPALIVE_IDLE_S, _KEEPALIVE_INTERVAL_S, _KEEPALIVE_COUNT = 5, 3, 3
"""While nothing is sent, a phone that left the network shows only by not answering (tcp(7))."""


class Outcome(Enum):
    """What became of a send."""

    SENT = "sent"
    """All of it, or so much that the rest follows."""
    BUSY = "busy"
    """It was skipped: the viewer has not taken the last one yet."""
    GONE = "gone"
    """The connection has ended."""


SENT, BUSY, GONE = Outcome  # looked up once and not per frame and viewer


@dataclass(frozen=True, slots=True)
class ViewerFacts:
    """What `/status` and the log tell of a viewer."""

    id: int
    address: str
    watched_s: float
    frames: int
    skipped: int


class Viewer:
    """One open stream. For the fan-out's thread only."""

    __slots__ = (
        "_connection", "_rest", "_seen_before", "_send", "_since_s", "address", "blocked",
        "extra_headers", "frames", "half_closed", "id", "repeated", "sent_s", "sequence",
    )  # fmt: skip

    def __init__(
        self, connection: socket.socket, opening: bytes, *, address: str, extra_headers: bool
    ) -> None:
        """Begin with the bytes `opening`: the answer's head and the first delimiter."""
        self._connection = connection
        self._send = connection.send
        self._rest: memoryview | None = memoryview(opening)
        self._since_s = 0.0
        self._seen_before = 0
        self.address = address
        self.extra_headers = extra_headers
        self.id = 0
        self.sequence = 0
        """Of the last frame that it was sent."""
        self.repeated = False
        self.frames = 0
        self.sent_s = 0.0
        """When the kernel last took a byte for it."""
        self.blocked = False
        """Whether the kernel took less than it was offered then."""
        self.half_closed = False
        """Whether the client will send no more."""

    def admitted(self, number: int, now_s: float, seen_before: int) -> None:
        """Begin to count: it is viewer `number`, and `seen_before` frames came before it did."""
        self.id = number
        self._since_s = self.sent_s = now_s
        self._seen_before = seen_before
        for level, name, setting in (
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOT_SENT_LOW_BYTES),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_COUNT),
        ):
            self._connection.setsockopt(level, name, setting)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._connection.fileno()

    def facts(self, now_s: float, seen: int) -> ViewerFacts:
        """Return what is told of it when `seen` frames have come in all."""
        skipped = max(0, seen - self._seen_before - self.frames)
        watched_s = round(now_s - self._since_s, 1)
        return ViewerFacts(self.id, self.address, watched_s, self.frames, skipped)

    def offer(self, offer: Offer, now_s: float) -> Outcome:
        """Send a frame that it was not sent yet, if it can take one.

        It is always tried: a send that took all bytes is followed by no edge of epoll, ever.
        """
        outcome = self._begin(offer, Freshness.LIVE, now_s)
        if outcome is SENT:
            self.sequence = offer.sequence
            self.repeated = False
            self.frames += 1
        return outcome

    def repeat(self, offer: Offer, now_s: float) -> Outcome:
        """Send the frame that it has once more. It counts as no frame."""
        outcome = self._begin(offer, Freshness.REPEAT, now_s)
        if outcome is SENT:
            self.repeated = True
        return outcome

    def go_on(self, now_s: float) -> Outcome:
        """Send the rest until the kernel takes no more; SENT when there is none left."""
        while self._rest is not None:
            try:
                sent = self._send(self._rest)
            except BlockingIOError:
                self.blocked = True
                return BUSY
            except OSError:
                return GONE
            self.sent_s = now_s
            self._rest = self._rest[sent:] if sent < len(self._rest) else None
        self.blocked = False
        return SENT

    def _begin(self, offer: Offer, freshness: Freshness, now_s: float) -> Outcome:
        """Begin a part, unless the last one is not out yet."""
        if self._rest is not None:
            return BUSY
        part = offer.with_facts(freshness, now_s) if self.extra_headers else offer.plain
        try:
            sent = self._send(part)
        except BlockingIOError:
            self.blocked = True
            return BUSY
        except OSError:
            return GONE
        self.sent_s = now_s
        self.blocked = sent < len(part)
        if self.blocked:
            self._rest = memoryview(part)[sent:]
        return SENT

    def end(self) -> None:
        """End the stream with a FIN: input left unread would turn it into a reset."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            while self._connection.recv(65536):
                pass
        self._connection.close()
