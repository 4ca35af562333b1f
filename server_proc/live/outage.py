# SPDX-License-Identifier: MIT
"""What the placeholder says: that there is no live picture, since when, what is being done. Pure."""

from __future__ import annotations

from shm_ring.board import Reading
from shm_ring.status import ChildStatus, SupervisorStatus

OLD_BOARD_S = 3.0
"""A board that the supervisor has not written for longer is out of date."""


def headline(since_s: float, *, had_frames: bool) -> str:
    """Return what is wrong, and since when."""
    return f"{'NO LIVE VIDEO' if had_frames else 'NO VIDEO YET'} · {_in_words(since_s)}"


def remedy(supervisor: Reading[SupervisorStatus] | None, now_ns: int) -> str:
    """Return what is being done about it; empty if the supervisor's board does not say."""
    if supervisor is None or supervisor.age_s(now_ns) > OLD_BOARD_S:
        return ""
    camera = supervisor.row.capture
    tries = f", try {camera.tries}" if camera.tries > 1 else ""
    again = "restarted" if sum(camera.restarts.values()) else "started"
    return {
        "starting": f"camera is being {again}{tries}",
        "running": "camera gives no new picture",
        "stopping": "camera is being stopped",
        "aborting": "camera hangs and is being killed",
        "killing": "camera hangs and is being killed",
        "stuck": "camera driver hangs, a reboot may be needed",
        "backoff": _next_try(camera, now_ns),
        "done": camera.last_error or "camera is switched off",
    }.get(camera.state, "")


def _next_try(camera: ChildStatus, now_ns: int) -> str:
    at_ns = camera.next_start_ns
    wait_s = 0 if at_ns is None else max(0, at_ns - now_ns) / 1e9
    what = "no camera found" if str(camera.last_reason).startswith("no camera") else "camera stopped"
    return f"{what}, next try in {_in_words(wait_s)}" if wait_s >= 1 else "camera is being restarted"


def _in_words(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
