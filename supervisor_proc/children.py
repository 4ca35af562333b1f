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

IMPORTING_S = 20.0
"""How long a capture process may take to its first step, and for its imports, from a cold SD card."""
OPENING_S = 10.0
"""How long a camera may take to be opened."""
FIRST_BOARD_S = 10.0
"""How long a server may take to its first heartbeat."""
_SUPERVISORS_MARGIN_S = 1.0
"""The capture process ends by itself at its limits; so much later it is taken for hung."""


@dataclass(frozen=True, slots=True)
class Service:
    """What outlives every child."""

    listening: Sequence[socket.socket]
    memory: SharedMemory
    rings: Rings
    drill_file: Path


def capture_limits(
    stall_timeout_s: float, first_frame_timeout_s: float, step: str = "", rest_s: float = 0.0
) -> Limits:
    """Return the deadlines of a capture process that ends by itself at these limits.

    `step` is how far its start is, from when on the first one counts; nothing where it has not said so.
    """
    first_progress_s = {
        "opening": OPENING_S + _SUPERVISORS_MARGIN_S,
        "first frame": first_frame_timeout_s + _SUPERVISORS_MARGIN_S,
    }.get(step, max(IMPORTING_S, OPENING_S + first_frame_timeout_s))
    return Limits(first_progress_s, stall_timeout_s + _SUPERVISORS_MARGIN_S, rest_s)


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

    The limits are those of its predecessor, until it says something itself.
    """
    if reading is None:
        return
    row = reading.row
    step = row.step if reading.written_ns / 1e9 >= capture.started_s else ""
    limits = capture_limits(row.stall_timeout_s, row.first_frame_timeout_s, step, row.rest_s)
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
            Limits(FIRST_BOARD_S, timeout_s),
        ),
        now_s=now_s,
        timing=timing,
    )


def _in_options(inherited: dict[str, int]) -> list[str]:
    """Return the options by which a child learns the numbers of the descriptors that it inherits."""
    return [f"{flag}={descriptor}" for flag, descriptor in inherited.items()]
