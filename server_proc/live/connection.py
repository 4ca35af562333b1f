# SPDX-License-Identifier: MIT
"""A connection that was taken over: a socket, and the unsent rest of the last content.

Content that does not go out at once is finished before anything else begins, so nothing is ever torn.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from enum import Enum

from server_proc.live.admission import Seat
from server_proc.live.patience import LEAST_S, SILENT_S, Standing, gave_up

_NOT_SENT_LOW_BYTES = 4096
"""TCP_NOTSENT_LOWAT (tcp(7)): the kernel accepts a new frame only when the last one is nearly out. Without
it, a viewer on a thin link falls seconds behind, and further the longer it watches."""

_NEW_BUFFER_NEXT = socket.MSG_EOR
"""The kernel checks that mark only when it begins a new buffer, and would add up to 64 KiB to the last one,
however much is unsent. This ends the buffer with the frame (Linux 4.7 and newer)."""

_KEEPALIVE_IDLE_S, _KEEPALIVE_INTERVAL_S, _KEEPALIVE_COUNT = 5, 3, 3
"""While nothing is sent, a phone that left the network can only be noticed by its silence (tcp(7))."""

_MOST_READS = 64
"""Of 64 KiB each, before a connection is closed."""

_TCP_INFO = struct.Struct("=24xI28xI")
"""Of struct tcp_info (linux/tcp.h): tcpi_unacked, and tcpi_last_ack_recv in milliseconds."""


class Outcome(Enum):
    """The outcome of a send."""

    SENT = "sent"
    """All of it went out, or the rest will follow."""
    BUSY = "busy"
    """It was skipped: the viewer has not taken the last one yet."""
    EARLY = "early"
    """It was left out: the viewer wants fewer frames."""
    GONE = "gone"
    """The connection has ended."""


SENT, BUSY, EARLY, GONE = Outcome  # looked up once, not per frame and viewer


class Connection:
    """One connection. For the fan-out's thread only."""

    __slots__ = (
        "_rest", "_send", "_socket", "blocked", "half_closed", "seat", "sent_s", "taken_bytes",
    )  # fmt: skip

    def __init__(self, taken_over: socket.socket, opening: bytes, *, seat: Seat) -> None:
        """Begin with the bytes `opening`, which go out when the connection is writable."""
        self._socket = taken_over
        self._send = taken_over.send
        self._rest: memoryview | None = memoryview(opening) if opening else None
        self.seat = seat
        seat.seated = self
        self.blocked = False
        """Whether the kernel accepts no byte for it now."""
        self.half_closed = False
        """Whether its client will send no more, like one that has left."""
        self.sent_s = float("inf")
        """When it last accepted bytes; set when it is welcomed."""
        self.taken_bytes = 0

    def admitted(self, now_s: float) -> None:
        """Make the connection ready for frames."""
        self.sent_s = now_s
        self._socket.setblocking(False)
        if self._socket.family == socket.AF_UNIX:  # it has none of these options, and needs none
            return
        for level, name, setting in (
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOT_SENT_LOW_BYTES),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_COUNT),
        ):
            self._socket.setsockopt(level, name, setting)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def begin(self, content: bytes, now_s: float) -> Outcome:
        """Begin to send, unless the last content is not out yet.

        A send is always tried, because epoll reports no edge after one that took all bytes.
        """
        if self._rest is not None:
            return BUSY
        try:
            sent = self._send(content, _NEW_BUFFER_NEXT)
        except BlockingIOError:
            self.blocked = True
            return BUSY
        except OSError:
            return GONE
        self.sent_s = now_s
        self.taken_bytes += sent
        self.blocked = sent < len(content)
        if self.blocked:
            self._rest = memoryview(content)[sent:]
        return SENT

    def go_on(self, now_s: float) -> Outcome:
        """Send the rest until the kernel accepts no more; SENT when nothing is left."""
        while self._rest is not None:
            try:
                sent = self._send(self._rest, _NEW_BUFFER_NEXT)
            except BlockingIOError:
                self.blocked = True
                return BUSY
            except OSError:
                return GONE
            self.sent_s = now_s
            self.taken_bytes += sent
            self._rest = self._rest[sent:] if sent < len(self._rest) else None
        self.blocked = False
        return SENT

    def gave_up(self, now_s: float, period_s: float) -> str:
        """Return why it has to end, empty while it may stay; `period_s` is the camera's."""
        quiet_s = now_s - self.sent_s
        if quiet_s < LEAST_S:
            return ""
        standing = Standing(
            quiet_s=quiet_s,
            blocked=self.blocked,
            silent=self.blocked and self.is_silent(SILENT_S),
            half_closed=self.half_closed,
            taken_bytes=self.taken_bytes,
        )
        return gave_up(standing, period_s)

    def is_silent(self, for_s: float) -> bool:
        """Tell whether bytes are on the way and none has been acknowledged for `for_s`.

        A client that only pauses has acknowledged all that it has room for, and answers probes. The other
        end of a Unix socket is on this machine and never vanishes without closing.
        """
        if self._socket.family == socket.AF_UNIX:
            return False
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        except OSError:
            return True
        unacknowledged, last_ms = _TCP_INFO.unpack(info)
        return bool(unacknowledged) and bool(last_ms >= 1000 * for_s)

    def close(self) -> None:
        """End the connection with a FIN and leave the seat.

        Unread input would turn the FIN into a reset; a client that sends more than is read here gets one.
        """
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            for _ in range(_MOST_READS):
                if not self._socket.recv(65536):
                    break
        self._socket.close()
        self.seat.leave()
