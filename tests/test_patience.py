# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from server_proc.live.patience import Standing, gave_up

READ, NEVER_READ = 600 * 1024, 200 * 1024


@pytest.mark.parametrize(
    ("blocked", "silent", "half_closed", "quiet_s", "taken_bytes", "expected"),
    [
        (False, False, False, 9999.0, READ, False),  # nothing was sent to it
        (True, False, False, 59.0, READ, False),  # it pauses
        (True, False, False, 60.0, READ, True),
        (True, False, False, 19.0, NEVER_READ, False),
        (True, False, False, 20.0, NEVER_READ, True),  # its program hangs, or is an attack
        (True, True, False, 9.0, READ, False),
        (True, True, False, 10.0, READ, True),  # its machine is off, or out of reach
        (False, False, True, 5.0, READ, False),
        (False, False, True, 5.15, READ, True),
    ],
)
def test_when_a_viewer_is_let_go(
    blocked: bool, silent: bool, half_closed: bool, quiet_s: float, taken_bytes: int, expected: bool
) -> None:
    standing = Standing(
        quiet_s=quiet_s, blocked=blocked, silent=silent, half_closed=half_closed, taken_bytes=taken_bytes
    )
    assert gave_up(standing, 0.05) is expected
