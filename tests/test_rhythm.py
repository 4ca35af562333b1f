# SPDX-License-Identifier: MIT
from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from capture_proc.rhythm import Rhythm


def periods(intervals_s: Iterable[float], nominal_s: float = 0.05) -> list[float]:
    """Return what is expected after each frame."""
    rhythm, expected = Rhythm(nominal_s), []
    for now_s in itertools.accumulate(intervals_s, initial=100.0):
        rhythm.frame(now_s)
        expected.append(round(rhythm.period_s, 3))
    return expected


def test_a_rhythm_counts_when_five_intervals_have_kept_it() -> None:
    assert periods([0.05] * 5 + [1.25] * 6) == [0.05] * 10 + [1.25] * 2


def test_the_shortest_of_them_counts() -> None:
    assert periods([1.0, 1.2, 1.1, 1.3, 0.9])[-1] == 0.9


def test_a_camera_that_grows_quick_again_is_expected_to_be_at_once() -> None:
    assert periods([1.25] * 6 + [0.05])[-2:] == [1.25, 0.05]


@pytest.mark.parametrize(
    "intervals_s",
    [[0.05, 0.1, 0.3, 0.8, 1.9, 1.9], [0.05] * 20 + [1.9], [0.05, 1.9] * 10, [1.5, 0.4, 1.5, 1.5, 0.4, 1.5]],
    ids=["slower and slower", "one gap", "in bursts", "irregular"],
)
def test_a_dying_camera_buys_itself_no_time(intervals_s: list[float]) -> None:
    assert periods(intervals_s)[-1] == 0.05


def test_a_little_slower_is_the_cameras_own_rate() -> None:
    assert periods([0.06] * 10)[-1] == 0.05
