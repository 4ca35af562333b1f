# SPDX-License-Identifier: MIT
"""The outlook: what is known of a feed at one moment. Whether it is live is decided here and nowhere else.

The fan-out, `/status`, `/readyz`, snapshots and, by the server's board, `systemctl status` all ask it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from shm_ring.board import Reading
from shm_ring.frame import Frame
from shm_ring.status import CaptureStatus, SupervisorStatus


def is_live(age_s: float | None, stale_after_s: float) -> bool:
    """Tell whether a newest frame of this age is a live picture."""
    return age_s is not None and age_s < stale_after_s


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A placeholder that was drawn, ready to be sent as a picture."""

    jpeg: bytes
    drawn_ns: int
    """CLOCK_MONOTONIC."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Everything that is known of one camera at one moment."""

    began_ns: int = 0
    """When this process began to look (CLOCK_MONOTONIC)."""
    frame: Frame | None = None
    """The newest, however old it is."""
    is_newest: bool = True
    """Whether each new frame is taken at once: while nobody watches, the ring is only looked at now and
    then."""
    period_s: float = 0.05
    stale_after_s: float = 1.0
    """The age at which a frame no longer counts as live."""
    placeholder: Placeholder | None = None
    """None while there is a live picture, and while none is drawn yet."""
    capture: Reading[CaptureStatus] | None = None
    supervisor: Reading[SupervisorStatus] | None = None
    dropped_busy: int = 0
    dropped_too_big: int = 0

    def age_s(self, now_ns: int) -> float | None:
        """Return the age of the newest frame in seconds, None if there is none."""
        return None if self.frame is None else max(0, now_ns - self.frame.facts.captured_ns) / 1e9

    def is_live(self, now_ns: int) -> bool:
        """Tell whether there is a live picture."""
        return is_live(self.age_s(now_ns), self.stale_after_s)

    def without_live_s(self, now_ns: int) -> float:
        """Return for how many seconds there has been no new frame."""
        age_s = self.age_s(now_ns)
        return (now_ns - self.began_ns) / 1e9 if age_s is None else age_s

    def why_not_live(self, now_ns: int) -> str | None:
        """Return in words why there is no live picture, None if there is one."""
        if self.is_live(now_ns):
            return None
        age_s = self.age_s(now_ns)
        what = "no frame yet" if age_s is None else f"the newest frame is {age_s:.1f} s old"
        camera = self.supervisor.row.capture if self.supervisor else None
        state, reason = (camera.state, camera.last_reason) if camera else ("unknown", None)
        why = f": {camera.last_error}" if camera and state == "done" and camera.last_error else ""
        return f"{what}; camera process: {state}" + (f", last ended: {reason}{why}" if reason else "")
