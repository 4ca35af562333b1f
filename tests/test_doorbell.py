# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import select

from shm_ring.doorbell import Doorbell


def test_a_doorbell_is_readable_once_it_was_rung_however_often() -> None:
    bell = Doorbell.create()
    assert not select.select([bell], [], [], 0)[0]
    for _ in range(3):
        bell.ring()
    assert select.select([bell], [], [], 0)[0] == [bell]


def test_ringing_never_waits_even_when_nobody_listens() -> None:
    """A counter that is full must not stop the camera."""
    bell = Doorbell.create()
    os.eventfd_write(bell.fileno(), 2**64 - 2)
    bell.ring()
    assert select.select([bell], [], [], 0)[0] == [bell]


def test_it_is_not_inherited_unless_passed_on() -> None:
    assert not os.get_inheritable(Doorbell.create().fileno())
