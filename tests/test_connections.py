# SPDX-License-Identifier: MIT
"""Which connection goes when there are too many, or when its time is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from server_proc.takeover import connections
from server_proc.takeover.connections import MOST, MOST_PER_ADDRESS, Connections
from tests.fakes import FakeClock

PHONE, TABLET = "192.0.2.7", "192.0.2.8"


@dataclass
class FakeKept:
    """A connection whose state the test sets."""

    connections: Connections
    fd: int
    bucket: str
    active_s: float = 0.0
    is_idle: bool = True
    will_close: bool = False
    ends_s: float = float("inf")

    def is_overdue(self, now_s: float) -> bool:
        return now_s > self.ends_s

    def handle_close(self) -> None:
        del self.connections.open[self.fd]


Fill = Callable[..., list[FakeKept]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def those(clock: FakeClock) -> Connections:
    return Connections(lambda address: address == "192.0.2.1", lambda: clock.now_ns / 1e9)


@pytest.fixture
def fill(those: Connections) -> Fill:
    """Open connections; each was active a second after the one before it."""

    def fill(count: int, bucket: str = "", *, is_idle: bool = True) -> list[FakeKept]:
        first = len(those.open)
        opened = [
            FakeKept(those, fd, bucket, active_s=float(fd), is_idle=is_idle)
            for fd in range(first, first + count)
        ]
        those.open.update({one.fd: one for one in opened})
        return opened

    return fill


def condemned(those: Connections) -> list[int]:
    return [fd for fd, one in those.open.items() if one.will_close]


def test_an_address_with_too_many_loses_its_oldest_idle_one(those: Connections, fill: Fill) -> None:
    """One client that kept 256 connections alive would shut the port for everybody else."""
    fill(3, TABLET)
    phones = fill(MOST_PER_ADDRESS, PHONE)
    phones[0].is_idle = False
    assert those.make_room(PHONE)
    assert condemned(those) == [phones[1].fd]
    fill(1, PHONE)
    assert those.make_room(PHONE), "the next one goes, not the condemned one again"
    assert condemned(those) == [phones[1].fd, phones[2].fd]


def test_an_address_below_its_limit_takes_nothing_from_anybody(those: Connections, fill: Fill) -> None:
    fill(MOST_PER_ADDRESS - 1, PHONE)
    assert those.make_room(PHONE)
    assert not condemned(those)


def test_an_address_whose_connections_are_all_busy_gets_no_more(
    those: Connections, fill: Fill, caplog: pytest.LogCaptureFixture
) -> None:
    fill(1, TABLET)
    phones = fill(MOST_PER_ADDRESS, PHONE, is_idle=False)
    assert not those.make_room(PHONE)
    assert not those.make_room(PHONE)
    assert not condemned(those), "nobody else makes room for it"
    assert those.make_room(TABLET)
    assert len(caplog.records) == 1
    assert PHONE in caplog.text
    phones[5].is_idle = True
    assert those.make_room(PHONE)
    assert condemned(those) == [phones[5].fd]


def test_an_ipv6_host_is_one_address_with_all_of_its_own(those: Connections, fill: Fill) -> None:
    fill(MOST_PER_ADDRESS, "2001:db8::/64")
    assert those.make_room("2001:db8::1234")
    assert len(condemned(those)) == 1
    assert those.make_room("2001:db8:0:1::1")
    assert len(condemned(those)) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "unix"])
def test_this_machine_has_no_limit_of_its_own(those: Connections, fill: Fill, address: str) -> None:
    fill(MOST - 1)
    assert those.make_room(address)
    assert not condemned(those)


def test_a_trusted_proxy_has_no_limit_of_its_own(those: Connections, fill: Fill) -> None:
    """It speaks for many."""
    fill(MOST - 1, "192.0.2.1", is_idle=False)
    assert those.make_room("192.0.2.1")
    assert not condemned(those)


def test_the_oldest_idle_one_of_all_goes_when_all_places_are_taken(those: Connections, fill: Fill) -> None:
    """Waitress would let nobody in."""
    fill(1, is_idle=False)
    tablet, *_ = fill(1, TABLET)
    fill(MOST - 2)
    assert those.has_room()
    assert those.make_room(PHONE)
    assert condemned(those) == [tablet.fd]


def test_one_that_makes_room_in_its_address_makes_it_for_all(
    those: Connections, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 10)
    monkeypatch.setattr(connections, "MOST_PER_ADDRESS", 5)
    fill(5)
    phones = fill(5, PHONE)
    assert those.make_room(PHONE)
    assert condemned(those) == [phones[0].fd]


def test_nobody_is_let_in_while_all_are_busy(those: Connections, fill: Fill) -> None:
    busy = fill(MOST, is_idle=False)
    assert not those.has_room()
    assert not those.make_room(PHONE)
    busy[7].will_close = True
    assert those.has_room(), "one is about to end"
    assert those.make_room(PHONE)


def test_the_condemned_and_the_overdue_are_closed(those: Connections, fill: Fill, clock: FakeClock) -> None:
    stays, overdue, sent_away = fill(3)
    overdue.ends_s = clock.now_ns / 1e9 + 10
    sent_away.will_close = True
    those.tend()
    assert list(those.open) == [stays.fd, overdue.fd]
    clock.sleep(10.5)
    those.tend()
    assert list(those.open) == [stays.fd]
