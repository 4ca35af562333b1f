# SPDX-License-Identifier: MIT
"""Those who were let in and are not served yet: from the decision to the fan-out's next turn."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator
from functools import partial

from server_proc.live.admission import Admission, Refusal, Seat
from server_proc.live.multipart import ADVANCED_DELIMITER, DELIMITER
from server_proc.live.offer import PartForm
from server_proc.live.ticket import Ticket
from server_proc.live.viewer import Viewer, Wishes
from server_proc.live.waiting import Respond, Waiting
from shm_ring.doorbell import Doorbell


class Arrivals:
    """Gives out tickets, to any thread, and hands over who came with one, to the fan-out's thread."""

    def __init__(self, admission: Admission, wake: Doorbell) -> None:
        """`wake` is rung when somebody has come."""
        self._admission = admission
        self._wake = wake
        self._came: deque[Viewer | Waiting] = deque()

    def admit(self, wishes: Wishes, quiet_s: float) -> Ticket | Refusal:
        """Reserve a place for a viewer; the quietest of its address has been sent nothing for `quiet_s`."""
        seat = self._admission.enter(wishes.address, wishes.key, quiet_s)
        return seat if isinstance(seat, Refusal) else Ticket(seat, partial(self._take_viewer, seat, wishes))

    def admit_waiting(self, wishes: Wishes, quiet_s: float, after: int, respond: Respond) -> Ticket | Refusal:
        """Reserve a place for a client that waits for a frame with a sequence above `after`."""
        seat = self._admission.enter(wishes.address, wishes.key, quiet_s)
        if isinstance(seat, Refusal):
            return seat

        def take(connection: socket.socket, unsent: bytes, _head: bytes) -> None:
            self._take(Waiting(connection, unsent, seat=seat, after=after, respond=respond))

        return Ticket(seat, take)

    def __iter__(self) -> Iterator[Viewer | Waiting]:
        """Yield each who came, once."""
        while self._came:
            yield self._came.popleft()

    def _take_viewer(
        self, seat: Seat, wishes: Wishes, connection: socket.socket, unsent: bytes, head: bytes
    ) -> None:
        first = ADVANCED_DELIMITER if wishes.form is PartForm.ADVANCED else DELIMITER
        self._take(Viewer(connection, unsent + head + first, seat=seat, wishes=wishes))

    def _take(self, one: Viewer | Waiting) -> None:
        self._came.append(one)
        self._wake.ring()
