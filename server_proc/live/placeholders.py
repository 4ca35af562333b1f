# SPDX-License-Identifier: MIT
"""The placeholders that viewers are shown while there is no live picture, one after the other."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from server_proc.live.freshness import EVERY_S
from server_proc.live.multipart import padded
from server_proc.live.offer import Offer
from server_proc.live.outage import headline, remedy
from server_proc.live.outlook import Placeholder
from server_proc.live.placeholder import draw_placeholder
from shm_ring.board import Reading
from shm_ring.frame import Frame
from shm_ring.status import SupervisorStatus

_log = logging.getLogger(__name__)

_LINE_LETTERS = 50
"""An error of the camera may be long."""


class Placeholders:
    """Draws them in a thread of its own, because drawing must not delay a frame. For the fan-out's thread."""

    def __init__(self, before_any: Frame, drawn: Callable[[], None]) -> None:
        """`before_any` gives the size and the time until the first frame.

        `drawn` is called by the other thread when one is ready to be taken with `take_drawn`.
        """
        self._before_any = before_any
        self._drawn = drawn
        self._painter = ThreadPoolExecutor(1, "placeholder")
        self._drawing: Future[bytes] | None = None
        self._last = before_any
        self._due_s = 0.0
        self._warned = False
        self.number = 0
        """How many have been drawn."""
        self.current: Offer | None = None
        self.picture: Placeholder | None = None
        """The current one, for snapshots."""

    def draw(
        self,
        newest: Frame | None,
        without_live_s: float,
        supervisor: Reading[SupervisorStatus] | None,
        now_s: float,
    ) -> None:
        """Have the next one drawn, once a second. There has been no live picture for `without_live_s`."""
        if self._drawing is not None or now_s < self._due_s:
            return
        self._due_s = now_s + EVERY_S
        self._last = newest or self._before_any
        size = (self._last.facts.width_px, self._last.facts.height_px)
        title = headline(without_live_s, had_frames=newest is not None)
        does = remedy(supervisor, round(now_s * 1e9))
        lines = (title, *textwrap.wrap(does, _LINE_LETTERS))
        try:
            self._drawing = self._painter.submit(_draw, newest and newest.jpeg, size, lines)
        except RuntimeError as error:  # no thread can be started
            self._warn_once(error)
            return
        self._drawing.add_done_callback(lambda _: self._drawn())

    def take_drawn(self, now_s: float) -> bool:
        """Make a finished drawing the current one; tell whether there was one."""
        if self._drawing is None or not self._drawing.done():
            return False
        drawing, self._drawing = self._drawing, None
        error = drawing.exception()
        if error is not None:
            self._warn_once(error)
            return False
        self._warned = False
        jpeg = drawing.result()
        self.current = Offer(self._last._replace(jpeg=jpeg))
        self.picture = Placeholder(jpeg, round(now_s * 1e9))
        self.number += 1
        return True

    def end(self) -> None:
        """Forget the current one: there is a live picture."""
        self.current = self.picture = None
        self._due_s = 0.0

    def close(self) -> None:
        """Draw no more."""
        self._painter.shutdown(wait=False)

    def _warn_once(self, error: BaseException) -> None:
        """Log once that drawing fails. No cause of that may end the server."""
        if not self._warned:
            self._warned = True
            cause = f"{type(error).__name__}: {error}"
            _log.error("cannot draw a placeholder, trying again every second: %s", cause)


def _draw(last_jpeg: bytes | None, size: tuple[int, int], lines: tuple[str, ...]) -> bytes:
    return padded(draw_placeholder(last_jpeg, size, lines))
