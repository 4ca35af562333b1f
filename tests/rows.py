# SPDX-License-Identifier: MIT
"""Rows of boards as they are while all is well; a test says what differs."""

from __future__ import annotations

from typing import Any

from shm_ring.status import CaptureStatus, ChildStatus, ServerStatus, SupervisorStatus


def child_status(**differs: Any) -> ChildStatus:
    """Return the row of a child that runs."""
    usual = {
        "state": "running", "since_ns": 0, "stuck": False, "pid": 7, "watches": "new frames", "limit_s": 2.0,
        "tries": 0, "restarts": {}, "last_reason": None, "last_error": None,
        "last_recovery_s": None, "recoveries_s": {},
        "next_start_ns": None,
    }  # fmt: skip
    return ChildStatus(**{**usual, **differs})


def supervisor_status(**capture: Any) -> SupervisorStatus:
    """Return the supervisor's row; `capture` says what differs of the capture process."""
    return SupervisorStatus(pid=5, capture=child_status(**capture), server=child_status())


def capture_status(**differs: Any) -> CaptureStatus:
    """Return the row of a camera with 20 frames a second."""
    usual = {
        "name": "fake", "size": (640, 480), "period_s": 0.05, "fps": 20.0, "frames": 100, "dropped": {},
        "stall_timeout_s": 2.0, "first_frame_timeout_s": 10.0, "identical_s": 0.0,
        "restarted_for_identical": False, "squeezed": 0,
    }  # fmt: skip
    return CaptureStatus(**{**usual, **differs})


def server_status(**differs: Any) -> ServerStatus:
    """Return the row of a server that nobody watches."""
    usual = {"pid": 6, "alive_ns": 1, "live": True, "offered": 100, "offer_every_s": 1.0, "viewers": 0}
    return ServerStatus(**{**usual, **differs})
