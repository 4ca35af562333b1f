# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from capture_proc.fitting import Quality


def test_it_falls_in_steps_to_a_floor() -> None:
    quality, seen = Quality(80), []
    while quality.lower():
        seen.append(quality.now)
    assert seen == [65, 50, 35, 20, 10]


@pytest.mark.parametrize("asked", [1, 10])
def test_what_was_asked_for_may_be_the_floor(asked: int) -> None:
    quality = Quality(asked)
    assert not quality.lower()
    assert quality.now == asked


def test_it_returns_slowly_and_not_above_what_was_asked_for() -> None:
    quality = Quality(80)
    quality.lower()
    seen = []
    for _ in range(200):
        quality.fitted(0.3)
        seen.append(quality.now)
    assert sorted(set(seen)) == [65, 70, 75, 80]
    assert seen == sorted(seen)
    assert seen.count(70) == 40


def test_frames_that_nearly_fill_their_slots_hold_it_down() -> None:
    """A step up would be encoded twice each time."""
    quality = Quality(80)
    quality.lower()
    for part in (*[0.3] * 39, 0.7) * 5:
        quality.fitted(part)
    assert quality.now == 65
