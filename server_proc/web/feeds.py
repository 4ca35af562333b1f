# SPDX-License-Identifier: MIT
"""What the web side needs of the fan-out."""

from __future__ import annotations

from typing import Protocol

from server_proc.live.admission import Refusal
from server_proc.live.fanout import Census
from server_proc.live.outlook import Outlook
from server_proc.live.ticket import Ticket
from server_proc.live.waiting import Ask
from server_proc.live.wishes import Wishes


class Feeds(Protocol):
    """The live picture, and who watches it. For any thread."""

    def outlook(self) -> Outlook:
        """Return what is known of the camera now."""

    def census(self) -> Census:
        """Return who is watching now, and the totals of those who have left."""

    def admit(self, wishes: Wishes) -> Ticket | Refusal:
        """Reserve a place for a viewer."""

    def admit_waiting(self, wishes: Wishes, ask: Ask, wait_s: float) -> Ticket | Refusal:
        """Reserve a place for a client that waits until `ask` gives an answer, for `wait_s` at most."""
