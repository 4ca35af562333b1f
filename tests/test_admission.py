# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from server_proc.live.admission import Admission, Refusal, Seat, is_loopback

PHONE, OTHER = "192.168.1.7", "192.168.1.8"


def seat(admission: Admission, address: str = PHONE, key: str = "", quiet_s: float = 0.0) -> Seat:
    found = admission.enter(address, key, quiet_s)
    assert isinstance(found, Seat)
    return found


def test_a_full_house_refuses_until_somebody_leaves() -> None:
    admission = Admission(most=2, most_per_address=9)
    first = seat(admission)
    seat(admission, OTHER)
    assert admission.enter(OTHER, "", 99.0) is Refusal.HOUSE_FULL
    first.leave()
    first.leave()
    seat(admission)
    assert admission.enter(PHONE, "", 0.0) is Refusal.HOUSE_FULL, "a place is given back once"


def test_an_address_has_its_own_limit_and_loopback_has_none() -> None:
    """One phone with zombies of Safari must not fill the house; a proxy on this machine speaks for many."""
    admission = Admission(most=9, most_per_address=2)
    for _ in range(2):
        seat(admission)
    assert admission.enter(PHONE, "", 5.0) is Refusal.ADDRESS_FULL
    seat(admission, OTHER)
    for _ in range(4):
        seat(admission, "127.0.0.1")


def test_a_newcomer_takes_the_place_of_a_quiet_one_of_its_address() -> None:
    admission = Admission(most=9, most_per_address=1)
    zombie = seat(admission)
    newcomer = seat(admission, quiet_s=5.1)
    assert newcomer.in_place_of_the_quietest
    zombie.leave()
    assert admission.enter(PHONE, "", 0.0) is Refusal.ADDRESS_FULL
    newcomer.leave()
    assert not seat(admission).in_place_of_the_quietest


def test_a_key_takes_its_ghosts_place_also_in_a_full_house() -> None:
    admission = Admission(most=1, most_per_address=1)
    ghost = seat(admission, key="car")
    assert admission.enter(OTHER, "other", 0.0) is Refusal.HOUSE_FULL
    again = seat(admission, OTHER, key="car")
    ghost.leave()
    again.leave()
    seat(admission, key="car")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("x", False),
    ],
)
def test_what_this_machine_itself_is(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected
