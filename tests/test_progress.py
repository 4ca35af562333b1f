# SPDX-License-Identifier: MIT
from __future__ import annotations

import time
from dataclasses import replace

from capture_proc.options import CaptureOptions
from capture_proc.progress import Progress, first_row
from shm_ring.status import CaptureStatus, Step
from tests.rows import capture_status


def test_each_step_is_on_the_board_with_its_alarm() -> None:
    """What hung before the first frame was one thing for the supervisor, with one limit of 20 s."""
    rows: list[CaptureStatus] = []
    alarms: list[float] = []
    progress = Progress(rows.append, first_row(CaptureOptions(fps=10), None), alarms.append)
    progress.begin(Step.IMPORTING, 30)
    progress.say(rest_s=6.0)
    progress.begin(Step.OPENING, 10)
    assert [(row.step, row.step_limit_s, row.rest_s) for row in rows] == [
        (Step.IMPORTING, 30, 0.0),
        (Step.IMPORTING, 30, 6.0),
        (Step.OPENING, 10, 6.0),
    ]
    assert alarms == [30, 10]
    assert rows[0].step_since_ns < rows[2].step_since_ns <= time.monotonic_ns()
    assert (rows[0].period_s, rows[0].stall_timeout_s, rows[0].size) == (0.1, 2.0, None)


def test_what_the_process_before_knew_is_not_lost_when_this_one_ends_early() -> None:
    left = capture_status(
        name="slow camera", period_s=1.0, stall_timeout_s=8.0, remembered={"modes": []},
        restarted_for_identical=True, granted={"fps": 1}, dropped={"missed": 3},
    )  # fmt: skip
    row = first_row(CaptureOptions(), left)
    assert (row.name, row.period_s, row.stall_timeout_s) == ("slow camera", 1.0, 8.0)
    assert row.restarted_for_identical
    assert row.remembered == {"modes": []}
    assert (row.frames, row.dropped, row.granted, row.size) == (0, {}, None, None)
    assert first_row(CaptureOptions(), replace(row)).remembered == {"modes": []}
