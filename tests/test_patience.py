# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from server_proc.live.patience import Standing, gave_up

READ, NEVER_READ = 600 * 1024, 200 * 1024


@pytest.mark.parametrize(
    ("blocked", "silent", "half_closed", "quiet_s", "taken_bytes", "expected"),
    [
        (False, False, False, 9999.0, READ, ""),  # nothing was sent to it
        (True, False, False, 59.0, READ, ""),  # it pauses
        (True, False, False, 60.0, READ, "stopped reading for 60 s"),
        (True, False, False, 19.0, NEVER_READ, ""),
        (True, False, False, 20.0, NEVER_READ, "read nothing for 20 s"),  # its program hangs, or is an attack
        (True, True, False, 9.0, READ, ""),
        (
            True,
            True,
            False,
            10.0,
            READ,
            "its machine has not responded for 10 s",
        ),  # its machine is off, or out of reach
        (False, False, True, 5.0, READ, ""),
        (False, False, True, 5.15, READ, "closed its side of the connection"),
    ],
)
def test_when_and_why_a_viewer_is_disconnected(
    blocked: bool, silent: bool, half_closed: bool, quiet_s: float, taken_bytes: int, expected: str
) -> None:
    standing = Standing(
        quiet_s=quiet_s, blocked=blocked, silent=silent, half_closed=half_closed, taken_bytes=taken_bytes
    )
    assert gave_up(standing, 0.05) == expected
