# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from server_proc.live.freshness import Freshness, due, repeat_after_s, stale_after_s

LIVE, REPEAT, PLACEHOLDER, WAIT = Freshness


@pytest.mark.parametrize(
    ("live", "is_new", "last", "quiet_s", "expected"),
    [
        (True, True, WAIT, 0.0, LIVE),  # a viewer's first
        (True, True, REPEAT, 9.0, LIVE),
        (True, False, LIVE, 0.24, WAIT),
        (True, False, LIVE, 0.25, REPEAT),
        (True, False, REPEAT, 0.99, WAIT),
        (True, False, REPEAT, 1.0, REPEAT),  # motion gives up after three seconds without a part
        (True, False, PLACEHOLDER, 1.0, REPEAT),
        (False, True, WAIT, 0.0, PLACEHOLDER),  # it came too late for this one, or there never was one
        (False, False, LIVE, 9.0, PLACEHOLDER),
    ],
)
def test_what_a_viewer_is_due(
    live: bool, is_new: bool, last: Freshness, quiet_s: float, expected: Freshness
) -> None:
    assert expected is due(
        live=live,
        is_new=is_new,
        last=last,
        quiet_s=quiet_s,
        period_s=0.05,
        placeholder=3,
        placeholder_sent=2,
    )


@pytest.mark.parametrize(("drawn", "sent", "expected"), [(0, 0, WAIT), (1, 0, PLACEHOLDER), (1, 1, WAIT)])
def test_each_placeholder_is_shown_once(drawn: int, sent: int, expected: Freshness) -> None:
    step = due(
        live=False,
        is_new=False,
        last=LIVE,
        quiet_s=9.0,
        period_s=0.05,
        placeholder=drawn,
        placeholder_sent=sent,
    )
    assert step is expected


@pytest.mark.parametrize(
    ("is_new", "quiet_s", "expected"), [(True, 0.0, REPEAT), (False, 0.9, WAIT), (False, 1.0, REPEAT)]
)
def test_who_wants_no_placeholder_is_never_shown_one(
    is_new: bool, quiet_s: float, expected: Freshness
) -> None:
    step = due(
        live=False,
        is_new=is_new,
        last=LIVE,
        quiet_s=quiet_s,
        period_s=0.05,
        wants_placeholder=False,
        placeholder=3,
        placeholder_sent=2,
    )
    assert step is expected


def test_slow_cameras_are_given_time_and_their_viewers_something_each_second() -> None:
    assert repeat_after_s(0.05) == 0.25
    assert repeat_after_s(0.4) == pytest.approx(0.6)
    assert repeat_after_s(10.0) == 1.0
    assert stale_after_s(0.05) == 1.0
    assert stale_after_s(1.0) == 3.0
    assert stale_after_s(0.05, asked_s=0.5) == 0.5
    assert stale_after_s(1.0, asked_s=0.5) == 2.0, "not between two frames of a healthy camera"
