# SPDX-License-Identifier: MIT
"""What a capture process says of itself, and the alarm by which it ends when it is stuck."""

from __future__ import annotations

import faulthandler
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from capture_proc.options import (
    DEFAULT_FPS,
    CaptureOptions,
    first_frame_timeout_or_default,
    stall_timeout_or_default,
)
from proc_start.logs import STDERR
from shm_ring.status import CaptureStatus, Step

_STUCK_MARGIN_S = 0.35
"""A loop that is not stuck ends at its limit by itself, and says why."""


def end_when_stuck(within_s: float) -> None:
    """Let this process print its stacks and end, exit 1, unless it is called again `within_s`.

    faulthandler does it in a thread in C, whatever holds the interpreter.
    """
    faulthandler.dump_traceback_later(within_s + _STUCK_MARGIN_S, exit=True, file=STDERR)


class Progress:
    """The process's row on its board, and its alarm. For the main thread."""

    def __init__(
        self,
        write: Callable[[CaptureStatus], None],
        row: CaptureStatus,
        arm: Callable[[float], None] = end_when_stuck,
    ) -> None:
        """Take what writes the board, its first row, and what sets the alarm.

        `arm` is called with the seconds after which the process is stuck unless it is called again.
        """
        self.write = write
        self.row = row
        """What is known so far."""
        self.arm = arm

    def begin(self, step: Step, limit_s: float) -> None:
        """Begin a step, and end the process if the next one has not begun within `limit_s`."""
        self.arm(limit_s)
        self.say(step=step, step_since_ns=time.monotonic_ns(), step_limit_s=limit_s)

    def say(self, **facts: Any) -> None:
        """Put facts on the board, beside what is known already."""
        self.row = replace(self.row, **facts)
        self.write(self.row)


def first_row(options: CaptureOptions, left_behind: CaptureStatus | None) -> CaptureStatus:
    """Return what is known before anything is imported: what the process before left, else what options tell.

    The server and the supervisor go on with the limits of that camera until it is open again.
    """
    period_s = 1 / (options.fps or DEFAULT_FPS)
    stall_s = stall_timeout_or_default(options.stall_timeout_s, period_s)
    of_options = CaptureStatus(
        pid=os.getpid(),
        step=Step.IMPORTING,
        step_since_ns=time.monotonic_ns(),
        step_limit_s=0.0,
        rest_s=0.0,
        name=options.camera,
        size=None,
        period_s=period_s,
        nominal_period_s=period_s,
        fps=0.0,
        frames=0,
        dropped={},
        squeezed=0,
        stall_timeout_s=stall_s,
        first_frame_timeout_s=first_frame_timeout_or_default(options.first_frame_timeout_s, stall_s),
        identical_s=0.0,
        restarted_for_identical=False,
    )
    if left_behind is None:
        return of_options
    return replace(
        of_options,
        name=left_behind.name,
        period_s=left_behind.period_s,
        nominal_period_s=left_behind.nominal_period_s,
        stall_timeout_s=left_behind.stall_timeout_s,
        first_frame_timeout_s=left_behind.first_frame_timeout_s,
        restarted_for_identical=left_behind.restarted_for_identical,
        remembered=left_behind.remembered,
    )
