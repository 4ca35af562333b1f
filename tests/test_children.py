# SPDX-License-Identifier: MIT
"""How the supervisor follows the start of a capture process by what that says on its board."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from shm_ring.board import Reading
from shm_ring.status import CaptureStatus
from supervisor_proc.child import Child, Watch
from supervisor_proc.children import FIRST_STEP_S, capture_limits, follow_capture
from supervisor_proc.process import Program
from supervisor_proc.restart_policy import Limits, State, Timing
from tests.conditions import eventually
from tests.rows import capture_status


def said(at_s: float, **row: Any) -> Reading[CaptureStatus]:
    return Reading(capture_status(**row), round(at_s * 1e9))


@pytest.fixture
def starting() -> Child:
    """A capture process that was started at 100 s and does nothing."""
    child = Child(
        "capture",
        Program([sys.executable, "-c", "import time; time.sleep(60)"]),
        watch=Watch(lambda: 0, "frames", Limits(20.0, 3.0)),
        now_s=100.0,
        timing=Timing(),
    )
    child.tick(100.0)
    assert child.policy.state is State.STARTING
    return child


def end(child: Child) -> None:
    child.stop(0.0)

    def is_done() -> bool:
        child.tick(0.0)
        return child.policy.state is State.DONE

    eventually(is_done)


def test_each_step_of_a_start_has_its_own_limit(starting: Child, caplog: pytest.LogCaptureFixture) -> None:
    """Twenty seconds for all of it let a camera that hangs in its opening look as if it were importing; and a
    process that gives itself more than that, as from a cold SD card, was killed before its own alarm."""
    assert starting.policy.deadline_s == 120.0
    follow_capture(starting, said(105.0, step="importing", step_limit_s=30.0), 105.0)
    assert starting.policy.deadline_s == 105.0 + 30.0 + 1
    follow_capture(starting, said(110.0, step="opening", step_limit_s=10.0), 110.0)
    opened_by_s = 110.0 + 10.0 + 1
    assert starting.policy.deadline_s == opened_by_s
    follow_capture(starting, said(111.0, step="opening", step_limit_s=10.0), 111.0)
    assert starting.policy.deadline_s == opened_by_s, "it says so again, and got nowhere"
    starting.tick(opened_by_s)
    assert starting.policy.state is State.ABORTING
    assert "hung: no progress for 11 s (opening)" in caplog.text
    end(starting)


def test_the_first_frame_has_the_limit_of_its_camera(starting: Child) -> None:
    follow_capture(starting, said(102.0, step="first frame", step_limit_s=3.0), 102.0)
    assert starting.policy.deadline_s == 102.0 + 3.0 + 1
    end(starting)


def test_what_the_process_before_it_said_is_no_step_of_its_own(starting: Child) -> None:
    follow_capture(starting, said(99.0, step="first frame", stall_timeout_s=5.0, rest_s=6.0), 101.0)
    assert starting.policy.deadline_s == 120.0
    assert starting.policy.limits.progress_s == 6.0, "but its camera is the same"
    assert starting.policy.limits.rest_s == 6.0
    end(starting)


def test_a_process_that_says_no_step_has_the_time_of_all_of_them() -> None:
    assert capture_limits(2.0, 10.0) == Limits(20.0, 3.0)
    assert capture_limits(2.0, 60.0) == Limits(70.0, 3.0)
    assert capture_limits(2.0, 3.0).first_progress_s == FIRST_STEP_S
