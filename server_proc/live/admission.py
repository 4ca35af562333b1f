# SPDX-License-Identifier: MIT
"""Who is admitted, and who makes room: one decision under one lock. No socket and no thread of its own.

A place is a `Seat`, taken before the answer is given and kept until the connection ends. If a newcomer takes
somebody's place, that seat is condemned in the same moment, so no other newcomer counts on it; the fan-out
disconnects the condemned at its next turn. See
docs/decisions/0011-one-decision-lets-people-in.md.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import Protocol

QUIET_S = 5.0
"""A viewer that accepted no byte for longer gives its place to a newcomer from its own address."""
_MOST_LEAVING = 64
"""Condemned connections that have not ended yet; with so many, nobody else makes room."""

REPLACED = "replaced by a newer connection with its key"
MADE_ROOM = "stopped reading, and a new client from its address needed the place"


class Kind(Enum):
    """What a seat is for."""

    VIEWER = "viewer"
    WAITING = "waiting"
    """For one snapshot."""


class Refusal(Enum):
    """Why a client was not admitted; the values are in `/status`."""

    SERVER_FULL = "server full"
    ADDRESS_FULL = "address full"
    STOPPING = "stopping"


class Seated(Protocol):
    """A connection that has a seat, as far as admission looks at it."""

    sent_s: float
    """When it last accepted bytes (CLOCK_MONOTONIC)."""


class Seat:
    """One place, until `leave`, which any thread may call, and more than once."""

    __slots__ = ("_left", "bucket", "condemned", "key", "kind", "seated")

    def __init__(self, left: deque[Seat], kind: Kind, bucket: str, key: str) -> None:
        self._left = left
        self.kind = kind
        self.bucket = bucket
        """The address as limits count it; empty if it has no limit."""
        self.key = key
        self.condemned = ""
        """Why its connection has to end; nothing while it may stay."""
        self.seated: Seated | None = None
        """Its connection, once the fan-out has it."""

    def leave(self) -> None:
        """Give the place back.

        It takes no lock, because it may run in a garbage collection, at any allocation of any thread.
        """
        self._left.append(self)


class Admission:
    """All places. For any thread."""

    def __init__(
        self, *, most: int, most_per_address: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._clock = clock
        self._lock = threading.Lock()
        self._left: deque[Seat] = deque()
        self._seats: set[Seat] = set()
        self._leaving: set[Seat] = set()
        self._by_bucket: dict[str, set[Seat]] = {}
        self._by_key: dict[tuple[Kind, str], Seat] = {}
        self._refused: Counter[str] = Counter()

    def enter(self, kind: Kind, address: str, key: str = "") -> Seat | Refusal:
        """Take a place for somebody from `address`.

        A client with the `key` of a seat of the same kind replaces that one, even when all places are taken.
        When an address has used all of its places, its viewer that has accepted no byte for longest makes
        room, if that is longer than QUIET_S.
        """
        bucket = bucket_of(address)
        with self._lock:
            self._clear_away()
            former = self._by_key.get((kind, key)) if key else None
            leaving = {former: REPLACED} if former else {}
            if bucket and self._is_full(bucket) and not (former and former.bucket == bucket):
                quietest = self._quietest(bucket)
                if quietest is None:
                    return self._refuse(Refusal.ADDRESS_FULL)
                leaving[quietest] = MADE_ROOM
            most, taken = (_MOST_LEAVING, self._leaving) if leaving else (self._most, self._seats)
            if len(taken) >= most:
                return self._refuse(Refusal.SERVER_FULL)
            for seat, why in leaving.items():
                self._condemn(seat, why)
            return self._seat(kind, bucket, key)

    @property
    def places_taken(self) -> int:
        """How many places are taken, by viewers and by clients that wait for one frame."""
        with self._lock:
            self._clear_away()
            return len(self._seats)

    @property
    def refused(self) -> dict[str, int]:
        """How many were refused since the start, by reason."""
        with self._lock:
            return dict(self._refused)

    def _is_full(self, bucket: str) -> bool:
        return len(self._by_bucket.get(bucket, ())) >= self._most_per_address

    def _quietest(self, bucket: str) -> Seat | None:
        now_s = self._clock()
        quiet = [
            (seat.seated.sent_s, id(seat), seat)
            for seat in self._by_bucket[bucket]
            if seat.kind is Kind.VIEWER and seat.seated and now_s - seat.seated.sent_s > QUIET_S
        ]
        return min(quiet)[2] if quiet else None

    def _seat(self, kind: Kind, bucket: str, key: str) -> Seat:
        seat = Seat(self._left, kind, bucket, key)
        self._seats.add(seat)
        if bucket:
            self._by_bucket.setdefault(bucket, set()).add(seat)
        if key:
            self._by_key[kind, key] = seat
        return seat

    def _condemn(self, seat: Seat, why: str) -> None:
        self._forget(seat)
        self._leaving.add(seat)
        seat.condemned = why

    def _forget(self, seat: Seat) -> None:
        self._seats.discard(seat)
        neighbours = self._by_bucket.get(seat.bucket, set())
        neighbours.discard(seat)
        if not neighbours:
            self._by_bucket.pop(seat.bucket, None)
        if self._by_key.get((seat.kind, seat.key)) is seat:
            del self._by_key[seat.kind, seat.key]

    def _clear_away(self) -> None:
        while self._left:
            seat = self._left.popleft()
            self._leaving.discard(seat)
            self._forget(seat)

    def _refuse(self, refusal: Refusal) -> Refusal:
        self._refused[refusal.value] += 1
        return refusal


def bucket_of(address: str) -> str:
    """Return an address as limits count it: IPv6 by its /64, because a host has all addresses of one.

    Empty for addresses without a limit: this machine's own, and a Unix socket's. A proxy speaks for many.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    if plain.is_loopback:
        return ""
    if isinstance(plain, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(plain) >> 64 << 64, 64)))
    return str(plain)
