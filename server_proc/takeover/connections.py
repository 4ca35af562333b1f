# SPDX-License-Identifier: MIT
"""All connections that Waitress has: who is idle for too long, and who makes room when there are too many.

Waitress measures idle connections by the wall clock, and lets nobody in when there are too many. Here it is
the monotonic clock, and the oldest idle connection goes.
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
        self._told = False

    def has_room(self) -> bool:
        """Tell whether another may come: there is a place, or an idle connection that can go for it."""
        return (
            len(self.open) < MOST
            or len(self._staying()) < MOST
            or any(one.is_idle for one in self._staying())
        )

    def make_room(self, address: str) -> bool:
        """Condemn the connection that has to go for one from `address`; tell whether that one may come."""
        bucket = "" if self._is_proxy(address) else bucket_of(address)
        neighbours = [one for one in self._staying() if one.bucket == bucket]
        if bucket and len(neighbours) >= MOST_PER_ADDRESS and not _condemn_oldest(neighbours):
            if not self._told:
                self._told = True
                what = "%s gets no more than its %d connections, all busy (logged once); see --trusted-proxy"
                _log.warning(what, address, len(neighbours))
            return False
        return len(self._staying()) < MOST or _condemn_oldest(self._staying())

    def tend(self) -> None:
        """Close the condemned and those whose time is over.

        Never while Waitress goes through events: one of them may be for a descriptor that is used again by
        then.
        """
        now_s = self._clock()
        for one in list(self.open.values()):
            if one.will_close or one.is_overdue(now_s):
                one.handle_close()

    def _staying(self) -> list[Kept]:
        return [one for one in self.open.values() if not one.will_close]


def _condemn_oldest(some: Iterable[Kept]) -> bool:
    idle = [one for one in some if one.is_idle]
    if idle:
        min(idle, key=lambda one: one.active_s).will_close = True
    return bool(idle)
