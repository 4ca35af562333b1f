# SPDX-License-Identifier: MIT
"""A ticket: a seat, held from the decision to serve until the fan-out has the socket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

from server_proc.live.admission import Seat
from server_proc.live.head import Head

Take = Callable[[socket.socket, bytes, Head], None]
"""Takes a connection, what earlier answers on it left unsent, and the head of this one."""


class Ticket:
    """The answer to a request for a stream, as far as WSGI knows: an empty iterable.

    Made by the fan-out. The thread that serves the request either hands the connection over, once, or closes
    the ticket, as PEP 3333 demands of any iterable.
    """

    def __init__(self, seat: Seat, take: Take) -> None:
        self._seat: Seat | None = seat
        self._take = take

    def hand_over(self, connection: socket.socket, unsent: bytes, head: Head) -> None:
        """Give the connection to the fan-out, which first sends `unsent` and what it makes of `head`."""
        self._seat = None  # from here on, the place belongs to the viewer
        self._take(connection, unsent, head)

    def close(self) -> None:
        """Give the place back if the connection was not handed over."""
        seat, self._seat = self._seat, None
        if seat is not None:
            seat.leave()

    __del__ = close  # an answer that fails on its way is never closed by the server

    def __iter__(self) -> Iterator[bytes]:
        return iter(())
