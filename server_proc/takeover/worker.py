# SPDX-License-Identifier: MIT
"""Whether Waitress's one worker thread still answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class Worker:
    """The thread that answers requests. It notes when it is at work; any thread may look."""

    def __init__(self) -> None:
        self.busy = False
        """Whether it is working on a request now."""
        self.done = 0
        """How many requests it has finished."""

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Work on one request."""
        self.busy = True
        try:
            yield
        finally:
            self.done += 1
            self.busy = False
