# SPDX-License-Identifier: MIT
"""The placeholders that viewers are shown while there is no live picture, one after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from server_proc.live.freshness import PLACEHOLDER_EVERY_S
from server_proc.live.offer import Offer
from server_proc.live.outage import headline, remedy
from server_proc.live.placeholder import UNDRAWABLE, draw_placeholder
from shm_ring.board import Reading
from shm_ring.frame import Frame
from shm_ring.status import SupervisorStatus

_log = logging.getLogger(__name__)


class Placeholders:
    """Draws them in a thread of its own, for drawing must not delay a frame. For the fan-out's thread."""

    def __init__(self, before_any: Frame, drawn: Callable[[], None]) -> None:
        """`before_any` tells the size and the time for as long as there was no frame.

        `drawn` is called by the other thread when one is ready to be taken with `take_drawn`.
        """
        self._before_any = before_any
        self._drawn = drawn
        self._painter = ThreadPoolExecutor(1, "placeholder")
        self._drawing: Future[bytes] | None = None
        self._last = before_any
        self._due_s = 0.0
        self._told = False
        self.number = 0
        """How many there were."""
        self.current: Offer | None = None

    def draw(
        self, newest: Frame | None, quiet_s: float, supervisor: Reading[SupervisorStatus] | None, now_s: float
    ) -> None:
        """Let the next one be drawn, once a second. There was no live picture for `quiet_s`."""
        if self._drawing is not None or now_s < self._due_s:
            return
        self._due_s = now_s + PLACEHOLDER_EVERY_S
        self._last = newest or self._before_any
        size = (self._last.facts.width_px, self._last.facts.height_px)
        title = headline(quiet_s, had_frames=newest is not None)
        does = remedy(supervisor, round(now_s * 1e9))
        lines = (title, does) if does else (title,)
        self._drawing = self._painter.submit(draw_placeholder, newest and newest.jpeg, size, lines)
        self._drawing.add_done_callback(lambda _: self._drawn())

    def take_drawn(self) -> bool:
        """Make what was drawn the current one; tell whether there was any."""
        if self._drawing is None or not self._drawing.done():
            return False
        drawing, self._drawing = self._drawing, None
        try:
            jpeg = drawing.result()
        except UNDRAWABLE as error:
            if not self._told:
                self._told = True
                _log.error("no placeholder can be drawn, it is tried again each second: %s", error)
            return False
        self._told = False
        self.current = Offer(self._last._replace(jpeg=jpeg))
        self.number += 1
        return True

    def end(self) -> None:
        """Forget the current one: there is a live picture."""
        self.current = None
        self._due_s = 0.0

    def close(self) -> None:
        """Draw no more."""
        self._painter.shutdown(wait=False)
