# SPDX-License-Identifier: MIT
from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

from server_proc.live.admission import MADE_ROOM, REPLACED, Admission, Kind, Refusal, Seat, bucket_of
from server_proc.live.ticket import Ticket

PHONE, OTHER = "192.168.1.7", "192.168.1.8"


class Watching:
    """Whoever has a seat: it last took bytes at `sent_s`."""

    def __init__(self, sent_s: float) -> None:
        self.sent_s = sent_s


def places(most: int = 9, most_per_address: int = 9, now_s: float = 100.0) -> Admission:
    return Admission(most=most, most_per_address=most_per_address, clock=lambda: now_s)


def seat(
    admission: Admission,
    address: str = PHONE,
    key: str = "",
    kind: Kind = Kind.VIEWER,
    sent_s: float | None = None,
) -> Seat:
    found = admission.enter(kind, address, key)
    assert isinstance(found, Seat)
    if sent_s is not None:
        found.seated = Watching(sent_s)
    return found


def test_a_full_house_refuses_until_somebody_leaves() -> None:
    admission = places(most=2)
    first = seat(admission)
    seat(admission, OTHER)
    assert admission.enter(Kind.VIEWER, OTHER) is Refusal.SERVER_FULL
    first.leave()
    first.leave()
    seat(admission)
    assert admission.enter(Kind.VIEWER, PHONE) is Refusal.SERVER_FULL, "a place is given back once"
    assert admission.places_taken == 2
    assert admission.refused == {"server full": 2}


def test_an_address_has_its_own_limit_and_loopback_has_none() -> None:
    """One phone with zombies of Safari must not fill the house; a proxy on this machine speaks for many."""
    admission = places(most=20, most_per_address=2)
    for _ in range(2):
        seat(admission)
    assert admission.enter(Kind.VIEWER, PHONE) is Refusal.ADDRESS_FULL
    seat(admission, OTHER)
    for address in ("127.0.0.1", "::1", "unix"):
        for _ in range(4):
            seat(admission, address)


def test_all_addresses_of_an_ipv6_host_are_one() -> None:
    """A host has 2^64 of them, and would have as many places."""
    admission = places(most_per_address=2)
    seat(admission, "2001:db8::1")
    seat(admission, "2001:db8::2")
    assert admission.enter(Kind.VIEWER, "2001:db8::abcd:3") is Refusal.ADDRESS_FULL
    seat(admission, "2001:db8:0:1::1")


def test_the_quietest_of_an_address_makes_room_and_for_one_alone() -> None:
    """Two newcomers must not count on the same place."""
    admission = places(most_per_address=2)
    zombie, older_zombie = seat(admission, sent_s=94.0), seat(admission, sent_s=90.0)
    seat(admission)
    assert (zombie.condemned, older_zombie.condemned) == ("", MADE_ROOM)
    seat(admission)
    assert zombie.condemned == MADE_ROOM
    assert [admission.enter(Kind.VIEWER, PHONE) for _ in range(50)] == [Refusal.ADDRESS_FULL] * 50
    assert admission.places_taken == 2


def test_who_was_just_let_in_or_takes_bytes_makes_no_room() -> None:
    admission = places(most_per_address=2)
    seat(admission, sent_s=95.0)
    seat(admission)
    assert admission.enter(Kind.VIEWER, PHONE) is Refusal.ADDRESS_FULL


def test_who_waits_for_one_frame_neither_makes_room_nor_gets_in_beyond_the_limit() -> None:
    admission = places(most_per_address=1)
    seat(admission, kind=Kind.WAITING, sent_s=0.0)
    for kind in Kind:
        assert admission.enter(kind, PHONE) is Refusal.ADDRESS_FULL


def test_a_key_takes_its_ghosts_place_also_in_a_full_house() -> None:
    admission = places(most=1, most_per_address=1)
    ghost = seat(admission, key="car")
    assert admission.enter(Kind.VIEWER, OTHER, "other") is Refusal.SERVER_FULL
    again = seat(admission, OTHER, key="car")
    assert (ghost.condemned, again.condemned) == (REPLACED, "")
    ghost.leave()
    again.leave()
    seat(admission, key="car")


def test_a_key_replaces_its_own_kind_only() -> None:
    """A page's snapshots must not end its stream."""
    admission = places()
    viewer = seat(admission, key="car")
    waiting = seat(admission, key="car", kind=Kind.WAITING)
    assert (viewer.condemned, waiting.condemned) == ("", "")
    seat(admission, key="car", kind=Kind.WAITING)
    assert (viewer.condemned, waiting.condemned) == ("", REPLACED)


def test_requests_with_one_key_do_not_get_in_without_end() -> None:
    """1000 of 1000 did, when each counted on the place of the same ghost."""
    admission = places(most=2)
    found = [admission.enter(Kind.WAITING, PHONE, "x") for _ in range(1000)]
    assert admission.places_taken == 1
    assert found.count(Refusal.SERVER_FULL) == 1000 - 65, "65: the last, and those that are still to be ended"


def test_many_who_are_still_to_be_ended_do_not_take_the_free_places() -> None:
    """One client that replaces itself again and again kept everybody out."""
    admission = places(most=2)
    for _ in range(1000):
        admission.enter(Kind.WAITING, PHONE, "x")
    seat(admission, OTHER)
    assert admission.enter(Kind.VIEWER, OTHER) is Refusal.SERVER_FULL, "that was the last"


def test_a_key_does_not_lift_the_limit_of_another_address() -> None:
    admission = places(most_per_address=1)
    seat(admission)
    seat(admission, OTHER, key="car")
    assert admission.enter(Kind.VIEWER, PHONE, "car") is Refusal.ADDRESS_FULL


def test_two_keys_never_collide() -> None:
    """Two tablets with names of the same length threw each other out."""
    admission = places()
    living_room = seat(admission, key="客厅")
    seat(admission, key="厨房")
    assert living_room.condemned == ""


def test_a_seat_may_be_left_by_a_garbage_collection_inside_of_admission() -> None:
    """With a lock in `leave` this thread would wait for itself for ever."""
    admission = places(most=1000)

    def enter_and_lose() -> None:
        for _ in range(500):
            ticket: Any = Ticket(seat(admission, "::1"), lambda *_: None)
            ticket.itself = [ticket]  # found by the cyclic collector alone

    before = gc.get_threshold()
    gc.set_threshold(1)
    thread = threading.Thread(target=enter_and_lose, daemon=True)
    try:
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert admission.places_taken == 0


def test_places_are_right_whichever_threads_come_and_go() -> None:
    admission = places(most=8, most_per_address=8)
    most = 0

    def come_and_go() -> None:
        nonlocal most
        for number in range(300):
            found = admission.enter(Kind.VIEWER, f"10.0.0.{number % 5}", "k" * (number % 3))
            most = max(most, admission.places_taken)
            if isinstance(found, Seat):
                found.leave()
                found.leave()

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert admission.places_taken == 0
    assert 1 <= most <= 8


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", ""),
        ("127.8.8.8", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
        ("unix", ""),
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
def test_how_limits_count_an_address(address: str, expected: str) -> None:
    assert bucket_of(address) == expected
