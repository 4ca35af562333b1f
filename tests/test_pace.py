# SPDX-License-Identifier: MIT
from __future__ import annotations

from capture_proc.pace import Pace
from tests.fakes import FakeClock


def test_pictures_are_due_one_period_apart() -> None:
    clock = FakeClock(10)
    pace = Pace(0.05, clock)
    due = [pace.wait(1.0) for _ in range(4)]
    assert due == [10_000_000_000, 10_050_000_000, 10_100_000_000, 10_150_000_000]


def test_waiting_ends_at_the_time_limit() -> None:
    clock = FakeClock(10)
    pace = Pace(1.0, clock)
    pace.wait(0.1)
    assert pace.wait(0.1) is None
    assert clock.now_ns == 10_100_000_000


def test_missed_pictures_are_skipped_and_not_made_up_for() -> None:
    """A camera that was held up must not send a burst of old pictures."""
    clock = FakeClock(10)
    pace = Pace(0.1, clock)
    pace.wait(1.0)
    clock.sleep(0.55)
    first, second = pace.wait(1.0), pace.wait(1.0)
    assert (first, second) == (10_500_000_000, 10_600_000_000)
