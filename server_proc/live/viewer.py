# SPDX-License-Identifier: MIT
"""A viewer: one open stream. A socket, the unsent rest of one frame, and counters.

The newest frame wins: what does not go out at once is finished first, and the frames that come
meanwhile are skipped. So a viewer that stops reading costs one frame and its kernel buffer, and
delays nobody; and a part is never torn.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

_NOT_SENT_LOW_BYTES = 16 * 1024
"""TCP_NOTSENT_LOWAT (tcp(7)): the kernel takes a new frame only when the last is nearly out. Without
it a viewer on a thin link falls seconds behind, and further the longer it watches."""

_GIVE_UP_MS = 60_000
"""TCP_USER_TIMEOUT (tcp(7)): ends a viewer whose peer is dead, and one that reads nothing for so long.
See docs/decisions/0003-a-paused-viewer-is-kept-for-a-minute.md."""


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


@dataclass(frozen=True, slots=True)
class Offer:
    """A frame as its bytes, for those who asked for extra headers and for the others."""

    sequence: int
    plain: bytes
    with_facts: Callable[[], bytes]


class Viewer:
    """One open stream. For the fan-out's thread only."""

    __slots__ = (
        "_connection", "_rest", "_seen_before", "_send", "_since_s",
        "address", "extra_headers", "frames", "id", "repeated", "sent_s", "sequence",
    )  # fmt: skip

    def __init__(
        self, connection: socket.socket, opening: bytes, *, address: str, extra_headers: bool
    ) -> None:
        """Begin with the bytes `opening`: the answer's head and the first delimiter."""
        self._connection = connection
        self._send = connection.send
        self._rest: memoryview | None = memoryview(opening)
        self.address = address
        self.extra_headers = extra_headers
        self.id = 0
        self.sequence = 0
        self.repeated = False
        self.frames = 0
        self.sent_s = 0.0
        self._since_s = 0.0
        self._seen_before = 0

    def admitted(self, number: int, now_s: float, seen_before: int) -> None:
        """Begin to count: it is viewer `number`, and `seen_before` frames were there before it."""
        self.id = number
        self._since_s = self.sent_s = now_s
        self._seen_before = seen_before
        for level, name, setting in (
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOT_SENT_LOW_BYTES),
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GIVE_UP_MS),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        ):
            self._connection.setsockopt(level, name, setting)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._connection.fileno()

    @property
    def unfinished(self) -> bool:
        """Whether the rest of a part still has to go out."""
        return self._rest is not None

    def facts(self, now_s: float, seen: int) -> ViewerFacts:
        """Return what is told of it when `seen` frames have come in all."""
        skipped = max(0, seen - self._seen_before - self.frames)
        watched_s = round(now_s - self._since_s, 1)
        return ViewerFacts(self.id, self.address, watched_s, self.frames, skipped)

    def offer(self, offer: Offer, now_s: float) -> Outcome:
        """Send a frame that it was not sent yet, if it can take one.

        It is always tried: a send that took all bytes is followed by no edge of epoll, ever.
        """
        outcome = self._begin(offer, now_s)
        if outcome is SENT:
            self.sequence = offer.sequence
            self.repeated = False
            self.frames += 1
        return outcome

    def repeat(self, offer: Offer, now_s: float) -> Outcome:
        """Send the frame that it has once more. It counts as no frame."""
        outcome = self._begin(offer, now_s)
        if outcome is SENT:
            self.repeated = True
        return outcome

    def go_on(self, newest: Offer | None, now_s: float) -> Outcome:
        """Send on after an edge: the rest until the kernel takes no more, then the newest frame."""
        while self._rest is not None:
            try:
                sent = self._send(self._rest)
            except BlockingIOError:
                return BUSY
            except OSError:
                return GONE
            self._rest = self._rest[sent:] if sent < len(self._rest) else None
        if newest is not None and newest.sequence > self.sequence:
            return self.offer(newest, now_s)
        return SENT

    def _begin(self, offer: Offer, now_s: float) -> Outcome:
        """Begin a part, unless the last one is not out yet."""
        if self._rest is not None:
            return BUSY
        part = offer.with_facts() if self.extra_headers else offer.plain
        try:
            sent = self._send(part)
        except BlockingIOError:
            return BUSY
        except OSError:
            return GONE
        self.sent_s = now_s
        if sent < len(part):
            self._rest = memoryview(part)[sent:]
        return SENT

    def end(self) -> None:
        """End the stream with a FIN: input left unread would turn it into a reset."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            while self._connection.recv(65536):
                pass
        self._connection.close()
