# SPDX-License-Identifier: MIT
"""What the web side needs of the fan-out."""

from __future__ import annotations

from typing import Protocol

from server_proc.live.admission import Refusal
from server_proc.live.outlook import Outlook
from server_proc.live.ticket import Ticket
from server_proc.live.viewer import Wishes
from server_proc.live.waiting import Respond


class Feeds(Protocol):
    """The live picture, and who watches it. For any thread."""

    @property
    def outlook(self) -> Outlook:
        """All that may be known, as it was at one moment."""

    def admit(self, wishes: Wishes) -> Ticket | Refusal:
        """Reserve a place for a viewer."""

    def admit_waiting(self, wishes: Wishes, after: int, respond: Respond) -> Ticket | Refusal:
        """Reserve a place for a client that waits for a frame with a sequence above `after`."""
