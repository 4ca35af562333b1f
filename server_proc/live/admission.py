# SPDX-License-Identifier: MIT
"""Who may come in: places in all, and for each address. No socket and no thread of its own."""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from enum import Enum

QUIET_S = 5.0
"""A viewer that was sent nothing for longer gives its place to a newcomer from its own address."""


class Refusal(Enum):
    """Why somebody was not let in."""

    HOUSE_FULL = "house full"
    ADDRESS_FULL = "address full"


class Seat:
    """One place, until `leave`. It may be left more than once, and from any thread."""

    __slots__ = ("_admission", "address", "in_place_of_the_quietest", "key")

    def __init__(
        self, admission: Admission, address: str, key: str, *, in_place_of_the_quietest: bool
    ) -> None:
        self._admission: Admission | None = admission
        self.address = address
        self.key = key
        self.in_place_of_the_quietest = in_place_of_the_quietest
        """Whether the viewer of this address that has been quiet for longest must go for it."""

    def leave(self) -> None:
        """Give the place back."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.leave(self)


class Admission:
    """All places. For any thread."""

    def __init__(self, *, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._lock = threading.Lock()
        self._taken = 0
        self._by_address: Counter[str] = Counter()
        self._by_key: Counter[str] = Counter()

    def enter(self, address: str, key: str, quiet_s: float) -> Seat | Refusal:
        """Take a place for somebody from `address`.

        Who brings a `key` that somebody who was let in has takes that one's place. `quiet_s` is how long
        the quietest viewer of this address has been sent nothing; it must go where its address is full.
        """
        with self._lock:
            instead = False
            if not (key and self._by_key[key]):
                if self._taken >= self._most:
                    return Refusal.HOUSE_FULL
                if not is_loopback(address) and self._by_address[address] >= self._most_per_address:
                    if quiet_s <= QUIET_S:
                        return Refusal.ADDRESS_FULL
                    instead = True
            self._count(address, key, 1)
        return Seat(self, address, key, in_place_of_the_quietest=instead)

    def leave(self, seat: Seat) -> None:
        """Take a place back. For `Seat.leave`, which does it once."""
        with self._lock:
            self._count(seat.address, seat.key, -1)

    def _count(self, address: str, key: str, step: int) -> None:
        self._taken += step
        for counter, name in ((self._by_address, address), (self._by_key, key)):
            counter[name] += step
            if not counter[name]:
                del counter[name]


def is_loopback(address: str) -> bool:
    """Tell whether an address is this machine's own: a proxy there speaks for many."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)
