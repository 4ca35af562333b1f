# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from server_proc.live.freshness import Freshness, due, repeat_after_s, stale_after_s


@pytest.mark.parametrize(
    ("newest", "sent", "repeated", "quiet_s", "expected"),
    [
        (0, 0, False, 9.0, Freshness.WAIT),  # no frame yet
        (1, 0, False, 0.0, Freshness.LIVE),  # a viewer's first
        (8, 7, True, 9.0, Freshness.LIVE),
        (7, 7, False, 0.24, Freshness.WAIT),
        (7, 7, False, 0.25, Freshness.REPEAT),
        (7, 7, True, 9.0, Freshness.WAIT),  # once is enough
    ],
)
def test_what_a_viewer_is_due(
    newest: int, sent: int, repeated: bool, quiet_s: float, expected: Freshness
) -> None:
    assert expected is due(newest=newest, sent=sent, repeated=repeated, quiet_s=quiet_s, period_s=0.05)


def test_slow_cameras_are_given_time() -> None:
    assert repeat_after_s(0.05) == 0.25
    assert repeat_after_s(1.0) == 1.5
    assert stale_after_s(0.05) == 1.0
    assert stale_after_s(1.0) == 3.0
