# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import pytest

from server_proc.live.outage import headline, remedy
from shm_ring.board import Reading
from shm_ring.status import SupervisorStatus
from tests.rows import supervisor_status

S = 10**9


def board(**camera: Any) -> Reading[SupervisorStatus]:
    return Reading(supervisor_status(**camera), 100 * S)


@pytest.mark.parametrize(
    ("since_s", "had_frames", "expected"),
    [
        (7.9, True, "NO LIVE VIDEO · 7 s"),
        (0.2, False, "NO VIDEO YET · 0 s"),
        (61.0, True, "NO LIVE VIDEO · 1 min 1 s"),
        (7300.0, True, "NO LIVE VIDEO · 2 h 1 min"),
    ],
)
def test_what_is_the_matter_and_since_when(since_s: float, had_frames: bool, expected: str) -> None:
    assert headline(since_s, had_frames=had_frames) == expected


@pytest.mark.parametrize(
    ("camera", "expected"),
    [
        ({"state": "starting", "tries": 1}, "camera is being started"),
        ({"state": "starting", "tries": 1, "restarts": {"stalled": 1}}, "camera is being restarted"),
        ({"state": "starting", "tries": 2, "restarts": {"stalled": 2}}, "camera is being restarted, try 2"),
        ({"state": "running"}, "camera gives no new picture"),
        ({"state": "killing"}, "camera hangs and is being killed"),
        ({"state": "stuck"}, "camera driver hangs, a reboot may be needed"),
        ({"state": "done"}, "camera is switched off"),
        ({"state": "done", "last_error": "no such control"}, "no such control"),
        ({"state": "backoff", "next_start_ns": 100 * S}, "camera is being restarted"),
        ({"state": "backoff", "next_start_ns": 104 * S}, "camera stopped, next try in 4 s"),
        (
            {"state": "backoff", "next_start_ns": 116 * S, "last_reason": "no camera (exit 69)"},
            "no camera found, next try in 16 s",
        ),
    ],
)
def test_what_is_being_done_is_what_the_supervisor_says(camera: dict[str, Any], expected: str) -> None:
    assert remedy(board(**camera), 100 * S) == expected


def test_nothing_is_said_of_what_nobody_says() -> None:
    """A cause that is guessed sends people to the wrong place."""
    assert remedy(None, 100 * S) == ""
    assert remedy(board(), 104 * S) == "", "the supervisor has stopped"
    assert remedy(board(state="another"), 100 * S) == ""
