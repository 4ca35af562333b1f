# SPDX-License-Identifier: MIT
"""Counters that outlive viewers: they only grow while the process lives."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Totals:
    """Written by the fan-out's thread, read by any."""

    frames: int = 0
    """New live frames that the fan-out has taken."""
    viewers: int = 0
    """Viewers since the start."""
    sent: int = 0
    """Frames sent to viewers that have left; likewise the fields below."""
    skipped: int = 0
    thinned: int = 0
    bytes: int = 0
    disconnected: Counter[str] = field(default_factory=Counter)
    """By reason."""

    @property
    def watching(self) -> int:
        """How many viewers are watching now."""
        return self.viewers - sum(self.disconnected.values())
