# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from server_proc.live.freshness import Freshness, due, gave_up, repeat_after_s, stale_after_s


@pytest.mark.parametrize(
    ("newest", "sent", "repeated", "age_s", "quiet_s", "expected"),
    [
        (1, 0, False, 0.1, 0.0, Freshness.LIVE),  # a viewer's first
        (8, 7, True, 0.1, 9.0, Freshness.LIVE),
        (7, 7, False, 0.3, 0.24, Freshness.WAIT),
        (7, 7, False, 0.3, 0.25, Freshness.REPEAT),
        (7, 7, True, 0.5, 9.0, Freshness.WAIT),  # once is enough
        (7, 0, False, 1.0, 0.0, Freshness.WAIT),  # it came too late for this one
        (7, 7, False, 1.0, 9.0, Freshness.WAIT),
    ],
)
def test_what_a_viewer_is_due(
    newest: int, sent: int, repeated: bool, age_s: float, quiet_s: float, expected: Freshness
) -> None:
    assert expected is due(
        newest=newest, sent=sent, repeated=repeated, age_s=age_s, quiet_s=quiet_s, period_s=0.05
    )


def test_slow_cameras_are_given_time() -> None:
    assert repeat_after_s(0.05) == 0.25
    assert repeat_after_s(1.0) == 1.5
    assert stale_after_s(0.05) == 1.0
    assert stale_after_s(1.0) == 3.0


@pytest.mark.parametrize(
    ("blocked", "half_closed", "quiet_s", "expected"),
    [
        (False, False, 9999.0, False),
        (True, False, 59.0, False),  # it pauses
        (True, False, 60.0, True),
        (False, True, 5.0, False),
        (False, True, 5.15, True),
    ],
)
def test_when_a_viewer_is_let_go(blocked: bool, half_closed: bool, quiet_s: float, expected: bool) -> None:
    assert expected is gave_up(blocked=blocked, half_closed=half_closed, quiet_s=quiet_s, period_s=0.05)
