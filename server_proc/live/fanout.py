# SPDX-License-Identifier: MIT
"""The fan-out: one thread and one epoll serve all guests of all feeds, one send per viewer and frame.

Only its thread touches the rings. Other threads read outlooks and facts, which never change.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from server_proc.live.admission import Admission, Kind, Refusal
from server_proc.live.connection import BUSY, GONE
from server_proc.live.feed import Feed, FeedRings
from server_proc.live.guest import Guest
from server_proc.live.head import Head
from server_proc.live.heartbeat import Heartbeat
from server_proc.live.outlook import Outlook
from server_proc.live.ticket import Ticket
from server_proc.live.totals import Totals
from server_proc.live.viewer import Viewer, ViewerFacts
from server_proc.live.waiting import Ask, Waiting
from server_proc.live.wishes import Wishes
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.doorbell import Doorbell
from shm_ring.status import ServerStatus, SupervisorStatus

_LOOK_S, _LOOK_SLACK_S = 0.2, 0.05
"""How often boards are read and the ring is checked without a doorbell. If a frame arrives within the slack,
the look rides on that wake-up."""
_CALM_LOOK_S = 0.5
"""The same while frames flow, or while nobody watches: then it is nearly all that the server does."""
_SWEEP_S = 1.0
"""How often all guests are looked at while frames flow; while none do, it is at each look."""
_ATTENTIVE_S = 2.0
"""How long each new frame is still taken after the last guest has left. After that, frames wake nobody."""
_FINISH_S = 0.5
"""How long a stop waits for viewers to accept the rest of their part."""
_EDGES = select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_RINGS = select.EPOLLIN | select.EPOLLET
"""Each ring of a doorbell is an edge, so it never has to be read."""
_ENDED = select.EPOLLERR | select.EPOLLHUP

LEFT = "closed the connection"
STOPPING = "the server is stopping"


@dataclass(frozen=True, slots=True)
class Rings:
    """The fan-out's view of shared memory."""

    feed: FeedRings
    supervisor_board: BoardReader[SupervisorStatus]
    own_board: BoardWriter[ServerStatus]


@dataclass(frozen=True, slots=True)
class Census:
    """Who is watching, and totals of those who did."""

    viewers: list[tuple[Wishes, ViewerFacts]]
    """What each asked for, and how it is being served."""
    totals: Totals
    """Of those who have left."""


class FanOut:
    """All guests of all feeds. `run` is its thread's whole life; all the rest except `serve_once` is for any
    thread."""

    def __init__(
        self,
        rings: Rings,
        admission: Admission,
        *,
        web_turns: Callable[[], int],
        stale_after_s: float | None = None,
        expected_size: tuple[int, int] = (640, 480),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the rings, and the admission that lets clients in.

        `web_turns` counts up while Waitress is alive; `stale_after_s` is the age at which a frame no
        longer counts as live, None to derive it from the frame period; `expected_size` is the (width, height)
        of pictures until the first frame; `clock` reads CLOCK_MONOTONIC.
        """
        self._clock = clock
        self._admission = admission
        self._supervisor_board = rings.supervisor_board
        self._heartbeat = Heartbeat(rings.own_board, web_turns)
        self._wake = Doorbell.create()
        self._wake_fd = self._wake.fileno()
        self._feed = Feed(
            rings.feed,
            asked_stale_after_s=stale_after_s,
            expected_size=expected_size,
            now_s=clock(),
            drawn=self._wake.ring,
        )
        self._feed_of_bell = {self._feed.doorbell.fileno(): self._feed}
        self._feed_of_guest: dict[int, Feed] = {}
        self._epoll = select.epoll()
        for bell in (self._wake_fd, *self._feed_of_bell):
            self._epoll.register(bell, _RINGS)
        self._leaving = threading.Lock()
        """Held while a viewer leaves, so that it is either among the guests or in the totals."""
        self._arrived: deque[tuple[Feed, Guest]] = deque()
        self._stopping = False
        self._look_due_s = self._sweep_due_s = 0.0
        self._guests_s = clock()
        self._totals = Totals()

    def outlook(self) -> Outlook:
        """Return what is known of the camera now."""
        return self._feed.outlook

    def census(self) -> Census:
        """Return who is watching now, and the totals of those who have left."""
        with self._leaving:
            guests, totals = list(self._feed.guests.values()), replace(self._totals)
        now_s = self._clock()
        viewers = [(guest.wishes, guest.facts(now_s)) for guest in guests if isinstance(guest, Viewer)]
        return Census(viewers, totals)

    def admit(self, wishes: Wishes) -> Ticket | Refusal:
        """Reserve a place for a viewer."""
        make = partial(Viewer, wishes=wishes, feed=self._feed, totals=self._totals)
        return self._ticket(Kind.VIEWER, wishes, make)

    def admit_waiting(self, wishes: Wishes, ask: Ask, wait_s: float) -> Ticket | Refusal:
        """Reserve a place for a client that waits until `ask` gives an answer, for `wait_s` at most.

        `ask` is called by the fan-out's thread, so it must be quick.
        """
        make = partial(Waiting, feed=self._feed, ask=ask, wait_s=wait_s)
        return self._ticket(Kind.WAITING, wishes, make)

    def stop(self) -> None:
        """End all streams after a whole part, and then the thread. A signal handler may call it."""
        self._stopping = True
        self._wake.ring()

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopping:
            now_s = self._clock()
            slack_s = _LOOK_SLACK_S if self._feed.attentive else 0.0
            due_s = min(self._feed.repeat_due_s, self._look_due_s + slack_s)
            self.serve_once(max(0.0, due_s - now_s))
        self._end_all()

    def serve_once(self, wait_s: float) -> None:
        """Wait for something to do, for `wait_s` at most, and do it. For the fan-out's thread."""
        events = self._epoll.poll(wait_s)
        now_s = self._clock()
        woken = False
        for descriptor, event in events:
            feed = self._feed_of_guest.get(descriptor)
            if feed is not None:
                self._on_edge(feed, descriptor, event, now_s)
            elif descriptor == self._wake_fd:
                woken = True
            elif descriptor in self._feed_of_bell:  # otherwise it has just been disconnected
                self._show_newest(self._feed_of_bell[descriptor], now_s)
        if woken:  # last: a newcomer may get the descriptor of a connection that ended in these events
            self._on_wake(now_s)
        if now_s >= min(self._look_due_s, self._feed.repeat_due_s):
            self._look(now_s)

    def _ticket(self, kind: Kind, wishes: Wishes, make: Callable[..., Guest]) -> Ticket | Refusal:
        if self._stopping:
            return Refusal.STOPPING
        seat = self._admission.enter(kind, wishes.address, wishes.key)
        if isinstance(seat, Refusal):
            return seat
        feed = self._feed

        def take(connection: socket.socket, unsent: bytes, head: Head) -> None:
            self._arrived.append((feed, make(connection, unsent, head, seat=seat)))
            self._wake.ring()

        return Ticket(seat, take)

    def _on_edge(self, feed: Feed, descriptor: int, event: int, now_s: float) -> None:
        guest = feed.guests[descriptor]
        half_closed = bool(event & select.EPOLLRDHUP)
        if guest.on_edge(now_s, ended=bool(event & _ENDED), half_closed=half_closed) is GONE:
            self._disconnect(feed, guest, LEFT, now_s)

    def _show_newest(self, feed: Feed, now_s: float) -> None:
        was_live = feed.live
        if not feed.take_newest(now_s) or feed.newest is None:
            return
        if not was_live:
            self._look_due_s = now_s  # so the supervisor learns of it at once
        self._totals.frames += 1
        newest = feed.newest
        if feed.guests:
            newest.join()
        for guest in list(feed.guests.values()):
            if guest.on_frame(newest, now_s) is GONE:
                self._disconnect(feed, guest, LEFT, now_s)

    def _on_wake(self, now_s: float) -> None:
        while self._arrived:
            self._welcome(*self._arrived.popleft(), now_s)
        for guest in list(self._feed.guests.values()):
            if guest.seat.condemned:
                self._disconnect(self._feed, guest, guest.seat.condemned, now_s)
        if self._feed.placeholders.take_drawn(now_s):
            self._sweep(self._feed, now_s)

    def _welcome(self, feed: Feed, guest: Guest, now_s: float) -> None:
        self._guests_s = now_s
        if not feed.attentive:
            self._epoll.modify(feed.doorbell.fileno(), _RINGS)
            self._show_newest(feed, now_s)
            feed.attentive = True
            feed.placeholders.end()  # the last one is from another outage
            self._look_due_s = now_s  # before the newcomer's first edge
        try:
            guest.welcome(now_s)
            self._epoll.register(guest.fileno(), _EDGES)  # writable from the start: that is the first edge
        except OSError as error:  # it left before its welcome, or the kernel has no room for another
            guest.end(error.strerror or LEFT, now_s)
            return
        feed.guests[guest.fileno()] = guest
        self._feed_of_guest[guest.fileno()] = feed
        feed.expect_repeat(now_s)

    def _disconnect(self, feed: Feed, guest: Guest, why: str, now_s: float) -> None:
        self._epoll.unregister(guest.fileno())
        with self._leaving:
            del feed.guests[guest.fileno()], self._feed_of_guest[guest.fileno()]
            guest.end(why, now_s)

    def _look(self, now_s: float) -> None:
        feed = self._feed
        self._show_newest(feed, now_s)  # in case a writer died between publishing and ringing
        feed.look(self._supervisor_board.read(), now_s)
        flows = now_s - feed.flowed_s < _LOOK_S
        if not flows or now_s >= min(self._sweep_due_s, feed.repeat_due_s):
            self._sweep_due_s = now_s + _SWEEP_S
            self._sweep(feed, now_s)
        if feed.guests:
            self._guests_s = now_s
        elif feed.attentive and now_s - self._guests_s >= _ATTENTIVE_S:
            feed.attentive = False
            self._epoll.modify(feed.doorbell.fileno(), 0)
        offered = self._totals.frames + feed.placeholders.number
        self._heartbeat.write(feed, offered=offered, viewers=self._totals.watching, now_s=now_s)
        self._look_due_s = now_s + self._look_again_s(feed, flows=flows, now_s=now_s)

    @staticmethod
    def _look_again_s(feed: Feed, *, flows: bool, now_s: float) -> float:
        """Return in how many seconds to look again: at the latest when the newest frame grows stale."""
        if not feed.attentive:
            # often enough that a live camera's frame, although not the newest, never looks stale
            return min(_CALM_LOOK_S, (feed.stale_after_s - feed.period_s) / 2)
        stale_in_s, usual_s = feed.stale_in_s(now_s), _CALM_LOOK_S if flows else _LOOK_S
        return min(stale_in_s, usual_s) if stale_in_s > 0 else usual_s

    def _sweep(self, feed: Feed, now_s: float) -> None:
        """Look at all guests: some are due a late or repeated frame, some have to go."""
        if now_s >= feed.repeat_due_s:
            feed.repeat_due_s = float("inf")
        for guest in list(feed.guests.values()):
            if guest.on_look(now_s) is GONE:
                self._disconnect(feed, guest, LEFT, now_s)
            elif why := guest.seat.condemned or guest.gave_up(now_s, feed.period_s):
                self._disconnect(feed, guest, why, now_s)

    def _end_all(self) -> None:
        """End every connection as soon as its part is whole, or at a deadline if its client does not read."""
        now_s = self._clock()
        while self._arrived:
            self._welcome(*self._arrived.popleft(), now_s)
        for bell in (self._wake_fd, *self._feed_of_bell):
            self._epoll.unregister(bell)
        deadline_s = now_s + _FINISH_S
        ready = list(self._feed_of_guest)
        while self._feed_of_guest and now_s < deadline_s:
            for descriptor in ready:
                feed = self._feed_of_guest.get(descriptor)
                if feed is not None and feed.guests[descriptor].go_on(now_s) is not BUSY:
                    self._disconnect(feed, feed.guests[descriptor], STOPPING, now_s)
            ready = [descriptor for descriptor, _ in self._epoll.poll(max(0.0, deadline_s - now_s))]
            now_s = self._clock()
        for descriptor, feed in list(self._feed_of_guest.items()):
            self._disconnect(feed, feed.guests[descriptor], STOPPING, now_s)
        self._feed.placeholders.close()
