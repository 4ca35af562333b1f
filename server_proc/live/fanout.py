# SPDX-License-Identifier: MIT
"""The fan-out: one thread and one epoll serve all viewers, one send per viewer and frame.

Its thread alone touches the rings. What others may know stands in an immutable outlook.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable
from dataclasses import replace

from server_proc.live import patience
from server_proc.live.admission import QUIET_S, Admission, Refusal
from server_proc.live.arrivals import Arrivals
from server_proc.live.boards import Boards, Rings
from server_proc.live.connection import BUSY, EARLY, GONE, SENT, Outcome
from server_proc.live.freshness import Freshness, due, repeat_after_s
from server_proc.live.offer import Offer
from server_proc.live.outlook import Outlook
from server_proc.live.placeholders import Placeholders
from server_proc.live.ticket import Ticket
from server_proc.live.viewer import Viewer, ViewerFacts, Wishes
from server_proc.live.waiting import Respond, Waiting
from shm_ring.doorbell import Doorbell
from shm_ring.frame import Frame, FrameFacts

_log = logging.getLogger(__name__)

_LOOK_S, _LOOK_SLACK_S = 0.2, 0.05
"""How often boards are read and the ring is looked at unasked, and once when the newest frame grows stale;
so much later if a frame comes then, for waking up costs more than looking."""
_FINISH_S = 0.5
"""How long a stop waits for viewers to take the rest of their part."""
_EDGES = select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_ENDED = select.EPOLLERR | select.EPOLLHUP


class FanOut:
    """All viewers and the newest frame.

    `run` is its thread's whole life; `admit`, `admit_waiting`, `outlook` and `stop` may be used from any
    thread.
    """

    def __init__(
        self,
        rings: Rings,
        admission: Admission,
        *,
        main_loop_turns: Callable[[], int],
        stale_after_s: float | None = None,
        expected_size: tuple[int, int] = (640, 480),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the rings and the admission.

        `main_loop_turns` counts up while Waitress's main loop is alive; `stale_after_s` is the age from
        which a frame is not shown as live, None for what follows from the frame period; `expected_size`
        is the (width, height) of pictures for as long as there was none.
        """
        self._frames = rings.frames
        self._clock = clock
        self._epoll = select.epoll()
        self._wake = Doorbell.create()
        self._wake_fd, self._doorbell_fd = self._wake.fileno(), rings.doorbell.fileno()
        # each ring is an edge, so nobody needs to quiet the bell
        self._epoll.register(self._wake_fd, select.EPOLLIN | select.EPOLLET)
        self._epoll.register(self._doorbell_fd, select.EPOLLIN | select.EPOLLET)
        self._arrivals = Arrivals(admission, self._wake)
        self._boards = Boards(rings, main_loop_turns, stale_after_s)
        self._began_s = clock()
        facts = FrameFacts(round(self._began_s * 1e9), time.time_ns(), *expected_size)
        self._placeholders = Placeholders(Frame(0, facts, b""), drawn=self._wake.ring)
        self._stopping = False
        self._viewers: dict[int, Viewer] = {}
        self._waiting: dict[int, Waiting] = {}
        self._last_id = 0
        self._newest: Offer | None = None
        self._publishes_seen = 0
        self._frames_seen = 0
        self._flows_s = 0.0
        self._repeat_due_s = float("inf")
        self._look_due_s = 0.0

    def admit(self, wishes: Wishes) -> Ticket | Refusal:
        """Reserve a place for a viewer."""
        return self._arrivals.admit(wishes, self._quietest_s(wishes.address))

    def admit_waiting(self, wishes: Wishes, after: int, respond: Respond) -> Ticket | Refusal:
        """Reserve a place for a client that waits for a frame with a sequence above `after`.

        `respond` makes the whole answer, and is called by the fan-out's thread.
        """
        return self._arrivals.admit_waiting(wishes, self._quietest_s(wishes.address), after, respond)

    @property
    def outlook(self) -> Outlook:
        """All that others may know, as it was at one moment."""
        newest = self._newest
        return replace(self._boards.told, frame=newest.frame if newest else None)

    def stop(self) -> None:
        """End all streams after a whole part, and then the thread."""
        self._stopping = True
        self._wake.ring()

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopping:
            self._serve_once()
        self._end_all()

    def _quietest_s(self, address: str) -> float:
        quiet_s = (one.quiet_s for one in self._boards.told.viewers if one.address == address)
        return max(quiet_s, default=0.0)

    def _serve_once(self) -> None:
        until_s = min(self._repeat_due_s, self._look_due_s + _LOOK_SLACK_S)
        events = self._epoll.poll(max(0.0, until_s - self._clock()))
        now_s = self._clock()
        woken = False
        for descriptor, event in events:
            viewer = self._viewers.get(descriptor)
            if viewer is not None:
                self._on_edge(viewer, event, now_s)
            elif descriptor == self._doorbell_fd:
                self._show_newest(now_s)
            elif descriptor == self._wake_fd:
                woken = True
            elif descriptor in self._waiting:
                self._serve_waiting(self._waiting[descriptor], now_s, ended=bool(event & _ENDED))
        # Last, for a newcomer's descriptor may be one of these events' that was closed meanwhile.
        if woken:
            self._welcome(now_s)
            if self._placeholders.take_drawn():
                self._send_what_is_due(now_s)
        if now_s >= self._repeat_due_s:
            self._send_what_is_due(now_s)
        if now_s >= self._look_due_s:
            self._look(now_s)

    def _on_edge(self, viewer: Viewer, event: int, now_s: float) -> None:
        viewer.half_closed = viewer.half_closed or bool(event & select.EPOLLRDHUP)
        outcome = GONE if event & _ENDED else viewer.go_on(now_s)
        if outcome is SENT:
            outcome = self._send_due(viewer, now_s)
        if outcome is GONE:
            self._let_go(viewer, now_s)

    def _show_newest(self, now_s: float) -> None:
        publishes = self._frames.publishes
        if publishes == self._publishes_seen:
            return
        self._publishes_seen = publishes
        published = self._frames.latest(self._newest.sequence if self._newest else 0)
        if published is None:
            return
        newest = self._newest = Offer(Frame.of(published))
        if self._is_stale(now_s):
            return  # this server process is new, and the camera is away
        self._flows_s = now_s
        if self._placeholders.current is not None:
            self._placeholders.end()
        self._frames_seen += 1
        for viewer in list(self._viewers.values()):
            outcome = viewer.offer(newest, now_s)
            if outcome is SENT:
                continue
            if outcome is EARLY:
                viewer.thinned += 1
            elif outcome is GONE:
                self._let_go(viewer, now_s)
        for waiting in list(self._waiting.values()):
            self._serve_waiting(waiting, now_s)
        self._repeat_due_s = now_s + repeat_after_s(self._boards.told.period_s)

    def _is_stale(self, now_s: float) -> bool:
        return self._quiet_s(now_s) >= self._boards.told.stale_after_s

    def _quiet_s(self, now_s: float) -> float:
        """Return for how many seconds there has been no live picture."""
        return now_s - self._began_s if self._newest is None else self._newest.age_s(now_s)

    def _send_what_is_due(self, now_s: float) -> None:
        """Go through all viewers while no new frame comes: some may still need the last, or again."""
        self._repeat_due_s = float("inf")
        for viewer in list(self._viewers.values()):
            if self._send_due(viewer, now_s) is GONE:
                self._let_go(viewer, now_s)

    def _send_due(self, viewer: Viewer, now_s: float) -> Outcome:
        newest, placeholder = self._newest, self._placeholders.current
        period_s = max(self._boards.told.period_s, viewer.period_s)
        step = due(
            stale=self._is_stale(now_s),
            newest=newest.sequence if newest else 0,
            sent=viewer.shown.sequence if viewer.shown else 0,
            repeated=viewer.freshness is not Freshness.LIVE,
            quiet_s=now_s - viewer.sent_s,
            period_s=period_s,
            placeholder=self._placeholders.number if placeholder else 0,
            placeholder_sent=viewer.placeholder,
        )
        again_s = viewer.sent_s + repeat_after_s(period_s)
        if again_s > now_s:
            self._repeat_due_s = min(self._repeat_due_s, again_s)
        if step is Freshness.LIVE and newest:
            return viewer.offer(newest, now_s)
        if step is Freshness.REPEAT and newest:
            return viewer.repeat(newest, now_s)
        if step is Freshness.PLACEHOLDER and placeholder:
            return viewer.show_placeholder(placeholder, self._placeholders.number, now_s)
        return SENT

    def _welcome(self, now_s: float) -> None:
        for one in self._arrivals:
            try:
                if isinstance(one, Viewer):
                    self._welcome_viewer(one, now_s)
                else:
                    one.admitted(now_s)
                    self._waiting[one.fileno()] = one
            except OSError:  # it went before it came
                one.end()
                continue
            # writable from the start, so registering makes the first edge
            self._epoll.register(one.fileno(), _EDGES)

    def _welcome_viewer(self, viewer: Viewer, now_s: float) -> None:
        self._last_id += 1
        viewer.welcome(self._last_id, now_s, time.time(), seen_before=self._frames_seen)
        self._make_room(viewer, now_s)
        self._viewers[viewer.fileno()] = viewer
        self._boards.viewers_changed()
        _log.info("viewer #%d came from %s (%s)", viewer.id, viewer.wishes.address, self._count())

    def _make_room(self, newcomer: Viewer, now_s: float) -> None:
        """Let go of whom a newcomer takes the place of: its own ghost, or the quietest of its address."""
        key = newcomer.wishes.key
        ghosts = [viewer for viewer in self._viewers.values() if key and viewer.wishes.key == key]
        for ghost in ghosts:
            self._let_go(ghost, now_s, "was replaced by a viewer with its key")
        if newcomer.seat.in_place_of_the_quietest:
            address = newcomer.wishes.address
            neighbours = (viewer for viewer in self._viewers.values() if viewer.wishes.address == address)
            quietest = min(neighbours, key=lambda viewer: viewer.sent_s, default=None)
            if quietest is not None and now_s - quietest.sent_s > QUIET_S:
                self._let_go(quietest, now_s, "took nothing and gave its place to another of its address")

    def _let_go(self, viewer: Viewer, now_s: float, how: str = "left") -> None:
        told = viewer.facts(now_s, self._newest, seen=self._frames_seen)
        del self._viewers[viewer.fileno()]
        self._boards.viewers_changed()
        self._epoll.unregister(viewer.fileno())
        viewer.end()
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

    def _serve_waiting(self, waiting: Waiting, now_s: float, *, ended: bool = False) -> None:
        fresh = None if self._newest is None or self._is_stale(now_s) else self._newest.frame
        waiting.look(fresh, now_s)
        if ended or waiting.send(now_s) is GONE or waiting.done or self._gave_up(waiting, now_s):
            del self._waiting[waiting.fileno()]
            self._epoll.unregister(waiting.fileno())
            waiting.end()

    def _look(self, now_s: float) -> None:
        stale_in_s = self._boards.told.stale_after_s - self._quiet_s(now_s)
        self._look_due_s = now_s + (min(stale_in_s, _LOOK_S) if stale_in_s > 0 else _LOOK_S)
        self._boards.look(lambda: self._facts(now_s), now_s)
        self._show_newest(now_s)  # in case a writer died between its publish and its ringing
        if self._viewers and self._is_stale(now_s):
            newest = self._newest.frame if self._newest else None
            self._placeholders.draw(newest, self._quiet_s(now_s), self._boards.told.supervisor, now_s)
        if now_s - self._flows_s >= _LOOK_S:
            self._send_what_is_due(now_s)
        for viewer in list(self._viewers.values()):
            if self._gave_up(viewer, now_s):
                self._let_go(viewer, now_s, "took nothing more and was let go")
        for waiting in list(self._waiting.values()):
            self._serve_waiting(waiting, now_s)
        self._boards.write_own(self._frames_seen + self._placeholders.number, now_s)

    def _facts(self, now_s: float) -> tuple[ViewerFacts, ...]:
        seen = self._frames_seen
        return tuple(viewer.facts(now_s, self._newest, seen=seen) for viewer in self._viewers.values())

    def _gave_up(self, one: Viewer | Waiting, now_s: float) -> bool:
        if now_s - one.sent_s < patience.LEAST_S:
            return False
        return patience.gave_up(one.standing(now_s), self._boards.told.period_s)

    def _end_all(self) -> None:
        """End every stream, each as soon as its part is whole, those that do not read by a deadline."""
        self._epoll.unregister(self._wake_fd)
        self._epoll.unregister(self._doorbell_fd)
        for one in (*self._arrivals, *self._waiting.values()):
            one.end()
        now_s = self._clock()
        deadline_s = now_s + _FINISH_S
        ready = list(self._viewers)
        while self._viewers and now_s < deadline_s:
            for descriptor in ready:
                viewer = self._viewers.get(descriptor)
                if viewer is not None and viewer.go_on(now_s) is not BUSY:
                    self._let_go(viewer, now_s)
            ready = [descriptor for descriptor, _ in self._epoll.poll(deadline_s - now_s)]
            now_s = self._clock()
        for viewer in list(self._viewers.values()):
            self._let_go(viewer, now_s)
        self._placeholders.close()
