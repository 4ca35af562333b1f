# SPDX-License-Identifier: MIT
"""What "well" means for systemd's watchdog. Pure: time is an argument."""

from __future__ import annotations

from shm_ring.status import ServerStatus

_OFFER_MARGIN_S = 3.0
"""The server reports once a second what it had for viewers; a late report is not taken for none."""


class Health:
    """Whether viewers get something to see, be it a placeholder, or nobody watches.

    A restart of the whole service helps nobody while only the camera is down, and cuts off every viewer.
    """

    def __init__(self, now_s: float) -> None:
        self._offered: tuple[int, int] | None = None
        self._offered_s = now_s

    def is_well(self, server: ServerStatus | None, now_s: float, *, server_runs: bool) -> bool:
        """Take the last row on the server's board and whether its process runs; return how it is."""
        offered = None if server is None else (server.pid, server.offered)
        if offered != self._offered:
            self._offered, self._offered_s = offered, now_s
        if server is None or not server.viewers:
            return server_runs
        return server_runs and now_s - self._offered_s <= server.offer_every_s + _OFFER_MARGIN_S
