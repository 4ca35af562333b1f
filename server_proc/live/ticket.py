# SPDX-License-Identifier: MIT
"""A ticket: a viewer's place, held from the decision to serve it until the fan-out has its socket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

from server_proc.live.viewer import Viewer


class Ticket:
    """The answer to a request for a stream, as far as WSGI knows: an iterable, and empty.

    Made by `FanOut.admit`. Whoever serves the request either hands the connection over, once, or
    closes the ticket as PEP 3333 demands of any iterable; both are for any one thread.
    """

    def __init__(
        self,
        take: Callable[[Viewer], None],
        give_back: Callable[[], None],
        *,
        address: str,
        extra_headers: bool,
    ) -> None:
        self._take = take
        self._give_back: Callable[[], None] | None = give_back
        self._address = address
        self._extra_headers = extra_headers

    def hand_over(self, connection: socket.socket, opening: bytes) -> None:
        """Give the connection to the fan-out, which first sends the bytes `opening`."""
        viewer = Viewer(connection, opening, address=self._address, extra_headers=self._extra_headers)
        self._give_back = None  # from here on the place is the viewer's
        self._take(viewer)

    def close(self) -> None:
        """Give the place back if the connection was not handed over."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()

    __del__ = close  # an answer that fails on its way never reaches the server

    def __iter__(self) -> Iterator[bytes]:
        return iter(())
