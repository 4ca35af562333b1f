# SPDX-License-Identifier: MIT
"""All connections that Waitress has: which is idle for too long, and which makes room for others.

Waitress measures idle connections by the wall clock, and refuses newcomers when there are too many. Here the
monotonic clock counts, and the oldest idle connection makes room.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from server_proc.live.admission import bucket_of

_log = logging.getLogger(__name__)

MOST = 256
MOST_PER_ADDRESS = 64
"""A browser opens six. An address with more leaves them open, or is a proxy: --trusted-proxy."""

_ALL_BUSY = "refused %s: all its %d connections are busy; if it is a proxy, use --trusted-proxy (logged once)"


class Kept(Protocol):
    """A connection, as far as it is looked at here."""

    bucket: str
    """The client's address as limits count it."""
    active_s: float
    """When it was last answered, or took bytes of an answer."""
    will_close: bool

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being answered on it."""

    def is_overdue(self, now_s: float) -> bool:
        """Tell whether its time is over."""

    def handle_close(self) -> None:
        """Close it at once."""


class Connections:
    """All of them, by descriptor. For Waitress's main thread."""

    def __init__(
        self,
        is_proxy: Callable[[str], bool] = lambda address: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.open: dict[int, Kept] = {}
        """Kept by Waitress."""
        self._is_proxy = is_proxy
        self._clock = clock
        self._warned = False

    def has_room(self) -> bool:
        """Tell whether another may come: there is a place, or an idle connection can make room."""
        return (
            len(self.open) < MOST
            or len(self._staying()) < MOST
            or any(connection.is_idle for connection in self._staying())
        )

    def make_room(self, address: str) -> bool:
        """Condemn a connection if one from `address` needs its place; tell whether that one may come."""
        bucket = "" if self._is_proxy(address) else bucket_of(address)
        neighbours = [connection for connection in self._staying() if connection.bucket == bucket]
        if bucket and len(neighbours) >= MOST_PER_ADDRESS and not _condemn_oldest(neighbours):
            if not self._warned:
                self._warned = True
                _log.warning(_ALL_BUSY, address, len(neighbours))
            return False
        return len(self._staying()) < MOST or _condemn_oldest(self._staying())

    def tend(self) -> None:
        """Close the condemned and those whose time is over.

        Never while Waitress goes through events: one of them may be for a descriptor that is used again by
        then.
        """
        now_s = self._clock()
        for connection in list(self.open.values()):
            if connection.will_close or connection.is_overdue(now_s):
                connection.handle_close()

    def _staying(self) -> list[Kept]:
        return [connection for connection in self.open.values() if not connection.will_close]


def _condemn_oldest(connections: Iterable[Kept]) -> bool:
    idle = [connection for connection in connections if connection.is_idle]
    if idle:
        min(idle, key=lambda connection: connection.active_s).will_close = True
    return bool(idle)
