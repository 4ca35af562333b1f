# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from server_proc.live.freshness import Freshness, due, repeat_after_s, stale_after_s

LIVE, REPEAT, PLACEHOLDER, WAIT = Freshness


@pytest.mark.parametrize(
    ("stale", "newest", "sent", "repeated", "quiet_s", "expected"),
    [
        (False, 1, 0, False, 0.0, LIVE),  # a viewer's first
        (False, 8, 7, True, 9.0, LIVE),
        (False, 7, 7, False, 0.24, WAIT),
        (False, 7, 7, False, 0.25, REPEAT),
        (False, 7, 7, True, 9.0, WAIT),  # once is enough
        (True, 7, 0, False, 0.0, PLACEHOLDER),  # it came too late for this one
        (True, 7, 7, False, 9.0, PLACEHOLDER),
        (True, 0, 0, False, 0.0, PLACEHOLDER),  # there never was one
    ],
)
def test_what_a_viewer_is_due(
    stale: bool, newest: int, sent: int, repeated: bool, quiet_s: float, expected: Freshness
) -> None:
    assert expected is due(
        stale=stale,
        newest=newest,
        sent=sent,
        repeated=repeated,
        quiet_s=quiet_s,
        period_s=0.05,
        placeholder=3,
        placeholder_sent=2,
    )


@pytest.mark.parametrize(("drawn", "sent", "expected"), [(0, 0, WAIT), (1, 0, PLACEHOLDER), (1, 1, WAIT)])
def test_each_placeholder_is_shown_once(drawn: int, sent: int, expected: Freshness) -> None:
    step = due(
        stale=True,
        newest=7,
        sent=7,
        repeated=False,
        quiet_s=9.0,
        period_s=0.05,
        placeholder=drawn,
        placeholder_sent=sent,
    )
    assert step is expected


def test_slow_cameras_are_given_time() -> None:
    assert repeat_after_s(0.05) == 0.25
    assert repeat_after_s(1.0) == 1.5
    assert stale_after_s(0.05) == 1.0
    assert stale_after_s(1.0) == 3.0
    assert stale_after_s(1.0, asked_s=0.5) == 0.5
