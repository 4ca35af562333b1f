# SPDX-License-Identifier: MIT
"""The two children of this service: how each is started, and by what it is known to do its work."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shm_ring.board import Reading
from shm_ring.status import CaptureStatus
from supervisor_proc.child import KEEP_BUFFERS, Child, Watch
from supervisor_proc.process import Program, command_of
from supervisor_proc.restart_policy import Limits, Timing
from supervisor_proc.shared_memory import Rings, SharedMemory

FIRST_STEP_S = 20.0
"""How long a capture process may take until it says how far its start is, from a cold SD card."""
OPENING_S = 10.0
"""How long a camera may take to be opened, where the process does not say how far its start is."""
FIRST_BOARD_S = 10.0
"""How long a server may take to its first heartbeat, or twice its limit if that is more."""
_SUPERVISORS_MARGIN_S = 1.0
"""The capture process ends by itself at its limits; so much later it is taken for hung."""


@dataclass(frozen=True, slots=True)
class Service:
    """What outlives every child."""

    listening: Sequence[socket.socket]
    memory: SharedMemory
    rings: Rings
    drill_file: Path


def capture_limits(stall_timeout_s: float, first_frame_timeout_s: float) -> Limits:
    """Return the deadlines of a capture process that has not said how far its start is."""
    first_progress_s = max(FIRST_STEP_S, OPENING_S + first_frame_timeout_s)
    return Limits(first_progress_s, stall_timeout_s + _SUPERVISORS_MARGIN_S)


def capture_child(
    service: Service,
    arguments: Sequence[str],
    limits: Limits,
    now_s: float,
    timing: Timing = Timing(),
    trouble: Callable[[float], str] = lambda now_s: "",
) -> Child:
    """Return the child that captures; `arguments` are its options."""
    inherited = service.memory.for_capture()
    frames = service.rings.frames
    return Child(
        "capture",
        Program(
            command_of(
                "capture", [*arguments, f"--drill-file={service.drill_file}", *_in_options(inherited)]
            ),
            tuple(inherited.values()),
            KEEP_BUFFERS,
        ),
        # a frame that fits no slot shows as well that the camera works
        watch=Watch(lambda: frames.publishes + frames.dropped_too_big, "new frames in the ring", limits),
        now_s=now_s,
        timing=timing,
        # a wrong option is not tried again; a camera that once gave a frame always is
        done_after=lambda exit_code: exit_code == os.EX_USAGE and frames.publishes == 0,
        trouble=trouble,
    )


def follow_capture(capture: Child, reading: Reading[CaptureStatus] | None, now_s: float) -> None:
    """Take the time limits from capture's board, and how far the start of its process is.

    The limits are those of its predecessor, until it says something itself. From then on each step of its
    start has the limit that the process says.
    """
    if reading is None:
        return
    row = reading.row
    step = row.step if reading.written_ns / 1e9 >= capture.started_s else ""
    limits = capture_limits(row.stall_timeout_s, row.first_frame_timeout_s)
    limits.rest_s = row.rest_s
    if step:
        limits.first_progress_s = row.step_limit_s + _SUPERVISORS_MARGIN_S
    capture.policy.limits = limits
    capture.take_step(step, now_s)


def server_child(
    service: Service, arguments: Sequence[str], timeout_s: float, now_s: float, timing: Timing = Timing()
) -> Child:
    """Return the child that serves viewers; `arguments` are its options."""
    inherited = service.memory.for_server()
    sockets = [listening.fileno() for listening in service.listening]
    own = [f"--drill-file={service.drill_file}", f"--instance-id={secrets.token_hex(4)}"]
    listen = [f"--listen-fd={descriptor}" for descriptor in sockets]
    board = service.rings.server_board

    def beats() -> int:
        reading = board.read()
        return reading.row.alive_ns if reading else 0

    return Child(
        "server",
        Program(
            command_of("server", [*arguments, *own, *listen, *_in_options(inherited)]),
            (*sockets, *inherited.values()),
        ),
        watch=Watch(
            beats,
            "its heartbeat: Waitress's two threads and the fan-out move",
            Limits(max(FIRST_BOARD_S, 2 * timeout_s), timeout_s),
        ),
        now_s=now_s,
        timing=timing,
    )


def _in_options(inherited: dict[str, int]) -> list[str]:
    """Return the options by which a child learns the numbers of the descriptors that it inherits."""
    return [f"{flag}={descriptor}" for flag, descriptor in inherited.items()]
