# SPDX-License-Identifier: MIT
"""How long a child's work stood still, each time that it was started anew. Pure: time is an argument."""

from __future__ import annotations

from collections import Counter

EDGES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Recoveries:
    """Times from the last progress of a process to the first of its successor."""

    def __init__(self) -> None:
        self.last_s: float | None = None
        self._progress_s: float | None = None
        self._lost = False
        self._histogram: Counter[str] = Counter()

    def process_ended(self) -> None:
        """Note that whoever makes progress next is another process."""
        self._lost = True

    def progress(self, now_s: float) -> None:
        """Note progress."""
        if self._lost and self._progress_s is not None:
            self.last_s = now_s - self._progress_s
            self._histogram[_bucket(self.last_s)] += 1
        self._lost = False
        self._progress_s = now_s

    @property
    def histogram(self) -> dict[str, int]:
        """How many took how long, in seconds, the shortest first."""
        names = [*(f"<= {edge:g}" for edge in EDGES_S), f"> {EDGES_S[-1]:g}"]
        return {name: self._histogram[name] for name in names if self._histogram[name]}


def _bucket(took_s: float) -> str:
    return next((f"<= {edge:g}" for edge in EDGES_S if took_s <= edge), f"> {EDGES_S[-1]:g}")
