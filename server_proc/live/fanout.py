# SPDX-License-Identifier: MIT
"""The fan-out: one thread and one epoll serve all viewers, one send per viewer and frame.

Its thread alone touches the rings. What others may know stands in an immutable snapshot.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from server_proc.live.freshness import Freshness, due, gave_up, repeat_after_s, stale_after_s
from server_proc.live.offer import Offer
from server_proc.live.snapshot import Snapshot
from server_proc.live.ticket import Ticket
from server_proc.live.viewer import BUSY, GONE, SENT, Outcome, Viewer
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.doorbell import Doorbell
from shm_ring.frame import Frame
from shm_ring.ring import RingReader

_log = logging.getLogger(__name__)

_LOOK_S = 0.25
"""How often boards are read and the ring is looked at unasked."""
_BOARD_S = 1.0
_FINISH_S = 0.5
"""How long a stop waits for viewers to take the rest of their part."""


@dataclass(frozen=True, slots=True)
class Rings:
    """The fan-out's view of shared memory."""

    frames: RingReader
    doorbell: Doorbell
    capture_board: BoardReader
    supervisor_board: BoardReader
    own_board: BoardWriter


class FanOut:
    """All viewers and the newest frame.

    `run` is its thread's whole life; `admit`, `snapshot` and `stop` may be used from any thread.
    """

    def __init__(
        self,
        rings: Rings,
        *,
        max_viewers: int,
        main_loop_turns: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the rings; `main_loop_turns` counts up while Waitress's main loop is alive."""
        self._rings = rings
        self._max_viewers = max_viewers
        self._main_loop_turns = main_loop_turns
        self._clock = clock
        self._epoll = select.epoll()
        self._wake = Doorbell.create()
        self._epoll.register(self._wake.fileno(), select.EPOLLIN)
        self._epoll.register(rings.doorbell.fileno(), select.EPOLLIN)
        self._places = threading.Lock()
        self._places_taken = 0
        self._arrivals: deque[Viewer] = deque()
        self._stopping = False
        self._viewers: dict[int, Viewer] = {}
        self._last_id = 0
        self._newest: Offer | None = None
        self._frames_seen = 0
        self._repeat_due_s = float("inf")
        self._look_due_s = 0.0
        self._board_due_s = 0.0
        self._turns_at_board = 0
        self.snapshot = Snapshot()

    def admit(self, *, address: str, extra_headers: bool) -> Ticket | None:
        """Reserve a place for a viewer; None when all are taken."""
        with self._places:
            if self._places_taken >= self._max_viewers:
                return None
            self._places_taken += 1
        return Ticket(self._take, self._give_back, address=address, extra_headers=extra_headers)

    def stop(self) -> None:
        """End all streams after a whole part, and then the thread."""
        self._stopping = True
        self._wake.ring()

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopping:
            self._serve_once()
        self._end_all()

    def _take(self, viewer: Viewer) -> None:
        self._arrivals.append(viewer)
        self._wake.ring()

    def _give_back(self) -> None:
        with self._places:
            self._places_taken -= 1

    def _serve_once(self) -> None:
        until_s = min(self._repeat_due_s, self._look_due_s, self._board_due_s)
        events = self._epoll.poll(max(0.0, until_s - self._clock()))
        now_s = self._clock()
        for descriptor, event in events:
            viewer = self._viewers.get(descriptor)
            if viewer is not None:
                self._on_edge(viewer, event, now_s)
        if self._rings.doorbell.quiet():
            self._show_newest(now_s)
        # Last, for a newcomer's descriptor may be one of these events' that was closed meanwhile.
        if self._wake.quiet():
            self._welcome(now_s)
        if now_s >= self._repeat_due_s:
            self._send_what_is_due(now_s)
        if now_s >= self._look_due_s:
            self._look(now_s)
        if now_s >= self._board_due_s:
            self._write_board(now_s)

    def _on_edge(self, viewer: Viewer, event: int, now_s: float) -> None:
        ended = event & (select.EPOLLERR | select.EPOLLHUP)
        viewer.half_closed = viewer.half_closed or bool(event & select.EPOLLRDHUP)
        outcome = GONE if ended else viewer.go_on(now_s)
        if outcome is SENT:
            outcome = self._send_due(viewer, now_s)
        if outcome is GONE:
            self._let_go(viewer, now_s)

    def _show_newest(self, now_s: float) -> None:
        published = self._rings.frames.latest(self._newest.sequence if self._newest else 0)
        if published is None:
            return
        newest = self._newest = Offer(Frame.of(published))
        self.snapshot = replace(self.snapshot, frame=newest.frame)
        if newest.age_s(now_s) >= stale_after_s(self.snapshot.period_s):
            return  # this server process is new, and the camera is away
        self._frames_seen += 1
        viewers = self._viewers.values()
        gone = [viewer for viewer in viewers if viewer.offer(newest, now_s) is GONE]
        for viewer in gone:
            self._let_go(viewer, now_s)
        self._repeat_due_s = now_s + repeat_after_s(self.snapshot.period_s)

    def _send_what_is_due(self, now_s: float) -> None:
        """Go through all viewers while no new frame comes: some may still need the last, or again."""
        self._repeat_due_s = float("inf")
        for viewer in list(self._viewers.values()):
            if self._send_due(viewer, now_s) is GONE:
                self._let_go(viewer, now_s)

    def _send_due(self, viewer: Viewer, now_s: float) -> Outcome:
        newest = self._newest
        if newest is None:
            return SENT
        step = due(
            newest=newest.sequence,
            sent=viewer.sequence,
            repeated=viewer.repeated,
            age_s=newest.age_s(now_s),
            quiet_s=now_s - viewer.sent_s,
            period_s=self.snapshot.period_s,
        )
        outcome = SENT
        if step is Freshness.LIVE:
            outcome = viewer.offer(newest, now_s)
        elif step is Freshness.REPEAT:
            outcome = viewer.repeat(newest, now_s)
        again_s = viewer.sent_s + repeat_after_s(self.snapshot.period_s)
        if again_s > now_s:
            self._repeat_due_s = min(self._repeat_due_s, again_s)
        return outcome

    def _welcome(self, now_s: float) -> None:
        while self._arrivals:
            viewer = self._arrivals.popleft()
            self._last_id += 1
            try:
                viewer.admitted(self._last_id, now_s, self._frames_seen)
            except OSError:  # it went before it came
                viewer.end()
                self._give_back()
                continue
            self._viewers[viewer.fileno()] = viewer
            _log.info("viewer #%d came from %s (%s)", viewer.id, viewer.address, self._count())
            # writable from the start, so registering makes the first edge
            self._epoll.register(viewer.fileno(), select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET)

    def _let_go(self, viewer: Viewer, now_s: float, how: str = "left") -> None:
        descriptor = viewer.fileno()
        self._epoll.unregister(descriptor)
        del self._viewers[descriptor]
        viewer.end()
        self._give_back()
        told = viewer.facts(now_s, self._frames_seen)
        _log.info(
            "viewer #%d from %s %s after %.1f s: %d frames, %d skipped (%s)",
            told.id,
            told.address,
            how,
            told.watched_s,
            told.frames,
            told.skipped,
            self._count(),
        )

    def _count(self) -> str:
        return f"{len(self._viewers)} viewer{'' if len(self._viewers) == 1 else 's'}"

    def _look(self, now_s: float) -> None:
        self._look_due_s = now_s + _LOOK_S
        self._show_newest(now_s)  # in case a writer died between its publish and its ringing
        self._send_what_is_due(now_s)
        for viewer in list(self._viewers.values()):
            if gave_up(
                blocked=viewer.blocked,
                half_closed=viewer.half_closed,
                quiet_s=now_s - viewer.sent_s,
                period_s=self.snapshot.period_s,
            ):
                self._let_go(viewer, now_s, "took nothing more and was let go")
        capture = self._rings.capture_board.read()
        self.snapshot = Snapshot(
            frame=self.snapshot.frame,
            period_s=capture.status["period_s"] if capture else self.snapshot.period_s,
            viewers=tuple(viewer.facts(now_s, self._frames_seen) for viewer in self._viewers.values()),
            capture=capture,
            supervisor=self._rings.supervisor_board.read(),
            dropped_busy=self._rings.frames.dropped_busy,
            dropped_too_big=self._rings.frames.dropped_too_big,
        )

    def _write_board(self, now_s: float) -> None:
        """Tell the supervisor that this process lives: both this loop and Waitress's have moved."""
        turns = self._main_loop_turns()
        if turns == self._turns_at_board:
            self._board_due_s = now_s + _LOOK_S
            return
        self._turns_at_board = turns
        self._board_due_s = now_s + _BOARD_S
        self._rings.own_board.write({"pid": os.getpid(), "viewers": len(self._viewers)})

    def _end_all(self) -> None:
        """End every stream, each as soon as its part is whole, those that do not read by a deadline."""
        self._epoll.unregister(self._wake.fileno())
        self._epoll.unregister(self._rings.doorbell.fileno())
        while self._arrivals:
            self._arrivals.popleft().end()
        now_s = self._clock()
        deadline_s = now_s + _FINISH_S
        ready = list(self._viewers)
        while self._viewers and now_s < deadline_s:
            for descriptor in ready:
                viewer = self._viewers[descriptor]
                if viewer.go_on(now_s) is not BUSY:
                    self._let_go(viewer, now_s)
            ready = [descriptor for descriptor, _ in self._epoll.poll(deadline_s - now_s)]
            now_s = self._clock()
        for viewer in list(self._viewers.values()):
            self._let_go(viewer, now_s)
