# SPDX-License-Identifier: MIT
"""The faults that must not cost a viewer more than some time, made by the documented drills, and measured.

For the tests, which hold each to its bound, and for `make bench-recovery`, which writes what it found.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from supervisor_proc.children import OPENING_S
from tests.conditions import eventually
from tests.drilling import drill
from tests.knocking import Knocker
from tests.mjpeg import Audience, Seen, StreamViewer
from tests.running import Ringcast

STALL_S = 2.0
STALE_S = 1.0
IDENTICAL_S = 10.0
_QUIET_S = 0.25
"""No frame for so long is a fault and not a late one: five frame periods."""
_LIFE_FRAMES = 25
"""At 20 a second: a life that pays for its failure lasts longer than four times the first wait of 0.25 s."""
FLAPPING = "camera-crash every 6 s, 12 times"
FLAPPING_WITHIN_S = 1.0
HANG_WHILE_OPENING = "hang while opening"
OPENING_WITHIN_S = OPENING_S + 3.0
"""The limit of the opening, and a start."""
_CRASHED = "capture ended: killed by SIGSEGV; next start"


@dataclass(frozen=True, slots=True)
class Row:
    """A fault, and within how many seconds a viewer must have a new frame."""

    fault: str
    """As `supervisor_proc.drill` knows it."""
    within_s: float
    reason: str
    """What the log must give as the reason of the restart."""
    frames_flow_on: bool = False
    """Until the process is ended for its fault."""

    @property
    def child(self) -> str:
        """The process that fails."""
        return "server" if self.fault.startswith("server") else "capture"


ROWS = (
    Row("capture-kill", 1.0, "killed by SIGKILL"),
    Row("camera-crash", 1.0, "killed by SIGSEGV"),
    Row("camera-raise", 1.0, "failed (exit 70)"),
    Row("camera-exit-0", 1.0, "as asked (exit 0)"),
    Row("camera-hang", STALL_S + 1.5, "stalled (exit 75)"),
    Row("camera-block", STALL_S + 1.5, "hung (exit 1)"),
    Row("camera-same-picture", STALL_S + 1.5, "stalled (exit 75)"),
    Row("camera-encoder-stuck", STALL_S + 1.5, "hung (exit 1)"),
    Row("camera-truncated", STALL_S + 1.5, "stalled (exit 75)"),
    Row("camera-hold-interpreter", STALL_S + 3.0, "hung (exit 1)"),
    Row("capture-freeze", STALL_S + 3.0, "hung: no progress for 3 s"),
    Row("camera-frozen-scene", IDENTICAL_S + 2.0, "identical pictures (exit 65)", frames_flow_on=True),
    Row("camera-ignore-sigterm", STALL_S + 3.0, "restart asked for", frames_flow_on=True),
    Row("server-kill", 1.5, "killed by SIGKILL"),
    Row("server-freeze", 8.0, "hung: no progress for 5 s"),
    Row("server-loop", 8.0, "hung: no progress for 5 s", frames_flow_on=True),
    Row("server-worker", 8.0, "hung: no progress for 5 s", frames_flow_on=True),
)
PRINT_STACKS = (
    "camera-block",
    "camera-encoder-stuck",
    "camera-hold-interpreter",
    "server-loop",
    "server-worker",
)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a viewer saw of a fault."""

    took_s: float
    """Without a new frame; where frames flowed on at first, since the fault was ordered."""
    placeholder_after_s: float | None
    """From the last new frame to the first placeholder."""
    longest_silence_s: float
    """Without any part: frame, repeat or placeholder."""
    connections: int
    """How many the viewer needed."""
    refused: int
    """How many of those were refused who knocked every few milliseconds."""


def recover(service: Ringcast, row: Row) -> Recovery:
    """Make a fault on a service that is ready, and wait until a viewer of it has a new frame again.

    The viewer keeps its one connection, unless the server itself ends: then it opens another at once, as the
    page does.
    """
    knocker = Knocker(service.port)
    with Audience(service.port, 1, reconnects=row.child == "server") as audience:
        (viewer,) = audience.viewers
        eventually(lambda: len(viewer.frames) > _LIFE_FRAMES, what="frames before the fault")
        ordered_s = _make(service, row.fault)
        ended = f"{row.child} ended: {row.reason}; next start"
        eventually(lambda: ended in service.log, row.within_s + 5, f"{ended!r} in the log")
        ended_s = time.monotonic()
        sides = eventually(
            lambda: _gap(viewer.frames, ended_s), row.within_s + 5, "new frames after the fault"
        )
        assert sides is not None
        last, first = sides
        knocker.end()
        audience.check()
        placeholders = [seen.at_s for seen in viewer.seen if seen.freshness == "placeholder"]
        return Recovery(
            took_s=first.at_s - min(last.at_s, ordered_s),
            placeholder_after_s=min(placeholders) - last.at_s if placeholders else None,
            longest_silence_s=max(two.at_s - one.at_s for one, two in itertools.pairwise(viewer.seen)),
            connections=viewer.connections,
            refused=len(knocker.refused),
        )


def recover_again_and_again(service: Ringcast, *, crashes: int, every_s: float) -> Recovery:
    """Let the camera of a service that is ready crash so often; return the worst of what a viewer saw."""
    knocker = Knocker(service.port)
    with Audience(service.port, 1) as audience:
        (viewer,) = audience.viewers
        gaps = [_after_a_life(service, viewer, every_s) for _ in range(crashes)]
        knocker.end()
        audience.check()
        placeholders = [seen.at_s for seen in viewer.seen if seen.freshness == "placeholder"]
        after_s = [
            at_s - last.at_s for last, first in gaps for at_s in placeholders if last.at_s < at_s < first.at_s
        ]
        return Recovery(
            took_s=max(first.at_s - last.at_s for last, first in gaps),
            placeholder_after_s=min(after_s, default=None),
            longest_silence_s=max(two.at_s - one.at_s for one, two in itertools.pairwise(viewer.seen)),
            connections=viewer.connections,
            refused=len(knocker.refused),
        )


def recover_from_hang_while_opening(service: Ringcast, hangs: Path) -> Recovery:
    """Kill the capture process of a `HangingOpenCamera`; its successor hangs, and the next one works."""
    with Audience(service.port, 1) as audience:
        (viewer,) = audience.viewers
        eventually(lambda: len(viewer.frames) > _LIFE_FRAMES, what="frames before the fault")
        (hangs / "one").touch()
        _make(service, "capture-kill")
        eventually(lambda: "capture ended: hung" in service.log, OPENING_WITHIN_S, "the end of the hang")
        ended_s = time.monotonic()
        sides = eventually(lambda: _gap(viewer.frames, ended_s), 5, "new frames after the fault")
        assert sides is not None
        last, first = sides
        audience.check()
        placeholders = [seen.at_s for seen in viewer.seen if seen.freshness == "placeholder"]
        return Recovery(
            took_s=first.at_s - last.at_s,
            placeholder_after_s=min(placeholders) - last.at_s,
            longest_silence_s=max(two.at_s - one.at_s for one, two in itertools.pairwise(viewer.seen)),
            connections=viewer.connections,
            refused=0,
        )


def _after_a_life(service: Ringcast, viewer: StreamViewer, life_s: float) -> tuple[Seen, Seen]:
    """Let the camera crash so long after its next frame; return the last frame before and the first after."""
    before, crash = len(viewer.frames), service.log.count(_CRASHED)
    eventually(lambda: len(viewer.frames) > before)
    end_s = viewer.frames[before].at_s + life_s
    eventually(lambda: time.monotonic() >= end_s, life_s + 1)
    _make(service, "camera-crash")
    eventually(lambda: service.log.count(_CRASHED) > crash, what="the end of the process that crashed")
    ended_s = time.monotonic()
    sides = eventually(lambda: _gap(viewer.frames, ended_s), 40, "a new frame after the crash")
    assert sides is not None
    return sides


def _make(service: Ringcast, fault: str) -> float:
    """Order a fault; return when the supervisor says that it makes it."""
    begins = f"drill: {fault}, by the process"
    made = service.log.count(begins)
    ordered = drill(service, fault)
    assert ordered.returncode == 0, ordered.stderr
    eventually(lambda: service.log.count(begins) > made, what="the drill")
    ordered_s = time.monotonic()
    if fault == "camera-ignore-sigterm":
        eventually(lambda: "drill: ignore-sigterm begins" in service.log)
        os.kill(service.pid, signal.SIGUSR1)  # which restarts the camera
    return ordered_s


def _gap(frames: list[Seen], ended_s: float) -> tuple[Seen, Seen] | None:
    """Return the last frame before and the first one after the fault, None until there is one."""
    for last, first in itertools.pairwise(list(frames)):
        if first.at_s > ended_s and first.at_s - last.at_s > _QUIET_S:
            return last, first
    return None
