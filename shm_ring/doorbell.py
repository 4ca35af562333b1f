# SPDX-License-Identifier: MIT
"""The doorbell: an eventfd that says "look again", across processes and their deaths.

It is neither a count nor a lock, so a process that dies while ringing or listening blocks nobody, unlike
with `multiprocessing.Condition` or `Event`. Its listener also looks without being asked, now and then.
"""

from __future__ import annotations

import contextlib
import os


class Doorbell:
    """One eventfd: made by the supervisor, rung by each writer in turn, heard by one reader."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def create(cls) -> Doorbell:
        """Make a new doorbell that has not been rung."""
        return cls(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))

    def fileno(self) -> int:
        """Return the descriptor: readable when the doorbell was rung."""
        return self._descriptor

    def ring(self) -> None:
        """Say "look again". A bell that is already ringing keeps ringing (EAGAIN)."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_write(self._descriptor, 1)
